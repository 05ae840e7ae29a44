//! What a person means by a line or by Ctrl-C. Pure: no terminal is read here and nothing is sent.

use crate::{
    domain::{Timestamp, event::Permission},
    wire::api::AnswerPermission,
};
use std::time::Duration;

/// A second Ctrl-C within this time leaves.
const TWICE: Duration = Duration::from_secs(2);

#[derive(Debug, PartialEq)]
pub(super) enum Typed {
    Nothing,
    Message(String),
    Answer {
        permission_id: String,
        answer: Answer,
    },
    /// A permission waits, and it has not so many options.
    NoSuchOption {
        options: usize,
    },
    Command(Command),
    /// A command that was not understood, and how it is written.
    Misused(&'static str),
}

/// What a line with a slash before it asks of this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Older(Option<u32>),
    Interrupt,
    Stop,
    Quit,
    Pending,
    /// The number that `/pending` gives it; None: all that failed.
    Retry(Option<usize>),
    Discard(usize),
}

pub(super) const HELP: &str = "\
/older [N]      shows the N events before what is shown (50)
/pending        lists the messages that the server has not acknowledged, and those that failed
/retry [N]      sends message N of that list again; without N all that failed
/discard N      forgets message N of that list
/interrupt      interrupts the turn, as Ctrl-C does
/stop           ends the session's agent
/quit           leaves, as Ctrl-D does; the session goes on
other lines that begin with a slash go to the agent, and so does //help as /help";

/// What a line means where a person types: a command of ours, or what it means everywhere.
pub(super) fn read_typed(line: &str, waiting: Option<&Permission>) -> Typed {
    let text = line.trim();
    if let Some(rest) = text.strip_prefix("//") {
        return Typed::Message(format!("/{rest}"));
    }
    let mut words = text.split_whitespace();
    let (name, argument, more) = (words.next().unwrap_or_default(), words.next(), words.next());
    let number = argument.map(str::parse::<u32>);
    let command = match (name, number) {
        ("/help", None) => Command::Help,
        ("/older", None) => Command::Older(None),
        ("/older", Some(Ok(number @ 1..))) => Command::Older(Some(number)),
        ("/interrupt", None) => Command::Interrupt,
        ("/stop", None) => Command::Stop,
        ("/quit", None) => Command::Quit,
        ("/pending", None) => Command::Pending,
        ("/retry", None) => Command::Retry(None),
        ("/retry", Some(Ok(number @ 1..))) => Command::Retry(Some(number as usize)),
        ("/discard", Some(Ok(number @ 1..))) => Command::Discard(number as usize),
        ("/older", _) => return Typed::Misused("/older or /older 100"),
        ("/retry", _) => return Typed::Misused("/retry or /retry 2"),
        ("/discard", _) => return Typed::Misused("/discard 2, a number of /pending"),
        ("/help" | "/interrupt" | "/stop" | "/quit" | "/pending", _) => {
            return Typed::Misused(
                "the command alone, or with a second slash before it for the agent",
            );
        }
        _ => return read(line, waiting),
    };
    match more {
        None => Typed::Command(command),
        Some(_) => Typed::Misused("the command with one number at most"),
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Option(String),
    Cancel,
}

impl From<Answer> for AnswerPermission {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Option(option_id) => AnswerPermission::Selected { option_id },
            Answer::Cancel => AnswerPermission::Cancelled,
        }
    }
}

/// A number answers the permission that waits; everything else is a message. A number with a space before it is one too.
pub(super) fn read(line: &str, waiting: Option<&Permission>) -> Typed {
    let Some(permission) = waiting.filter(|_| is_number(line.trim_end())) else {
        return match line.trim() {
            "" => Typed::Nothing,
            text => Typed::Message(text.to_owned()),
        };
    };
    let permission_id = permission.permission_id.clone();
    let options = &permission.options;
    // A number too large for the type names no option either.
    match line.trim_end().parse::<usize>().unwrap_or(usize::MAX) {
        0 => Typed::Answer { permission_id, answer: Answer::Cancel },
        number => match options.get(number - 1) {
            Some(option) => {
                Typed::Answer { permission_id, answer: Answer::Option(option.option_id.clone()) }
            }
            None => Typed::NoSuchOption { options: options.len() },
        },
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Counts Ctrl-C.
#[derive(Debug, Default)]
pub(super) struct Breaks {
    last: Option<Timestamp>,
}

impl Breaks {
    /// True: the second one in time, so leave.
    pub(super) fn pressed(&mut self, now: Timestamp) -> bool {
        let twice = self.last.is_some_and(|last| now - last <= TWICE);
        self.last = Some(now);
        twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::PermissionOption;

    fn permission() -> Permission {
        let option = |id: &str| PermissionOption {
            option_id: id.into(),
            name: id.into(),
            kind: "allow_once".into(),
        };
        Permission {
            permission_id: "p".into(),
            tool_call: serde_json::Value::Null,
            options: vec![option("yes"), option("no")],
            expires_at: Timestamp::from_millis(0),
        }
    }

    #[track_caller]
    fn check(line: &str, waiting: Option<&Permission>, expected: &Typed) {
        assert_eq!(read(line, waiting), *expected, "{line:?}");
    }

    #[test]
    fn a_number_answers_the_permission_that_waits() {
        let permission = permission();
        let answer = |answer| Typed::Answer { permission_id: "p".into(), answer };
        check("2", Some(&permission), &answer(Answer::Option("no".into())));
        check("0 ", Some(&permission), &answer(Answer::Cancel));
        check("3", Some(&permission), &Typed::NoSuchOption { options: 2 });
        check("99999999999999999999999", Some(&permission), &Typed::NoSuchOption { options: 2 });
    }

    #[test]
    fn everything_else_is_a_message() {
        check("1", None, &Typed::Message("1".into()));
        check(" 1", Some(&permission()), &Typed::Message("1".into()));
        check("yes", Some(&permission()), &Typed::Message("yes".into()));
        check(" \t", Some(&permission()), &Typed::Nothing);
    }

    #[test]
    fn a_slash_asks_this_program_and_two_ask_the_agent() {
        for (line, expected) in [
            ("/older", Typed::Command(Command::Older(None))),
            (" /older 120 ", Typed::Command(Command::Older(Some(120)))),
            ("/retry 2", Typed::Command(Command::Retry(Some(2)))),
            ("/discard 1", Typed::Command(Command::Discard(1))),
            ("//stop now", Typed::Message("/stop now".into())),
            ("/compact", Typed::Message("/compact".into())),
            (
                "1",
                Typed::Answer { permission_id: "p".into(), answer: Answer::Option("yes".into()) },
            ),
        ] {
            assert_eq!(read_typed(line, Some(&permission())), expected, "{line}");
        }
        for line in ["/stop it", "/older ten", "/older 0", "/discard", "/retry 1 2"] {
            let typed = read_typed(line, None);
            assert!(matches!(typed, Typed::Misused(_)), "{line}: {typed:?}");
        }
    }

    #[test]
    fn the_second_ctrl_c_within_two_seconds_leaves() {
        let mut breaks = Breaks::default();
        let at = |millis| Timestamp::from_millis(millis);
        assert!(!breaks.pressed(at(0)));
        assert!(!breaks.pressed(at(2001)));
        assert!(breaks.pressed(at(4001)));
    }
}
