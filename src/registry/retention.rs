//! Retention: asks the log now and then to remove what the configuration does not keep. Which events may go, and how it
//! is done without holding up anybody, is the log's affair.

use crate::{
    clock::Clock,
    config::Config,
    store::{EventLog, Retention},
};
use std::{sync::Arc, time::Duration};

/// From the end of one walk over the sessions to the next one.
const INTERVAL: Duration = Duration::from_secs(60);

/// Goes on until the log is closed; where everything is kept it has nothing to do.
pub(crate) async fn keep(log: Arc<dyn EventLog>, config: Arc<Config>, clock: Clock) {
    let (age, events) = (config.store.retention_age, config.store.retention_events);
    if age.is_none() && events.is_none() {
        return;
    }
    let mut is_failing = false;
    loop {
        let since = age.map(|age| clock.now().before(age));
        match log.prune(Retention { since, events: events.map(u64::from) }).await {
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
            () = log.closed() => return,
        }
    }
}
