//! The supervision tree, drawn.

use crate::{
    cli::{
        output::Output,
        words::{ago, count, word},
    },
    client::Admin,
    clock::Clock,
    domain::Timestamp,
    wire::admin::ActorNode,
};

pub(super) async fn draw(server: &Admin, output: &Output) -> anyhow::Result<()> {
    let root = server.supervision().await?;
    if output.json {
        return Ok(output.object(&root)?);
    }
    let mut lines = Vec::new();
    branch(&root, "", "", &mut lines);
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let now = Clock::system().now();
    for (name, node) in lines {
        output.line(&format!("{name:<width$}  {}", said(node, now)))?;
    }
    Ok(())
}

/// A node's line and those of all below it. `own`: what stands before its name; `below`: before those of its children.
fn branch<'a>(
    node: &'a ActorNode,
    own: &str,
    below: &str,
    lines: &mut Vec<(String, &'a ActorNode)>,
) {
    lines.push((format!("{own}{}", name(node)), node));
    for (index, child) in node.children.iter().enumerate() {
        let is_last = index + 1 == node.children.len();
        let (fork, line) = if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        branch(child, &format!("{below}{fork}"), &format!("{below}{line}"), lines);
    }
}

fn name(node: &ActorNode) -> String {
    let id = node.session_id.map(|id| format!(" {id}")).unwrap_or_default();
    let run = node.run.map(|run| format!(", run {run}")).unwrap_or_default();
    let pid = node.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    format!("{}{id}{run}{pid}", node.name)
}

fn said(node: &ActorNode, now: Timestamp) -> String {
    let mut said = word(&node.state);
    if let Some(since) = node.since {
        said += &format!(", started {}", ago(since, now));
    }
    if let Some(last) = &node.last_failure {
        said += &format!(
            "; {}, the last {}: {}",
            count(node.failures, "failure"),
            ago(last.at, now),
            last.cause
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::admin::{ActorFailure, ActorState, OnFailure};

    #[test]
    fn a_tree_is_drawn_with_its_branches_and_what_failed() {
        let node = |name, children| ActorNode {
            children,
            ..ActorNode::new(name, ActorState::Running, OnFailure::Restart)
        };
        let at = Timestamp::from_millis(60_000);
        let failure = ActorFailure { at, cause: "it exited with code 7".into() };
        let transport = ActorNode {
            run: Some(2),
            pid: Some(17),
            since: Some(at),
            failures: 1,
            last_failure: Some(failure),
            ..node("process transport", Vec::new())
        };
        let session = || node("session", vec![transport.clone()]);
        let root = node("supervisor", vec![session(), session()]);
        let mut lines = Vec::new();
        branch(&root, "", "", &mut lines);
        let drawn: Vec<_> = lines.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            drawn,
            [
                "supervisor",
                "├── session",
                "│   └── process transport, run 2, pid 17",
                "└── session",
                "    └── process transport, run 2, pid 17",
            ]
        );
        let now = Timestamp::from_millis(65_000);
        assert_eq!(
            said(&transport, now),
            "running, started 5s ago; 1 failure, the last 5s ago: it exited with code 7"
        );
    }
}
