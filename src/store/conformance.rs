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
    sqlite::{Durability, SqliteLog, SqliteOptions},
};
use std::{ops::Deref, path::Path, sync::Arc};
use tempfile::TempDir;

/// A backend under test.
pub(super) enum Subject {
    Memory(Arc<MemoryLog>),
    Sqlite(TempDir, Arc<SqliteLog>),
}

impl Subject {
    pub(super) fn memory() -> Self {
        Self::Memory(Arc::new(MemoryLog::new()))
    }

    pub(super) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = open_sqlite(folder.path());
        Self::Sqlite(folder, log)
    }

    pub(super) fn log(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Memory(log) => log.clone(),
            Self::Sqlite(_, log) => log.clone(),
        }
    }

    /// Closes the log and opens it again; one that is in memory stays as it is.
    pub(super) async fn reopen(&mut self) {
        if let Self::Sqlite(folder, log) = self {
            log.close().await.unwrap();
            *log = open_sqlite(folder.path());
        }
    }
}

impl Deref for Subject {
    type Target = dyn EventLog;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Memory(log) => log.as_ref(),
            Self::Sqlite(_, log) => log.as_ref(),
        }
    }
}

fn open_sqlite(folder: &Path) -> Arc<SqliteLog> {
    let options = SqliteOptions {
        path: folder.join("log.db"),
        durability: Durability::Full,
        readers: 2,
        queue: 1024,
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
    };
}
use on_every_backend;
