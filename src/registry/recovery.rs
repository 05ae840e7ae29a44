//! After a crash of the server: every session that was live is closed in the log before the server listens. It is
//! the same machine that closes a session whose child died.

use crate::{
    clock::Clock,
    config::Config,
    domain::SessionId,
    session::{launch, machine::Machine},
    store::{Append, Entry, EventLog, StoreError, Unfinished},
};
use std::sync::Arc;

/// What start-up found and did.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Sessions that were live when the server died.
    pub closed: usize,
    /// Sessions that need a run: messages wait, or their profile says so.
    pub resume: Vec<SessionId>,
    /// Sessions that could not be closed, and why; they keep nobody else from starting.
    pub failed: Vec<(SessionId, StoreError)>,
}

/// Ends what the crash left open, all appends side by side so that they share commits.
pub async fn recover(
    log: &dyn EventLog,
    unfinished: Unfinished,
    config: &Config,
    clock: &Clock,
) -> Recovered {
    let mut pending = Vec::new();
    let mut recovered = Recovered { failed: unfinished.damaged, ..Recovered::default() };
    for stored in unfinished.sessions {
        let session = (*stored.session).clone();
        let id = session.id;
        let agent = config.agents.get(&session.agent);
        let was_live = session.state.is_live();
        let resume = stored.queued > 0 || (was_live && agent.is_some_and(|a| a.resume_on_start));
        if resume {
            recovered.resume.push(id);
        }
        let mut machine = Machine::new(session, Vec::new(), launch::policy(config, agent));
        let step = machine.recover(clock.now());
        if step.drafts.is_empty() {
            continue;
        }
        recovered.closed += 1;
        let limit = config.store.max_event_bytes;
        let append = Append {
            session: id,
            events: step.drafts.iter().map(|draft| Entry::new(draft, limit)).collect(),
            row: Some(Arc::new(machine.session().clone())),
            accept: None,
        };
        pending.push((id, log.append(append)));
    }
    for (id, append) in pending {
        if let Err(error) = append.await {
            recovered.failed.push((id, error));
        }
    }
    recovered
}
