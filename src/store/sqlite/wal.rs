//! The write-ahead log's way into the database. SQLite would copy it within a commit, and whoever waits for that commit
//! would wait for the copying too. A thread copies it while the writer goes on; what came meanwhile, which is little, the
//! writer copies itself between two groups, for only a log that is copied whole begins anew.

use super::open::connect;
use rusqlite::{Connection, OpenFlags, hooks::Wal, wal::CheckpointMode};
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread::{self, JoinHandle},
};

/// Pages at which the copying begins.
const LONG_PAGES: i32 = 2000;
/// Pages at which the writer waits for it: where the disk is slow, the log must not grow without end.
const LONGEST_PAGES: i32 = 6000;
/// So many pages may be left to the writer; where more came meanwhile, they are copied too, so many times.
const REST_PAGES: i32 = 100;
const PASSES: usize = 3;

#[derive(Debug)]
pub(super) struct WriteAheadLog {
    /// As of the last commit. It begins anew when all of it was copied and nobody reads it any more.
    pages: Arc<AtomicI32>,
    /// How many were there when it was last copied.
    copied: i32,
    copier: Copier,
}

impl WriteAheadLog {
    /// Takes the place of SQLite's own checkpoints.
    pub(super) fn follow(conn: &mut Connection, path: &Path) -> rusqlite::Result<Self> {
        let pages = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&pages);
        conn.wal_hook(Some(move |_: &mut Wal, now| {
            seen.store(now, Ordering::Relaxed);
            Ok(())
        }))?;
        let copying = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // A connection that has not read yet does not know that there is such a log, and would copy nothing.
        copying.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(Self { pages, copied: 0, copier: Copier::start(copying) })
    }

    /// A group was committed and answered.
    pub(super) fn after_group(&mut self, conn: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.copied {
            self.copied = 0;
        }
        if self.copier.is_copying {
            if self.copier.has_ended(pages >= LONGEST_PAGES) {
                self.copy(conn, CheckpointMode::PASSIVE);
            }
        // Where a reader keeps it from beginning anew, it counts from the last attempt.
        } else if pages - self.copied >= LONG_PAGES && !self.copier.begin() {
            self.copy(conn, CheckpointMode::PASSIVE);
        }
    }

    /// Copies all there is, in the writer's thread: nobody waits.
    pub(super) fn copy_all(&mut self, conn: &Connection, mode: CheckpointMode) {
        if self.copier.is_copying {
            self.copier.has_ended(true);
        }
        self.copy(conn, mode);
    }

    fn copy(&mut self, conn: &Connection, mode: CheckpointMode) {
        copy(conn, mode);
        self.copied = self.pages.load(Ordering::Relaxed);
    }
}

/// How many pages are left to be copied: those that came meanwhile.
fn copy(conn: &Connection, mode: CheckpointMode) -> i32 {
    match conn.wal_checkpoint_v2(None::<&str>, mode) {
        Ok((pages, copied)) => pages - copied,
        // Nothing is lost: it stays in the write-ahead log.
        Err(error) => {
            log::warn!(error:%; "the write-ahead log cannot be copied into the database now");
            0
        }
    }
}

/// The thread, asked to copy and telling that it has.
#[derive(Debug)]
struct Copier {
    /// None at its end.
    ask: Option<Sender<()>>,
    ended: Receiver<()>,
    is_copying: bool,
    thread: Option<JoinHandle<()>>,
}

impl Copier {
    fn start(conn: Connection) -> Self {
        let ((ask, asked), (end, ended)) = (channel(), channel());
        let body = move || {
            while asked.recv().is_ok() {
                for _ in 0..PASSES {
                    if copy(&conn, CheckpointMode::PASSIVE) <= REST_PAGES {
                        break;
                    }
                }
                let _ = end.send(());
            }
        };
        let spawned: io::Result<_> = thread::Builder::new().name("log-copier".into()).spawn(body);
        // Without it the writer copies.
        let thread = spawned.map_err(|error| log::warn!(error:%; "no thread copies the log")).ok();
        Self { ask: Some(ask), ended, is_copying: false, thread }
    }

    /// False where it cannot.
    fn begin(&mut self) -> bool {
        self.is_copying = self.ask.as_ref().is_some_and(|ask| ask.send(()).is_ok());
        self.is_copying
    }

    fn has_ended(&mut self, waits: bool) -> bool {
        let has_ended = match waits {
            // An error: the thread is no more.
            true => self.ended.recv().map_or(true, |()| true),
            false => self.ended.try_recv() != Err(TryRecvError::Empty),
        };
        self.is_copying = !has_ended;
        has_ended
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            // It does not panic, and nothing depends on it any more.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::tests::folder;
    use std::fs;

    #[test]
    fn a_long_log_is_copied_by_the_thread_and_begins_anew_when_the_writer_has_copied_the_rest() {
        let (_folder, path) = folder();
        let mut conn =
            connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
                .unwrap();
        conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
        conn.execute_batch("CREATE TABLE t (x BLOB)").unwrap();
        let mut log = WriteAheadLog::follow(&mut conn, &path).unwrap();
        let page = |log: &mut WriteAheadLog| {
            conn.execute("INSERT INTO t VALUES (zeroblob(4000))", []).unwrap();
            log.after_group(&conn);
            log.pages.load(Ordering::Relaxed)
        };
        let length = || fs::metadata(&path).unwrap().len();
        while page(&mut log) < LONG_PAGES / 2 {}
        assert!(log.copier.begin() && log.copier.has_ended(true));
        assert!(length() > 1_000_000, "the thread has copied nothing: {} bytes", length());
        while page(&mut log) < LONG_PAGES {}
        assert!(log.copier.is_copying);
        while log.copier.is_copying {
            page(&mut log);
        }
        assert!(page(&mut log) < 10, "it goes on at its beginning");
    }
}
