//! What the machine does with itself: its source of jitter, and transitions that are not legal.

use super::script::Script;
use crate::{domain::State, session::machine::step::Stepping};

#[test]
fn jitter_is_the_known_sequence_of_its_seed() {
    let mut machine = Script::given(super::script::policy()).machine;
    machine.jitter = 1_234_567;
    // The published outputs of SplitMix64 for this seed.
    for expected in [
        6_457_827_717_110_365_317_u64,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
        4_593_380_528_125_082_431,
        16_408_922_859_458_223_821,
    ] {
        let expected = (expected >> 11) as f64 / (1_u64 << 53) as f64;
        assert_eq!(machine.draw().to_bits(), expected.to_bits());
    }
}

#[test]
fn an_illegal_transition_is_refused_and_counted_and_tells_nobody() {
    let script = Script::given(super::script::policy());
    let (mut machine, mut step) = (script.machine, Stepping::at(script.now));
    assert_eq!(machine.session.state, State::Created);
    for count in 1..=2 {
        assert!(!machine.transit(&mut step, State::Suspended, None));
        assert_eq!(machine.stats.invalid_transitions, count);
    }
    assert_eq!((machine.session.state, machine.session.run), (State::Created, 0));
    assert!(step.step.drafts.is_empty() && !step.step.changed);
    assert!(machine.transit(&mut step, State::Starting, None));
    assert_eq!((machine.session.run, step.step.drafts.len()), (1, 1));
    assert_eq!(machine.stats.invalid_transitions, 2);
}
