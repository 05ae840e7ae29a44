//! What all sessions of a server share. Nothing of one session is here.

use crate::{
    clock::Clock, config::Live, metrics::Metrics, process::child::Launcher, store::EventLog,
};
use std::sync::Arc;

pub(crate) struct Surroundings {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) clock: Clock,
    pub(crate) config: Live,
    pub(crate) launcher: Launcher,
    pub(crate) metrics: Arc<Metrics>,
}

impl Surroundings {
    pub(crate) fn new(
        log: Arc<dyn EventLog>,
        clock: Clock,
        config: Live,
        launcher: Launcher,
    ) -> Arc<Self> {
        Arc::new(Self { log, clock, config, launcher, metrics: Arc::default() })
    }
}
