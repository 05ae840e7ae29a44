//! Retention: asks the log now and then to remove what the configuration does not keep. Which events may go, and how it
//! is done without holding up anybody, is the log's affair.

use crate::{
    clock::Clock,
    config::{Config, Live},
    store::{EventLog, Pruned, Retention},
};
use std::{sync::Arc, time::Duration};

/// From the end of one walk over the sessions to the next one.
const INTERVAL: Duration = Duration::from_secs(60);

/// Goes on until the log is closed; where everything is kept it has nothing to do.
pub(crate) async fn keep(log: Arc<dyn EventLog>, config: Live, clock: Clock) {
    let mut changes = config.changes();
    let mut is_failing = false;
    loop {
        let retention = retention(&changes.borrow_and_update(), &clock);
        let pruned = match retention {
            Some(retention) => log.prune(retention).await,
            None => Ok(Pruned::default()),
        };
        match pruned {
            Ok(pruned) if pruned.events > 0 => {
                log::info!(events = pruned.events, sessions = pruned.sessions; "events that are kept no longer were removed");
                is_failing = false;
            }
            Ok(_) => is_failing = false,
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    log::warn!(error:%; "old events cannot be removed; trying again until they can");
                }
            }
        }
        tokio::select! {
            () = clock.sleep(INTERVAL) => {}
            Ok(()) = changes.changed() => {}
            () = log.closed() => return,
        }
    }
}

/// None: everything is kept.
fn retention(config: &Config, clock: &Clock) -> Option<Retention> {
    let (age, events) = (config.store.retention_age, config.store.retention_events);
    let since = age.map(|age| clock.now().before(age));
    (age.is_some() || events.is_some())
        .then_some(Retention { since, events: events.map(u64::from) })
}
