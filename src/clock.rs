//! The server's one clock. Every timer of a session, a stream or the registry waits on it, so that a test can own time.

use crate::domain::Timestamp;
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::watch;

/// Cheap to clone; all clones are one clock.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<watch::Sender<Timestamp>>),
}

impl Clock {
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start` until it is moved by [`Clock::advance`].
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(watch::Sender::new(start))))
    }

    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => {
                let since_epoch =
                    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Timestamp::from_millis(0) + since_epoch
            }
            Source::Manual(time) => *time.borrow(),
        }
    }

    /// Waits for `time` to pass on this clock.
    pub async fn sleep(&self, time: Duration) {
        match &self.0 {
            Source::System => tokio::time::sleep(time).await,
            Source::Manual(_) => self.sleep_until(self.now() + time).await,
        }
    }

    /// Waits until this clock shows `due`. Sleeping for the rest of the time is not the same: a clock that is moved after
    /// the rest was worked out is then waited for too long.
    pub async fn sleep_until(&self, due: Timestamp) {
        match &self.0 {
            Source::System => tokio::time::sleep(due - self.now()).await,
            Source::Manual(clock) => {
                // Fails only when the clock is gone, which `self` prevents.
                let _ = clock.subscribe().wait_for(|now| *now >= due).await;
            }
        }
    }

    /// Moves a manual clock and wakes all whose time has come. Of a system clock: nothing.
    pub fn advance(&self, time: Duration) {
        if let Source::Manual(clock) = &self.0 {
            clock.send_modify(|now| *now = *now + time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_manual_clock_moves_only_by_hand() {
        let clock = Clock::manual(Timestamp::from_millis(1000));
        let mut sleep = Box::pin(clock.sleep(Duration::from_millis(5)));
        assert_eq!(sleep.as_mut().now_or_never(), None);
        clock.advance(Duration::from_millis(4));
        assert_eq!(sleep.as_mut().now_or_never(), None);
        clock.advance(Duration::from_millis(1));
        assert_eq!(sleep.as_mut().now_or_never(), Some(()));
        assert_eq!(clock.now(), Timestamp::from_millis(1005));
    }
}
