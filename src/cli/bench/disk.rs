//! How fast the disk is at this moment. Some are throttled after some hundred MB, and then every durable figure is the
//! throttle's: what was measured says how long fdatasync took just before, and waits a while for it to come back.

use super::{bare, figures::Figures};
use std::{
    path::Path,
    time::{Duration, Instant},
};

pub(super) const FIGURE: &str = "fdatasync_us";

/// One look.
const LOOK: Duration = Duration::from_millis(100);
/// So much longer than the best of the run is not the same disk.
const THROTTLED: f64 = 3.0;
/// All that is waited for it in one run.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Debug, Default)]
pub(super) struct Disk {
    /// Microseconds, of the best look so far.
    best: Option<f64>,
    waited: Duration,
}

impl Disk {
    /// What fdatasync takes, once it is as it was or the patience is at its end.
    pub(super) fn settled(&mut self, folder: &Path) -> anyhow::Result<f64> {
        loop {
            let start = Instant::now();
            let now = median(bare::log(folder, 1, LOOK)?);
            let best = self.best.map_or(now, |best| best.min(now));
            self.best = Some(best);
            if now <= THROTTLED * best || self.waited >= PATIENCE {
                return Ok(now);
            }
            std::thread::sleep(Duration::from_secs(1));
            self.waited += start.elapsed();
        }
    }
}

fn median(figures: Figures) -> f64 {
    figures.get("p50_us").copied().unwrap_or_default()
}
