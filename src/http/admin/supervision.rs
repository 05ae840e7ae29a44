//! The supervision tree as it stands: each actor, since when it runs, how often it failed and why, and what is done about
//! a failure (contract, section 9). Looks only: nothing is started or ended here.

use super::{overview, registry_silent};
use crate::{
    http::{App, auth::Admin, error::Failure},
    registry::SessionStanding,
    supervise::{
        pulse::Part,
        record::{self, Standing},
    },
    wire::admin::{ActorFailure, ActorNode, ActorPolicy, ActorState, OnFailure},
};
use actix_web::web::{Data, Json};
use std::time::Duration;

/// `GET /admin/supervision`: the supervisor, with its children below it.
pub(super) async fn tree(_: Admin, app: Data<App>) -> Result<Json<ActorNode>, Failure> {
    let root = app.registry.root().ok_or_else(registry_silent)?;
    let registry = part(&app, Part::Registry, OnFailure::Restart);
    let registry = with_standing(registry, root.registry.standing(app.clock.now()));
    let mut children = vec![part(&app, Part::Writer, OnFailure::EndProcess), registry];
    // Of a registry that hangs the tree shows that; its sessions are not known then.
    let mut sessions = overview(&app).await.map(|overview| overview.sessions).unwrap_or_default();
    sessions.sort_by_key(|session| session.id);
    children.extend(sessions.into_iter().map(session));
    let supervisor = part(&app, Part::Supervisor, OnFailure::EndProcess);
    Ok(Json(ActorNode { since: Some(root.supervisor_since), children, ..supervisor }))
}

fn part(app: &App, part: Part, on_failure: OnFailure) -> ActorNode {
    let state = match app.pulse.silent_since(part) {
        Some(_) => ActorState::Hanging,
        None => ActorState::Running,
    };
    ActorNode::new(part.name(), state, on_failure)
}

fn session(standing: SessionStanding) -> ActorNode {
    let SessionStanding { id, row, actor, child } = standing;
    let running = |is_up| if is_up { ActorState::Running } else { ActorState::Starting };
    let node = ActorNode::new("session", running(row.is_some()), OnFailure::Restart);
    let mut node = with_standing(ActorNode { session_id: Some(id), ..node }, actor);
    if let Some(row) = row.filter(|row| row.state.is_live()) {
        let state = running(row.pid.is_some());
        let transport = ActorNode::new("process transport", state, OnFailure::Profile);
        let transport = ActorNode { run: Some(row.run), pid: row.pid, ..transport };
        node.children.push(with_standing(transport, child));
    }
    node
}

fn with_standing(node: ActorNode, standing: Standing) -> ActorNode {
    let failure = |failure: record::Failure| ActorFailure { at: failure.at, cause: failure.cause };
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let policy = standing.policy;
    ActorNode {
        since: Some(standing.since),
        failures: standing.failures,
        failures_in_window: standing.failures_in_window,
        policy: Some(ActorPolicy {
            max_restarts: policy.max_restarts,
            within_ms: millis(policy.within),
            backoff_min_ms: millis(policy.backoff_min),
            backoff_max_ms: millis(policy.backoff_max),
        }),
        first_failure: standing.first_failure.map(failure),
        last_failure: standing.last_failure.map(failure),
        ..node
    }
}
