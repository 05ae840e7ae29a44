//! The words of the command line and their help. Nothing here does anything.

use super::{
    admin::Admin, bench::Bench, doctor::Doctor, ls::Ls, new::New, restore::Restore, send::Send,
    target::Target, token::Token,
};
use clap::{Parser, Subcommand};
use std::{path::PathBuf, time::Duration};

/// Keeps sessions with coding agents alive, durable and within reach.
#[derive(Debug, Parser)]
#[command(
    name = "seawall",
    version,
    help_template = HELP,
    after_help = EXAMPLES,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) target: Target,

    /// Print the API's own JSON, one object a line.
    #[arg(long, global = true, help_heading = "Output")]
    pub(super) json: bool,

    #[command(subcommand)]
    pub(super) command: Command,
}

const HELP: &str = "\
{about}

Usage: {usage}

Work with sessions:
  new AGENT        make a session, and give it its first message
  ls               list sessions, or follow the list
  show ID          show one session
  attach ID        follow a session, type to it, answer its questions
  send ID TEXT     send a message and wait for the receipt, or for the answer
  events ID        print the events as JSON lines, and follow them

Steer and end them:
  interrupt ID     cancel the running turn
  stop ID          end the session's agent
  resume ID        start the agent of an ended session again
  rm ID            delete a session with its history

Run the server:
  serve            run it
  check-config     find every fault of a configuration file
  doctor [AGENT]   start agents as the server would, and say what is missing
  token            make a token and the lines for the configuration
  bench            measure what this machine can do

Look after it:
  admin COMMAND    what an administrator sees and does: status, tree, kill, drain, backup and more
  restore FILE     put a backup into the place of the database
  completions SHELL  print completions for a shell

{options}{after-help}
";

const EXAMPLES: &str = "\
An ID may be shortened to the first characters that no other session has.

First minute, in two terminals:
  seawall serve
  seawall new demo -m 'hello' --attach

Later:
  seawall ls
  seawall send 0198c2f4 'now run the tests' --wait
  seawall events 0198c2f4 --follow | jq .type

Exit codes: 0 done, 1 the server said no, 2 usage or configuration, 3 no server reached.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    New(New),
    Ls(Ls),
    /// Show one session.
    Show {
        #[command(flatten)]
        session: SessionArg,
    },
    /// Follow a session and send what is typed.
    #[command(after_help = ATTACH)]
    Attach {
        #[command(flatten)]
        session: SessionArg,
        /// Begin after this event instead of with the newest; 0 shows everything.
        #[arg(long, value_name = "SEQ")]
        after: Option<u64>,
    },
    Send(Send),
    /// Print a session's events as JSON lines, the stored bytes.
    #[command(after_help = EVENTS)]
    Events {
        #[command(flatten)]
        session: SessionArg,
        /// Begin after this event.
        #[arg(long, value_name = "SEQ", default_value_t = 0)]
        after: u64,
        /// Go on with what happens from now on, over broken connections too.
        #[arg(short, long)]
        follow: bool,
    },
    /// Cancel the running turn. Messages that wait are then taken up.
    Interrupt {
        #[command(flatten)]
        session: SessionArg,
    },
    /// End the session's agent: gently, then by force.
    Stop {
        #[command(flatten)]
        session: SessionArg,
        /// Time for the gentle part, such as 30s; at most 10m.
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        grace: Option<Duration>,
    },
    /// Start the agent of an ended session again.
    Resume {
        #[command(flatten)]
        session: SessionArg,
    },
    /// Delete a session with its history. There is no way back.
    Rm {
        #[command(flatten)]
        session: SessionArg,
    },
    /// Run the server.
    Serve {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Find every fault of the configuration, with file, line and key. Starts nothing.
    CheckConfig {
        #[command(flatten)]
        config: ConfigArg,
        /// Show the configuration in effect, and where each value came from.
        #[arg(long)]
        print: bool,
    },
    Doctor(Doctor),
    Token(Token),
    Bench(Bench),
    Restore(Restore),
    /// Print completions for a shell, to be put where that shell looks for them.
    Completions {
        shell: clap_complete::Shell,
    },
    /// Write the pages for `man`, one a command.
    #[command(hide = true)]
    Man {
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    Admin(Admin),
}

#[derive(Debug, clap::Args)]
pub(super) struct SessionArg {
    /// The session's id, or the first characters of it.
    #[arg(id = "session", value_name = "ID")]
    text: String,
}

impl std::ops::Deref for SessionArg {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ConfigArg {
    /// The configuration file [else $SEAWALL_CONFIG, else /etc/seawall/seawall.toml, else the built-in defaults].
    #[arg(id = "config", long = "config", value_name = "FILE")]
    path: Option<PathBuf>,
}

impl ConfigArg {
    pub(super) fn as_deref(&self) -> Option<&std::path::Path> {
        self.path.as_deref()
    }
}

const ATTACH: &str = "\
While attached:
  a line          is sent as a message, once, as soon as the server can be reached
  a number        answers the permission that is asked for
  /help           lists the commands: older history, what waits, interrupt, stop
  Ctrl-C          interrupts the turn; twice within two seconds leaves
  Ctrl-D          leaves; the session goes on

What the server does not have yet is kept in $XDG_STATE_HOME/seawall/outbox (else ~/.local/state)
and sent by the next attach, whatever became of this one.

Examples:
  seawall attach 0198c2f4
  seawall attach 0198c2f4 --after 0        # from the very beginning";

const EVENTS: &str = "\
Examples:
  seawall events 0198c2f4                              # the whole history
  seawall events 0198c2f4 --after 120 --follow         # what came since, then live
  seawall events 0198c2f4 | jq -r 'select(.type==\"agent.message\").data.delta'";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_the_help() {
        for command in Args::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(HELP.contains(&format!("\n  {name} ")), "{name}");
            assert!(command.get_about().is_some(), "{name}");
        }
    }

    #[test]
    fn the_server_can_be_named_before_and_after_the_command() {
        for line in ["seawall --url http://a --json ls", "seawall ls --url http://a --json"] {
            let args = parse(line).unwrap();
            assert!(args.json);
            assert_eq!(args.target.url, "http://a");
        }
    }

    #[test]
    fn a_grace_is_a_duration() {
        let args = parse("seawall stop 1 --grace 1m30s").unwrap();
        assert!(
            matches!(args.command, Command::Stop { grace: Some(grace), .. } if grace.as_secs() == 90)
        );
        assert!(parse("seawall stop 1 --grace soon").is_err());
    }

    #[test]
    fn what_is_wrong_on_the_command_line_is_exit_code_2() {
        for line in [
            "seawall frobnicate",
            "seawall show",
            "seawall ls --state NOWHERE",
            "seawall events 1 --after x",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn a_state_may_be_written_small() {
        let args = parse("seawall ls --state active").unwrap();
        assert!(
            matches!(args.command, Command::Ls(ls) if ls.state == Some(crate::domain::State::Active))
        );
    }
}
