//! The states of a session and the table of legal transitions (contract, section 2).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a session stands; persisted, and changed only along [`State::may_become`].
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Accepted and stored; the transport was not yet asked to start.
    Created,
    /// A child is being spawned, is in its handshake, or waits for its next attempt.
    Starting,
    /// The child answers.
    Active,
    /// The child runs and nobody watches.
    Detached,
    /// The child runs and every watcher has gone to the background.
    Suspended,
    /// Told to finish.
    Closing,
    /// No child; `end_reason` says why.
    Ended,
}

impl State {
    pub const ALL: [State; 7] = [
        State::Created,
        State::Starting,
        State::Active,
        State::Detached,
        State::Suspended,
        State::Closing,
        State::Ended,
    ];

    /// Whether the transition `self -> to` is legal. CLOSING -> ACTIVE is so only where a detach timeout
    /// was the cause, which the session's machine knows and this table does not.
    pub const fn may_become(self, to: State) -> bool {
        use State::*;
        match self {
            Created => matches!(to, Starting | Ended),
            Starting => matches!(to, Starting | Active | Closing | Ended),
            Active => matches!(to, Detached | Suspended | Starting | Closing | Ended),
            Detached => matches!(to, Active | Starting | Closing | Ended),
            Suspended => matches!(to, Active | Detached | Starting | Closing | Ended),
            Closing => matches!(to, Ended | Active),
            Ended => matches!(to, Created),
        }
    }

    /// A session that is not ENDED counts towards `max_live`.
    pub const fn is_live(self) -> bool {
        !matches!(self, State::Ended)
    }

    /// The child has answered its handshake and was not told to finish: it can be given work.
    pub const fn is_running(self) -> bool {
        matches!(self, State::Active | State::Detached | State::Suspended)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            State::Created => "CREATED",
            State::Starting => "STARTING",
            State::Active => "ACTIVE",
            State::Detached => "DETACHED",
            State::Suspended => "SUSPENDED",
            State::Closing => "CLOSING",
            State::Ended => "ENDED",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        State::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("unknown state `{text}`; one of CREATED, STARTING, ACTIVE, DETACHED, SUSPENDED, CLOSING, ENDED"))
    }
}

/// What a person sees: it depends on turns and pending requests alone, never on who watches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ClientState {
    #[default]
    Idle,
    Running,
    /// A permission or a question waits; wins over running.
    RequiresAction,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    Completed,
    Stopped,
    DetachTimeout,
    StartFailed,
    RestartLimit,
    ServerRestart,
    Error,
}

impl EndReason {
    /// Whether messages that wait at this end get a new run at once; at every other end they fail.
    pub const fn keeps_queue(self) -> bool {
        matches!(self, EndReason::Completed | EndReason::DetachTimeout | EndReason::ServerRestart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_table_is_the_contracts() {
        // Rows from, columns to, in the order of State::ALL.
        let table = [
            ("CREATED", ".x....x"),
            ("STARTING", ".xx..xx"),
            ("ACTIVE", ".x.xxxx"),
            ("DETACHED", ".xx..xx"),
            ("SUSPENDED", ".xxx.xx"),
            ("CLOSING", "..x...x"),
            ("ENDED", "x......"),
        ];
        for (from, (name, row)) in State::ALL.into_iter().zip(table) {
            assert_eq!(from.as_str(), name);
            for (to, cell) in State::ALL.into_iter().zip(row.chars()) {
                assert_eq!(from.may_become(to), cell == 'x', "{from} -> {to}");
            }
        }
    }

    #[test]
    fn names_are_read_back() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse::<State>().unwrap(), state);
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
        assert!("active".parse::<State>().is_err());
    }
}
