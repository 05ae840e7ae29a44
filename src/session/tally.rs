//! What a session's steps add to the server's counts. It reads the events and what the machine counted; what they say
//! is decided elsewhere.

use super::machine::Stats;
use crate::{
    domain::{
        Body, Draft, State,
        event::{Escalation, Exit, TransportFault},
    },
    metrics::{Interrupt, Metrics, Restart},
};
use std::sync::Arc;

pub(super) struct Tally {
    metrics: Arc<Metrics>,
    /// What the machine had counted before.
    stats: Stats,
    /// Why the current child is about to die, where its end will not tell.
    expected: Option<Restart>,
}

impl Tally {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics, stats: Stats::default(), expected: None }
    }

    /// Whatever the child's end looks like, this is its cause.
    pub(super) fn expect(&mut self, cause: Restart) {
        self.expected = Some(cause);
    }

    /// Counts one step; `stats` as the machine has them after it.
    pub(super) fn count(&mut self, drafts: &[Draft], stats: Stats) {
        let metrics = &self.metrics;
        let before = std::mem::replace(&mut self.stats, stats);
        if stats != before {
            metrics.invalid_transitions.add(stats.invalid_transitions - before.invalid_transitions);
            metrics.late_reports.add(stats.late_reports - before.late_reports);
        }
        let mut cause = None;
        for draft in drafts {
            match &draft.body {
                Body::InterruptRequested { .. } => metrics.interrupts_requested.add(1),
                Body::InterruptCompleted { .. } => {
                    metrics.interrupts.of(Interrupt::Completed).add(1)
                }
                Body::InterruptFailed { escalated_to, .. } => {
                    metrics.interrupts.of(outcome(*escalated_to)).add(1);
                    if *escalated_to == Escalation::Restart {
                        self.expected = Some(Restart::Interrupt);
                    }
                }
                // What failed before the exit says more than the exit that came of it.
                Body::TransportFailed { code, .. } => cause = cause.or(Some(fault(*code))),
                Body::TransportExited(exit) => cause = cause.or(Some(ending(exit))),
                Body::TransportRestarting { .. } => {
                    let cause = self.expected.or(cause).unwrap_or(Restart::Spawn);
                    metrics.restarts.of(cause).add(1);
                }
                Body::TransportGaveUp { .. } => metrics.gave_up.add(1),
                // Another child, with an end of its own.
                Body::SessionState { to, .. } if *to == State::Starting => {
                    self.expected = None;
                }
                _ => {}
            }
        }
    }
}

fn outcome(escalated_to: Escalation) -> Interrupt {
    match escalated_to {
        Escalation::None => Interrupt::Failed,
        Escalation::Sigint => Interrupt::EscalatedToSigint,
        Escalation::Restart => Interrupt::EscalatedToRestart,
    }
}

fn fault(code: TransportFault) -> Restart {
    match code {
        TransportFault::AuthRequired => Restart::AuthRequired,
        TransportFault::Handshake => Restart::Handshake,
        TransportFault::Protocol => Restart::Protocol,
        TransportFault::Resume => Restart::Resume,
        TransportFault::Spawn => Restart::Spawn,
    }
}

fn ending(exit: &Exit) -> Restart {
    if exit.signal.is_some() { Restart::Signal } else { Restart::Exit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ClientState, Timestamp};

    fn drafts(bodies: Vec<Body>) -> Vec<Draft> {
        let ts = Timestamp::from_millis(0);
        bodies.into_iter().map(|body| Draft { run: 1, ts, body }).collect()
    }

    fn restart(exit: Exit) -> Vec<Draft> {
        drafts(vec![
            Body::TransportExited(exit),
            Body::TransportRestarting { attempt: 1, delay_ms: 200 },
            Body::SessionState {
                from: None,
                to: State::Starting,
                reason: None,
                client_state: ClientState::Idle,
            },
        ])
    }

    fn signalled() -> Exit {
        Exit { signal: Some(9), ..Exit::default() }
    }

    /// How often there were restarts, by cause.
    fn restarts(metrics: &Metrics) -> Vec<(Restart, u64)> {
        let counted = Restart::ALL.map(|cause| (cause, metrics.restarts.of(cause).get()));
        counted.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn a_restart_counts_under_what_brought_it_about() {
        let failed = |escalated_to| {
            drafts(vec![Body::InterruptFailed {
                by: "ann".into(),
                reason: "no answer".into(),
                escalated_to,
            }])
        };
        let (metrics, none) = (Arc::new(Metrics::default()), Stats::default());
        let mut tally = Tally::new(metrics.clone());
        tally.count(&restart(Exit { exit_code: Some(1), ..Exit::default() }), none);
        tally.count(&restart(signalled()), none);
        assert_eq!(restarts(&metrics), [(Restart::Exit, 1), (Restart::Signal, 1)]);
        tally.count(&failed(Escalation::Sigint), none);
        tally.count(&failed(Escalation::Restart), none);
        tally.count(&restart(signalled()), none);
        assert_eq!(metrics.restarts.of(Restart::Interrupt).get(), 1);
        // That was one child's interrupt; the next one died of something else.
        tally.count(&restart(signalled()), none);
        tally.expect(Restart::Killed);
        tally.count(&restart(signalled()), none);
        let counted = [
            (Restart::Exit, 1),
            (Restart::Signal, 2),
            (Restart::Interrupt, 1),
            (Restart::Killed, 1),
        ];
        assert_eq!(restarts(&metrics), counted);
        assert_eq!(metrics.interrupts.of(Interrupt::EscalatedToSigint).get(), 1);
        assert_eq!(metrics.interrupts.of(Interrupt::EscalatedToRestart).get(), 1);
    }

    #[test]
    fn what_the_machine_counts_is_added_once() {
        let metrics = Arc::new(Metrics::default());
        let mut tally = Tally::new(metrics.clone());
        let stats = |invalid_transitions, late_reports| Stats { invalid_transitions, late_reports };
        for (invalid, late) in [(0, 1), (0, 1), (2, 3)] {
            tally.count(&[], stats(invalid, late));
        }
        assert_eq!((metrics.invalid_transitions.get(), metrics.late_reports.get()), (2, 3));
    }
}
