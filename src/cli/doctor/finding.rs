//! From what a trial showed to one sentence: what is missing, and what to do about it. Nothing is started here.

use crate::{
    config::Agent,
    domain::event::{Exit, TransportFault},
    session::trial::{Outcome, Trial},
};
use serde::Serialize;
use std::time::Duration;

/// What is the matter with an agent.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "finding", content = "detail", rename_all = "snake_case")]
pub(super) enum Finding {
    Ready(String),
    NotInstalled(String),
    NotLoggedIn(String),
    TooOld(String),
    WrongCwd(String),
    Silent(String),
    Died(String),
    Refused(String),
}

impl Finding {
    pub(super) fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }

    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Ready(detail)
            | Self::NotInstalled(detail)
            | Self::NotLoggedIn(detail)
            | Self::TooOld(detail)
            | Self::WrongCwd(detail)
            | Self::Silent(detail)
            | Self::Died(detail)
            | Self::Refused(detail) => detail,
        }
    }
}

pub(super) fn of(agent: &Agent, trial: &Trial, patience: Duration) -> Finding {
    let command = &agent.command;
    match &trial.outcome {
        Outcome::Ready if agent.protocol.has_turns() => {
            Finding::Ready("ready: it was started and has answered its handshake".into())
        }
        Outcome::Ready => Finding::Ready("ready: it runs; plain lines have no handshake".into()),
        Outcome::Folder { detail } => Finding::WrongCwd(format!(
            "its folder cannot be used: {detail}; make it, or set `cwd` in the profile"
        )),
        Outcome::NotSpawned { detail } => not_spawned(command, detail),
        Outcome::Failed { code, detail } => failed(*code, detail),
        Outcome::Silent => {
            let seconds = patience.as_secs_f64();
            let heard = heard(trial);
            Finding::Silent(format!(
                "it said nothing of its protocol within {seconds} s (sessions.start_timeout){heard}; does the profile \
                 name the right protocol and arguments?"
            ))
        }
        Outcome::Exited(exit) => died(command, exit, trial),
    }
}

fn not_spawned(command: &str, detail: &str) -> Finding {
    if detail.starts_with("cannot run in") {
        return Finding::WrongCwd(detail.to_owned());
    }
    if detail.contains("not found") {
        return Finding::NotInstalled(format!(
            "not installed: `{command}` is not on the PATH that the agent is given, or the interpreter it names is not; \
             install it, or name it by its full path as `command`"
        ));
    }
    Finding::Refused(detail.to_owned())
}

fn failed(code: TransportFault, detail: &str) -> Finding {
    match code {
        TransportFault::AuthRequired => Finding::NotLoggedIn(detail.to_owned()),
        TransportFault::Handshake if is_of_its_version(detail) => {
            Finding::TooOld(format!("{detail}; install another version of the agent"))
        }
        TransportFault::Handshake
        | TransportFault::Protocol
        | TransportFault::Resume
        | TransportFault::Spawn => Finding::Refused(detail.to_owned()),
    }
}

/// By the words of our own codecs.
fn is_of_its_version(detail: &str) -> bool {
    detail.contains("of the protocol") || detail.contains("too old")
}

/// What agents say that do not know their arguments.
const UNKNOWN: [&str; 9] = [
    "unrecognized subcommand",
    "unrecognized option",
    "unrecognized argument",
    "unexpected argument",
    "unknown option",
    "unknown argument",
    "unknown command",
    // Or they show their help, and the fault has gone by.
    "usage:",
    "show help",
];

/// What agents say that end because nobody is logged in.
const LOGGED_OUT: [&str; 8] = [
    "not logged in",
    "log in",
    "/login",
    " login",
    "api key",
    "api_key",
    "auth method",
    "unauthorized",
];

