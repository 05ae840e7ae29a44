//! How long the write-ahead log has grown. SQLite would copy it into the database within a commit, and whoever waits for
//! that commit would wait for the copying too; the writer does it between two groups.

use rusqlite::{Connection, hooks::Wal};
use std::sync::{
    Arc,
    atomic::{AtomicI32, Ordering},
};

/// Pages at which they are copied into the database. Small, since the next group waits for it.
const LONG_PAGES: i32 = 1000;

#[derive(Debug)]
pub(super) struct WriteAheadLog {
    /// As of the last commit. It begins anew when all of it was copied and nobody reads it any more.
    pages: Arc<AtomicI32>,
    /// How many were there when it was last copied.
    copied: i32,
}

impl WriteAheadLog {
    /// Takes the place of SQLite's own checkpoints.
    pub(super) fn follow(conn: &mut Connection) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&pages);
        conn.wal_hook(Some(move |_: &mut Wal, now| {
            seen.store(now, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(Self { pages, copied: 0 })
    }

    /// Where a reader keeps it from beginning anew, it counts from the last attempt.
    pub(super) fn is_long(&mut self) -> bool {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.copied {
            self.copied = 0;
        }
        pages - self.copied >= LONG_PAGES
    }

    pub(super) fn copied(&mut self) {
        self.copied = self.pages.load(Ordering::Relaxed);
    }
}
