//! `seawall guard`, hidden: the parent that the server gives every child. Nobody runs it by hand, and it has no options.

use std::process::ExitCode;

pub fn run() -> ExitCode {
    match crate::process::guard::stand() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "seawall guard: {error}; it is for the server to run, with a socket as its stdin"
            );
            ExitCode::from(2)
        }
    }
}
