//! One suite for every backend: each law of [`EventLog`] as tests that run on each of them, also across a reopening
//! where the backend keeps what it stores. What only one backend does is tested beside that backend.

mod agreement;
mod ledger;
mod lifecycle;
mod list;
mod pages;
mod pruning;
pub(super) mod sample;
mod watches;
mod writes;

use super::{
    EventLog,
    memory::MemoryLog,
    sqlite::{Durability, RECENT_BYTES, SqliteLog, SqliteOptions},
};
use std::{ops::Deref, path::Path, sync::Arc};
use tempfile::TempDir;

/// A backend under test.
pub(super) enum Subject {
    Memory(Arc<MemoryLog>),
    /// With how many bytes of lines wait to be packed.
    Sqlite(TempDir, Arc<SqliteLog>, u64),
}

impl Subject {
    pub(super) fn memory() -> Self {
        Self::Memory(Arc::new(MemoryLog::new()))
    }

    pub(super) fn sqlite() -> Self {
        Self::sqlite_with(RECENT_BYTES)
    }

    /// SQLite that packs all the time: no event stays where it was committed.
    pub(super) fn packing() -> Self {
        Self::sqlite_with(0)
    }

    fn sqlite_with(recent_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = open_sqlite(folder.path(), recent_bytes);
        Self::Sqlite(folder, log, recent_bytes)
    }

    pub(super) fn log(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Memory(log) => log.clone(),
            Self::Sqlite(_, log, _) => log.clone(),
        }
    }

    /// Closes the log and opens it again; one that is in memory stays as it is.
    pub(super) async fn reopen(&mut self) {
        if let Self::Sqlite(folder, log, recent_bytes) = self {
            log.close().await.unwrap();
            *log = open_sqlite(folder.path(), *recent_bytes);
        }
    }
}

impl Deref for Subject {
    type Target = dyn EventLog;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Memory(log) => log.as_ref(),
            Self::Sqlite(_, log, _) => log.as_ref(),
        }
    }
}

fn open_sqlite(folder: &Path, recent_bytes: u64) -> Arc<SqliteLog> {
    let options = SqliteOptions {
        path: folder.join("log.db"),
        durability: Durability::Full,
        readers: 2,
        queue: 1024,
        recent_bytes,
    };
    Arc::new(SqliteLog::open(&options).unwrap())
}

/// Makes tests of the named functions, one of each on every backend.
macro_rules! on_every_backend {
    ($($law:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $law() {
                super::$law($crate::store::conformance::Subject::memory()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $law() {
                super::$law($crate::store::conformance::Subject::sqlite()).await;
            })*
        }
        mod packing {
            $(#[tokio::test]
            async fn $law() {
                super::$law($crate::store::conformance::Subject::packing()).await;
            })*
        }
    };
}
use on_every_backend;
