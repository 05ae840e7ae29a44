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
    fn the_second_ctrl_c_within_two_seconds_leaves() {
        let mut breaks = Breaks::default();
        let at = |millis| Timestamp::from_millis(millis);
        assert!(!breaks.pressed(at(0)));
        assert!(!breaks.pressed(at(2001)));
        assert!(breaks.pressed(at(4001)));
    }
}
