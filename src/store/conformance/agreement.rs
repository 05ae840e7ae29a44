//! Whatever is done, every backend gives the same answers: random histories, compared step by step.

use super::{Subject, sample};
use crate::{
    domain::{Seq, State, Timestamp},
    store::{PageFrom, PageQuery, Retention, SessionQuery},
};
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    Create(u64),
    Append { session: u64, events: usize, at: i64 },
    Send { session: u64, message: u8 },
    Dispatch { session: u64, message: u8 },
    Fail { session: u64, message: u8 },
    Update { session: u64, at: i64, state: usize, runs: bool },
    Prune { since: Option<i64>, events: Option<u64> },
    Delete(u64),
    Page { session: u64, from: PageFrom, limit: usize, max_bytes: usize, typed: bool },
    List { limit: usize, at: Option<(i64, u64)>, state: Option<usize> },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..4_u64;
    let seq = (0..30_u64).prop_map(Seq);
    let from = prop_oneof![
        seq.clone().prop_map(PageFrom::After),
        seq.prop_map(PageFrom::Before),
        Just(PageFrom::Newest)
    ];
    prop_oneof![
        2 => session.clone().prop_map(Step::Create),
        4 => (session.clone(), 0..4_usize, 0..9_i64)
            .prop_map(|(session, events, at)| Step::Append { session, events, at }),
        4 => (session.clone(), 0..4_u8)
            .prop_map(|(session, message)| Step::Send { session, message }),
        2 => (session.clone(), 0..4_u8)
            .prop_map(|(session, message)| Step::Dispatch { session, message }),
        2 => (session.clone(), 0..4_u8)
            .prop_map(|(session, message)| Step::Fail { session, message }),
        2 => (session.clone(), 0..5_i64, 0..7_usize, any::<bool>())
            .prop_map(|(session, at, state, runs)| Step::Update { session, at, state, runs }),
        2 => (proptest::option::of(0..9_i64), proptest::option::of(0..9_u64))
            .prop_map(|(since, events)| Step::Prune { since, events }),
        1 => session.clone().prop_map(Step::Delete),
        4 => (session, from, 0..8_usize, 0..600_usize, any::<bool>()).prop_map(
            |(session, from, limit, max_bytes, typed)| {
                Step::Page { session, from, limit, max_bytes, typed }
            }
        ),
        2 => (0..5_usize, proptest::option::of((0..5_i64, 0..4_u64)), proptest::option::of(0..7_usize))
            .prop_map(|(limit, at, state)| Step::List { limit, at, state }),
        1 => Just(Step::Reopen),
    ]
}

/// Does the step; all that can be seen of it, as text.
async fn answer(subject: &mut Subject, step: &Step) -> String {
    match step {
        Step::Create(number) => format!("{:?}", subject.create(sample::create(*number)).await),
        Step::Append { session, events, at } => {
            let events = (0..*events).map(|_| sample::output_at(*at)).collect();
            format!("{:?}", subject.append(sample::append(*session, events)).await)
        }
        Step::Send { session, message } => {
            let send = sample::send(*session, &format!("m{message}"), "hello");
            format!("{:?}", subject.append(send).await)
        }
        Step::Dispatch { session, message } => {
            let event = sample::dispatched(&format!("m{message}"));
            format!("{:?}", subject.append(sample::append(*session, vec![event])).await)
        }
        Step::Fail { session, message } => {
            let event = sample::failed(&format!("m{message}"));
            format!("{:?}", subject.append(sample::append(*session, vec![event])).await)
        }
        Step::Update { session, at, state, runs } => {
            let mut row = if *runs { sample::running(*session) } else { sample::session(*session) };
            (row.updated_at, row.state) = (Timestamp::from_millis(*at), State::ALL[*state]);
            let mut append = sample::append(*session, vec![sample::titled("t")]);
            append.row = Some(Arc::new(row));
            format!("{:?}", subject.append(append).await)
        }
        Step::Prune { since, events } => {
            let since = since.map(Timestamp::from_millis);
            format!("{:?}", subject.prune(Retention { since, events: *events }).await)
        }
        Step::Delete(number) => format!("{:?}", subject.delete(sample::id(*number)).await),
        Step::Page { session, from, limit, max_bytes, typed } => {
            let types = if *typed { vec!["agent.output".to_string()] } else { Vec::new() };
            let query = sample::query(*session, *from, *limit);
            format!("{:?}", subject.page(PageQuery { max_bytes: *max_bytes, types, ..query }).await)
        }
        Step::List { limit, at, state } => {
            let query = SessionQuery {
                limit: *limit,
                after: at.map(|(at, number)| (Timestamp::from_millis(at), sample::id(number))),
                state: state.map(|state| State::ALL[state]),
                ..SessionQuery::default()
            };
            format!("{:?}", subject.sessions(query).await)
        }
        Step::Reopen => {
            subject.reopen().await;
            String::new()
        }
    }
}

/// All that can be asked of a log.
async fn everything(subject: &Subject) -> String {
    let mut seen = String::new();
    for number in 0..4 {
        let id = sample::id(number);
        let page = subject.page(sample::query(number, PageFrom::Newest, usize::MAX)).await;
        seen += &format!("{:?}\n{page:?}\n", subject.session(id).await);
        seen += &format!("{:?}\n", subject.queued(id).await);
        for message in 0..4 {
            let message = sample::message_id(&format!("m{message}"));
            seen += &format!("{:?} ", subject.message(id, message.clone()).await);
            seen += &format!("{:?}\n", subject.content(id, message).await);
        }
    }
    let mut unfinished = subject.unfinished().await.unwrap().sessions;
    unfinished.sort_by_key(|row| row.session.id);
    seen + &format!("{unfinished:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_backend_gives_the_same_answers(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut memory = Subject::memory();
            let mut others = [Subject::sqlite(), Subject::packing()];
            for step in &steps {
                let expected = answer(&mut memory, step).await;
                for other in &mut others {
                    assert_eq!(answer(other, step).await, expected, "{step:?}");
                }
            }
            for other in &others {
                assert_eq!(everything(other).await, everything(&memory).await);
            }
        });
    }
}
