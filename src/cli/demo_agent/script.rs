//! The demo agent's commands: what a prompt's text asks it to act. Only reading is done here.

use super::End;
use std::time::Duration;

/// The largest chunk that `big` makes, in bytes.
const BIG_MAX: usize = 64 * 1024 * 1024;

const SLOW_STEP: Duration = Duration::from_millis(100);

/// What a turn does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Echo(String),
    Slow { chunks: u64, step: Duration },
    Tool,
    Ask,
    Think,
    Plan,
    Crash(End),
    Exit(u8),
    Hang,
    Deaf,
    Flood(u64),
    Big(usize),
    IgnoreInterrupt,
    Fork,
    Stderr(String),
    Garbage,
    Help,
}

pub(super) const HELP: &str = "\
Whatever you write comes back to you, and these do something else:
  slow N [MS]       N chunks, MS milliseconds apart (100)
  tool              a tool call that completes
  ask               asks for a permission and goes on as you answer
  think             thinks, then answers
  plan              makes a plan and follows it
  crash [N|signal]  exits with N (1) in the middle of a word, or kills itself
  exit N            ends the turn, then exits with N
  hang              a turn that only a cancel ends
  deaf              the same, and reads its stdin no more: only a signal ends it
  ignore-interrupt  a turn that goes on through cancel, end of stdin and SIGINT, until SIGTERM
  flood N           N chunks as fast as they are taken
  big BYTES         one chunk of that size, up to 67108864
  fork              leaves two grandchildren running, one in a session of its own
  stderr TEXT       writes TEXT to stderr
  garbage           writes lines to stdout that are no messages
  help              this
";

impl Act {
    /// A text is a command only if all of it is one: `plan` is, `plan a trip` is something to echo.
    pub(super) fn parse(text: &str) -> Self {
        Self::command(text.trim()).unwrap_or_else(|| Self::Echo(text.to_owned()))
    }

    fn command(text: &str) -> Option<Self> {
        if let Some(text) = text.strip_prefix("stderr ") {
            return Some(Self::Stderr(text.to_owned()));
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        Some(match words[..] {
            ["slow", chunks] => Self::Slow { chunks: chunks.parse().ok()?, step: SLOW_STEP },
            ["slow", chunks, millis] => Self::Slow {
                chunks: chunks.parse().ok()?,
                step: Duration::from_millis(millis.parse().ok()?),
            },
            ["tool"] => Self::Tool,
            ["ask"] => Self::Ask,
            ["think"] => Self::Think,
            ["plan"] => Self::Plan,
            ["crash"] => Self::Crash(End::Exit(1)),
            ["crash", "signal"] => Self::Crash(End::Killed),
            ["crash", code] => Self::Crash(End::Exit(code.parse().ok()?)),
            ["exit", code] => Self::Exit(code.parse().ok()?),
            ["hang"] => Self::Hang,
            ["deaf"] => Self::Deaf,
            ["flood", chunks] => Self::Flood(chunks.parse().ok()?),
            ["big", bytes] => Self::Big(bytes.parse().ok().filter(|bytes| *bytes <= BIG_MAX)?),
            ["ignore-interrupt"] => Self::IgnoreInterrupt,
            ["fork"] => Self::Fork,
            ["garbage"] => Self::Garbage,
            ["help"] => Self::Help,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_numbers() {
        let slow = |chunks, millis| Act::Slow { chunks, step: Duration::from_millis(millis) };
        for (text, act) in [
            ("slow 3", slow(3, 100)),
            (" slow 3 5\n", slow(3, 5)),
            ("crash", Act::Crash(End::Exit(1))),
            ("crash 7", Act::Crash(End::Exit(7))),
            ("crash signal", Act::Crash(End::Killed)),
            ("exit 0", Act::Exit(0)),
            ("flood 1000", Act::Flood(1000)),
            ("big 67108864", Act::Big(BIG_MAX)),
            ("stderr oh no", Act::Stderr("oh no".to_owned())),
        ] {
            assert_eq!(Act::parse(text), act, "{text}");
        }
    }

    #[test]
    fn what_is_not_wholly_a_command_is_echoed() {
        for text in ["", "plan a trip", "slow down", "crash 256", "exit", "big 67108865", "Tool"] {
            assert_eq!(Act::parse(text), Act::Echo(text.to_owned()));
        }
    }

    #[test]
    fn every_command_in_the_help_is_one() {
        for line in HELP.lines().skip(1) {
            let usage = line.split_whitespace().next().unwrap();
            let known = [usage.to_owned(), format!("{usage} 1")];
            let is_command = |text: &String| *text == "stderr 1" || Act::command(text).is_some();
            assert!(known.iter().any(is_command), "{usage}");
        }
    }
}
