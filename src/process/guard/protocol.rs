//! What server and guard say to each other: the spawn with the child's stdio, then one JSON object a line both ways.
//! Both ends are always the same binary, so that there are no versions of it.

use crate::process::account::Account;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// The first message to the guard, with the child's stdin, stdout and stderr.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::process) struct Spawn {
    pub(in crate::process) command: String,
    pub(in crate::process) args: Vec<String>,
    /// The whole environment, marker included.
    pub(in crate::process) env: BTreeMap<String, String>,
    pub(in crate::process) cwd: PathBuf,
    pub(in crate::process) account: Option<Account>,
}

/// Without what the child is told: it may be secret.
impl fmt::Debug for Spawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, cwd, account, .. } = self;
        let mut spawn = f.debug_struct("Spawn");
        spawn.field("command", command).field("cwd", cwd).field("account", account);
        spawn.finish_non_exhaustive()
    }
}

/// To the guard. The end of the socket means `Finish`, from whatever cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::process) enum GuardOrder {
    /// SIGINT to the child's group.
    Interrupt,
    /// SIGTERM to the child's group.
    Terminate,
    /// SIGKILL to the whole tree.
    Kill,
    /// The same, and then the guard has nothing left to guard and ends.
    Finish,
}

/// From the guard: `Failed` alone, or `Spawned`, `Exited`, `Finished` in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::process) enum GuardReport {
    /// The child could not be executed; the guard ends.
    Failed {
        detail: String,
    },
    Spawned {
        pid: u32,
    },
    /// The child alone; others of its tree may live.
    Exited {
        exit_code: Option<i32>,
        signal: Option<i32>,
    },
    /// Nothing is left; what was killed besides the child.
    Finished {
        killed: Vec<crate::domain::event::KilledProcess>,
    },
}
