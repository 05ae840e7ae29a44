//! A server in this process that goes as by a crash, and another in its place. Servers in processes of their own are killed
//! and not treated here.

use super::Driven;
use seawall::clock::Clock;
use std::sync::Arc;
use tempfile::TempDir;

impl Driven {
    /// Ends the server as a crash does, without a word to anybody; for [`Self::start_in`].
    pub(crate) async fn crash(mut self) -> (Arc<TempDir>, Clock) {
        drop(self.stop.take());
        let thread = self.thread.take().expect("it runs");
        let ended = tokio::task::spawn_blocking(move || thread.join()).await;
        ended.expect("a thread").expect("the server's thread does not panic");
        // What had reached the writer is committed; of a process that is gone nothing would write later than this.
        self.log.close().await.expect("the log closes");
        (self.folder.clone(), self.clock.clone())
    }
}