/// Before its handshake: there is no protocol to say why, so its last words are all there is.
fn died(command: &str, exit: &Exit, trial: &Trial) -> Finding {
    let how = match (exit.exit_code, exit.signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    if let Some(line) = line_with(&UNKNOWN, trial) {
        let heard = last_words(line);
        return Finding::TooOld(format!(
            "`{command}` {how} and does not know its arguments{heard}; it may be too old, or `args` of the profile wrong"
        ));
    }
    if let Some(line) = line_with(&LOGGED_OUT, trial) {
        let heard = last_words(line);
        return Finding::NotLoggedIn(format!(
            "`{command}` {how}, probably since nobody is logged in{heard}; log in with the agent's own command as the \
             account it runs as, or give it a key in the profile's `env_file`"
        ));
    }
    let heard = heard(trial);
    Finding::Died(format!("`{command}` {how} before it was ready{heard}"))
}

/// The last line that it said with one of these words in it.
fn line_with<'a>(list: &[&str], trial: &'a Trial) -> Option<&'a str> {
    let mut lines = trial.said.lines().chain(trial.stderr_tail.lines());
    let has = |line: &&str| {
        let line = line.to_lowercase();
        list.iter().any(|word| line.contains(word))
    };
    lines.rfind(has)
}

/// The end of what it said, on stderr or else on stdout.
fn heard(trial: &Trial) -> String {
    let mut lines = trial.said.lines().chain(trial.stderr_tail.lines()).rev();
    lines.find(|line| !line.trim().is_empty()).map_or_else(String::new, last_words)
}

fn last_words(line: &str) -> String {
    format!("; its last words: {}", plain(line))
}

/// Without colours and at a length that can be read.
fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line.trim();
    while let Some(start) = rest.find('\u{1b}') {
        plain.push_str(&rest[..start]);
        let sequence = &rest[start + 1..];
        let end = sequence.find(|char: char| char.is_ascii_alphabetic());
        rest = end.map_or("", |end| &sequence[end + 1..]);
    }
    plain.push_str(rest);
    match plain.char_indices().nth(LAST_WORDS) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}

/// Characters of an agent's last line that are shown.
const LAST_WORDS: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source};

    fn demo() -> Agent {
        let config = Source::new(|| Config::load(None, [])).read().unwrap();
        config.agents["demo"].clone()
    }

    fn found(outcome: Outcome, stderr_tail: &str) -> Finding {
        let trial = Trial { outcome, said: String::new(), stderr_tail: stderr_tail.into() };
        of(&demo(), &trial, Duration::from_secs(60))
    }

    fn exited(code: i32) -> Outcome {
        Outcome::Exited(Exit { exit_code: Some(code), ..Exit::default() })
    }

    fn failed(code: TransportFault, detail: &str) -> Outcome {
        Outcome::Failed { code, detail: detail.into() }
    }

    #[test]
    fn each_end_of_a_trial_has_its_finding() {
        use TransportFault::{AuthRequired, Handshake};
        let not_spawned = |detail: &str| Outcome::NotSpawned { detail: detail.into() };
        for (outcome, stderr, finding) in [
            (Outcome::Ready, "", "ready"),
            (Outcome::Folder { detail: "x".into() }, "", "wrong_cwd"),
            (not_spawned("cannot run in `/x`: it is not a folder"), "", "wrong_cwd"),
            (not_spawned("cannot execute `x`: not found (it, or …)"), "", "not_installed"),
            (not_spawned("cannot execute `x`: permission denied"), "", "refused"),
            (failed(AuthRequired, "log in"), "", "not_logged_in"),
            (failed(Handshake, "the agent speaks version 2 of the protocol"), "", "too_old"),
            (failed(Handshake, "the agent refused session/new"), "", "refused"),
            (Outcome::Silent, "", "silent"),
            (exited(2), "error: unrecognized subcommand 'app-server'", "too_old"),
            (exited(1), "Invalid API key · Please run /login", "not_logged_in"),
            (exited(1), "Unknown argument: acq\n\nOptions:\n -h  Show help\n --login", "too_old"),
            (exited(1), "Segmentation fault", "died"),
            (exited(0), "", "died"),
        ] {
            let found = found(outcome, stderr);
            let json = serde_json::to_value(&found).unwrap();
            assert_eq!(json["finding"], finding, "{found:?}");
            assert_eq!(found.is_ready(), finding == "ready");
            assert!(!found.detail().is_empty());
        }
    }

    #[test]
    fn a_death_is_told_with_the_last_words_and_without_their_colours() {
        let found = found(exited(3), "first\n\u{1b}[31mthe \u{1b}[1mlast\u{1b}[0m\n\n");
        assert!(found.detail().ends_with("its last words: the last"), "{found:?}");
        assert!(found.detail().contains("exit code 3"), "{found:?}");
        let long = plain(&"ä".repeat(1000));
        assert_eq!(long.chars().count(), LAST_WORDS + 1);
    }
}
