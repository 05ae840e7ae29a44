//! What a session's step means to those who watch over it: its child runs, or it failed and why. Read off the events,
//! which tell it to everybody else too; nothing is decided by it. The log has the changes of state as well.

use crate::domain::{Body, Draft, SessionId, State, event::Exit};

/// News of a session's child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChildNews {
    Started,
    /// It failed, and is started again or given up on.
    Failed {
        cause: String,
    },
}

/// The news in the events of one step; None where they have none.
pub(crate) fn of(drafts: &[Draft]) -> Option<ChildNews> {
    let mut cause = None;
    let mut news = None;
    for draft in drafts {
        match &draft.body {
            Body::TransportFailed { detail, .. } => cause = Some(detail.clone()),
            // What failed before the exit says more than the exit that came of it.
            Body::TransportExited(exit) => cause = cause.or_else(|| Some(ending(exit))),
            Body::TransportStarted { .. } => news = Some(ChildNews::Started),
            Body::TransportRestarting { .. } | Body::TransportGaveUp { .. } => {
                let cause = cause.take().unwrap_or_else(|| "it could not be started".into());
                news = Some(ChildNews::Failed { cause });
            }
            _ => {}
        }
    }
    news
}

/// A line for each change of state: its end is news for who looks after the server, the rest for who looks closer.
pub(crate) fn log(session: SessionId, drafts: &[Draft]) {
    for Draft { run, body, .. } in drafts {
        match body {
            Body::SessionState { to: State::Ended, reason: Some(reason), .. } => {
                log::info!(session:%, run, reason:?; "a session ended");
            }
            Body::SessionState { to, .. } => {
                log::debug!(session:%, run, state:% = to; "a session changed its state");
            }
            _ => {}
        }
    }
}

fn ending(exit: &Exit) -> String {
    match (exit.exit_code, exit.signal) {
        (Some(code), _) => format!("it exited with code {code}"),
        (None, Some(signal)) => format!("it was ended by signal {signal}"),
        (None, None) => "it is gone".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Timestamp, event::TransportFault};

    fn check(bodies: Vec<Body>, expected: Option<ChildNews>) {
        let ts = Timestamp::from_millis(0);
        let drafts: Vec<_> = bodies.into_iter().map(|body| Draft { run: 1, ts, body }).collect();
        assert_eq!(of(&drafts), expected);
    }

    #[test]
    fn a_failure_has_the_cause_that_came_first() {
        let exited = || Body::TransportExited(Exit { exit_code: Some(3), ..Exit::default() });
        let restarting = || Body::TransportRestarting { attempt: 1, delay_ms: 200 };
        let failed = |cause: &str| Some(ChildNews::Failed { cause: cause.into() });
        check(vec![exited(), restarting()], failed("it exited with code 3"));
        let code = TransportFault::Protocol;
        let fault = Body::TransportFailed { code, detail: "it talks nonsense".into() };
        check(vec![fault, exited(), restarting()], failed("it talks nonsense"));
        check(
            vec![exited(), Body::TransportGaveUp { attempt: 4 }],
            failed("it exited with code 3"),
        );
        check(vec![exited()], None);
        check(vec![], None);
    }
}
