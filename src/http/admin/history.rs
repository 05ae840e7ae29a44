//! The server's last hour in numbers, for whoever looks later: a sample now and then, in memory, about the server as a
//! whole. Sessions are not told apart, and nothing of it outlives the process.

use super::{in_time, overview, status::stream_counts};
use crate::{
    domain::Timestamp,
    http::{
        App,
        auth::Admin,
        error::Failure,
        openapi::{Guarded, Operating},
    },
    metrics::{Counter, Restart},
    wire::admin::{History, HistorySample, StreamCounts},
};
use actix_web::web::{Data, Json};
use std::{collections::VecDeque, time::Duration};

/// From one sample to the next one.
const INTERVAL: Duration = Duration::from_secs(15);
/// How long a sample is kept.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// As many as there are in that time, whatever becomes of the clock.
const SAMPLES_MAX: usize = (KEPT.as_secs() / INTERVAL.as_secs()) as usize;

/// The last hour in numbers
///
/// A sample each 15 seconds, the oldest first; the last one is of now. It begins with the server's start.
#[utoipa::path(get, path = "/admin/history", tag = "admin",
    responses((status = 200, description = "The samples", body = History), Guarded, Operating))]
pub(super) async fn history(_: Admin, app: Data<App>) -> Result<Json<History>, Failure> {
    let streams = stream_counts(&overview(&app).await?.connections);
    let samples = app.samples.borrow();
    let begun = samples.next(Counted::by_now(&app), streams);
    Ok(Json(History { samples: samples.all.iter().copied().chain([begun]).collect() }))
}

/// Takes the samples, until the log is closed.
pub(crate) async fn keep(app: Data<App>) {
    loop {
        tokio::select! {
            () = app.clock.sleep(INTERVAL) => {}
            () = app.log.closed() => return,
        }
        // Of a registry that does not answer now the next sample tells, for all the time since the last one.
        let Some(overview) = in_time(&app, app.registry.overview()).await.flatten() else {
            continue;
        };
        let streams = stream_counts(&overview.connections);
        app.samples.send_modify(|samples| samples.add(Counted::by_now(&app), streams));
    }
}

/// What has been counted since the start.
#[derive(Clone, Copy, Debug)]
struct Counted {
    at: Timestamp,
    appended: u64,
    restarts: u64,
}

impl Counted {
    fn by_now(app: &App) -> Self {
        let restarts = Restart::ALL.map(|cause| app.metrics.restarts.of(cause));
        Self {
            at: app.clock.now(),
            appended: app.log.metrics().appended_events.get(),
            restarts: restarts.into_iter().map(Counter::get).sum(),
        }
    }
}

/// The samples, and what the next one counts from.
#[derive(Debug)]
pub(in crate::http) struct Samples {
    /// The oldest first.
    all: VecDeque<HistorySample>,
    last: Counted,
}

impl Samples {
    pub(in crate::http) fn new(started_at: Timestamp) -> Self {
        Self { all: VecDeque::new(), last: Counted { at: started_at, appended: 0, restarts: 0 } }
    }

    fn next(&self, now: Counted, streams: StreamCounts) -> HistorySample {
        let over = now.at - self.last.at;
        HistorySample {
            at: now.at,
            over_ms: u64::try_from(over.as_millis()).unwrap_or(u64::MAX),
            appended: now.appended.saturating_sub(self.last.appended),
            restarts: now.restarts.saturating_sub(self.last.restarts),
            streams: streams.open,
            max_lag: streams.max_lag,
        }
    }

    fn add(&mut self, now: Counted, streams: StreamCounts) {
        self.all.push_back(self.next(now, streams));
        self.last = now;
        let since = now.at.before(KEPT);
        while self.all.front().is_some_and(|oldest| oldest.at < since)
            || self.all.len() > SAMPLES_MAX
        {
            self.all.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAMS: StreamCounts = StreamCounts { open: 2, suspended: 0, behind: 1, max_lag: 7 };

    fn counted(secs: i64, appended: u64) -> Counted {
        Counted { at: Timestamp::from_millis(secs * 1000), appended, restarts: appended / 10 }
    }

    #[test]
    fn a_sample_counts_what_came_since_the_one_before() {
        let mut samples = Samples::new(Timestamp::from_millis(0));
        samples.add(counted(15, 10), STREAMS);
        samples.add(counted(45, 35), STREAMS);
        let told: Vec<_> =
            samples.all.iter().map(|s| (s.over_ms, s.appended, s.restarts)).collect();
        assert_eq!(told, [(15_000, 10, 1), (30_000, 25, 2)]);
        let begun = samples.next(counted(46, 36), STREAMS);
        assert_eq!((begun.over_ms, begun.appended, begun.max_lag), (1000, 1, 7));
    }

    #[test]
    fn an_hour_is_kept_and_no_more_also_where_the_clock_is_set_back() {
        let mut samples = Samples::new(Timestamp::from_millis(0));
        for sample in 1..=1000 {
            samples.add(counted(15 * sample, 0), STREAMS);
        }
        assert_eq!(samples.all.len(), SAMPLES_MAX);
        for sample in 1..=1000 {
            samples.add(counted(15 * sample - 86_400, 0), STREAMS);
        }
        assert_eq!(samples.all.len(), SAMPLES_MAX);
        samples.add(counted(1_000_000, 0), STREAMS);
        assert_eq!(samples.all.len(), 1);
    }
}
