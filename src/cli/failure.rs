//! How a command fails: one sentence on stderr and an exit code that scripts can rely on. Decides nothing else.

use crate::{
    client::{ClientError, UrlError},
    wire::problem::ErrorCode,
};
use std::{io, process::ExitCode};

/// What was typed or configured cannot be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub(super) String);

/// The server did what was asked, and it did not end well.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unsuccessful(pub(super) String);

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;

/// `flag`: what names the server on the command line.
pub(super) fn report(error: &anyhow::Error, flag: &str) -> ExitCode {
    // Whoever read our output has seen enough: that is no failure.
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    // There is nobody left to tell if this fails.
    let _ = io::Write::write_all(
        &mut io::stderr(),
        format!("seawall: {}\n", sentence(error, flag)).as_bytes(),
    );
    ExitCode::from(code(error))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused { .. }) => REFUSED,
        Some(_) => UNREACHABLE,
        None if error.downcast_ref::<Unsuccessful>().is_some() => REFUSED,
        None => USAGE,
    }
}

/// What, where, and what to do.
fn sentence(error: &anyhow::Error, flag: &str) -> String {
    let advice = match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreachable { .. }) => {
            format!("; is it running? Start it with `seawall serve`, or name it with {flag}")
        }
        Some(ClientError::Malformed { .. }) => {
            format!("; is that a Seawall? Name the server with {flag}")
        }
        Some(error) if error.code() == Some(ErrorCode::Unauthorized) => {
            "; give a token in $SEAWALL_TOKEN".into()
        }
        None if error.downcast_ref::<UrlError>().is_some() => {
            let variable = flag.trim_start_matches('-').replace('-', "_").to_uppercase();
            format!(" ({flag}, $SEAWALL_{variable})")
        }
        _ => String::new(),
    };
    format!("{error:#}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::problem::Problem;

    fn refused(code: ErrorCode) -> anyhow::Error {
        let problem = Box::new(Problem::new(code, "there is no such session"));
        ClientError::Refused { problem, retry_after: None }.into()
    }

    #[test]
    fn exit_codes_tell_who_said_no() {
        let unreachable = ClientError::Unreachable { url: "u".into(), cause: "c".into() };
        for (error, expected) in [
            (refused(ErrorCode::NotFound), 1),
            (Unsuccessful("the turn failed".into()).into(), 1),
            (Usage("no".into()).into(), 2),
            (anyhow::Error::from(io::Error::other("no")).context(Usage("no".into())), 2),
            (unreachable.clone().into(), 3),
            (anyhow::Error::from(unreachable).context("while attached"), 3),
        ] {
            assert_eq!(code(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn a_refusal_is_the_servers_own_sentence_with_its_code() {
        assert_eq!(
            sentence(&refused(ErrorCode::NotFound), "--url"),
            "there is no such session (not_found)"
        );
        assert!(
            sentence(&refused(ErrorCode::Unauthorized), "--url")
                .ends_with("; give a token in $SEAWALL_TOKEN")
        );
    }

    #[test]
    fn the_advice_names_the_flag_of_the_command() {
        let gone = ClientError::Unreachable { url: "u".into(), cause: "c".into() };
        assert!(sentence(&gone.into(), "--admin-url").ends_with("or name it with --admin-url"));
        let wrong = crate::client::Admin::new("unix:relative", None).unwrap_err();
        let said = sentence(&wrong.into(), "--admin-url");
        assert!(said.ends_with("(--admin-url, $SEAWALL_ADMIN_URL)"), "{said}");
    }

    #[test]
    fn a_broken_pipe_is_no_failure() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&error.context("while printing")));
    }
}
