//! The command line: what the server says for itself, and what a profile therefore may not.

use super::prompt::derived;
use crate::agent::CodecOptions;

/// Without values.
const OURS: [&str; 6] = [
    "--input-format=stream-json",
    "--output-format=stream-json",
    // The agent asks for it where the output is a stream.
    "--verbose",
    "--include-partial-messages",
    // Permissions are asked of us, not refused.
    "--permission-prompt-tool=stdio",
    "--print",
];

/// Those that begin or choose a session: who may, decides which sessions have two writers.
const OF_SESSIONS: [&str; 8] = [
    "--session-id",
    "--resume",
    "-r",
    "--continue",
    "-c",
    "--fork-session",
    "--from-pr",
    "--no-session-persistence",
];

/// Another session of the agent for each run that resumes none, so that an id is never one that is in use.
pub(super) fn session_id(options: &CodecOptions) -> String {
    match &options.resume {
        Some(session) => session.clone(),
        None => derived(&options.session, "run", &options.run.to_string()),
    }
}

pub(in crate::agent) fn arguments(options: &CodecOptions) -> Vec<String> {
    let session = match &options.resume {
        Some(session) => format!("--resume={session}"),
        None => format!("--session-id={}", session_id(options)),
    };
    OURS.into_iter().map(str::to_owned).chain([session]).collect()
}

/// The first of a profile's arguments that is ours to say.
pub(in crate::agent) fn reserved_argument(args: &[String]) -> Option<&str> {
    let is_reserved = |arg: &&String| {
        let name = arg.split('=').next().unwrap_or_default();
        let ours = OURS.iter().filter_map(|ours| ours.split('=').next());
        name == "-p" || ours.chain(OF_SESSIONS).any(|ours| ours == name)
    };
    args.iter().find(is_reserved).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_resumes_or_begins_a_session_of_its_own() {
        let first = CodecOptions { run: 1, ..CodecOptions::default() };
        let second = CodecOptions { run: 2, ..CodecOptions::default() };
        let resumed = CodecOptions { resume: Some("-x".into()), ..second.clone() };
        let last = |options: &CodecOptions| arguments(options).pop().unwrap();
        let id = last(&first).strip_prefix("--session-id=").unwrap().to_owned();
        assert_eq!(id.parse::<uuid::Uuid>().unwrap().to_string(), id);
        assert_eq!(last(&first), last(&first));
        assert_ne!(last(&first), last(&second));
        assert_eq!(last(&resumed), "--resume=-x");
    }

    #[test]
    fn what_the_server_says_a_profile_may_not() {
        let found = |args: &[&str]| {
            let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
            reserved_argument(&args).map(str::to_owned)
        };
        assert_eq!(found(&["--model=opus", "--permission-mode", "plan", "--resumed"]), None);
        for reserved in ["--resume=x", "-c", "--verbose", "--output-format", "-p", "--session-id"] {
            assert_eq!(found(&["--model", "opus", reserved]).as_deref(), Some(reserved));
        }
    }
}
