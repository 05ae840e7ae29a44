//! The supervision tree as it stands: each actor, since when it runs, how often it failed and why, and what is done about
//! a failure (contract, section 9). Looks only: nothing is started or ended here.

use super::{failures, overview, registry_silent};
use crate::{
    http::{
        App,
        auth::Admin,
        error::Failure,
        openapi::{Guarded, Operating},
    },
    registry::SessionStanding,
    supervise::{pulse::Part, record::Standing},
    wire::admin::{ActorNode, ActorState, OnFailure},
};
use actix_web::web::{Data, Json};

/// The supervision tree: the supervisor, with its children below it
#[utoipa::path(get, path = "/admin/supervision", tag = "admin",
    responses((status = 200, description = "The tree", body = ActorNode), Guarded, Operating))]
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
    if let Some(row) = row.filter(|row| row.state.is_live() && !row.parked) {
        let state = running(row.pid.is_some());
        let transport = ActorNode::new("process transport", state, OnFailure::Profile);
        let transport = ActorNode { run: Some(row.run), pid: row.pid, ..transport };
        node.children.push(with_standing(transport, child));
    }
    node
}

fn with_standing(node: ActorNode, standing: Standing) -> ActorNode {
    let history = failures(standing);
    ActorNode {
        since: Some(history.since),
        failures: history.failures,
        failures_in_window: history.failures_in_window,
        policy: Some(history.policy),
        first_failure: history.first_failure,
        last_failure: history.last_failure,
        ..node
    }
}
