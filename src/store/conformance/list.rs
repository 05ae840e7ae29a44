//! The list of sessions: its order, its filters, its pages; and what recovery has to look at.

use super::{Subject, on_every_backend, sample};
use crate::{
    domain::{Session, State, Timestamp},
    store::SessionQuery,
};
use std::{collections::BTreeMap, sync::Arc};

on_every_backend![
    sessions_are_counted_by_their_state,
    the_list_is_newest_first_and_ties_go_by_id,
    the_list_follows_each_change_of_a_row,
    the_list_is_filtered_by_state_agent_and_what_may_be_seen,
    a_text_is_found_in_title_folder_agent_and_id_whatever_its_case,
    pages_of_the_list_joined_are_the_whole_list,
    recovery_sees_what_is_not_ended_and_what_has_messages_waiting,
];

fn all() -> SessionQuery {
    SessionQuery { limit: 100, ..SessionQuery::default() }
}

/// The numbers of the sessions that the query finds, in order.
async fn find(subject: &Subject, query: SessionQuery) -> Vec<u64> {
    let rows = subject.sessions(query).await.unwrap();
    rows.iter().map(|row| row.session.id.as_uuid().as_u64_pair().1).collect()
}

async fn store(subject: &Subject, session: Session) {
    let mut create = sample::create(0);
    create.session = session;
    subject.create(create).await.unwrap();
}

async fn the_list_is_newest_first_and_ties_go_by_id(mut subject: Subject) {
    for (number, at) in [(4, 50), (1, 50), (2, 70), (3, -10)] {
        let updated_at = Timestamp::from_millis(at);
        store(&subject, Session { updated_at, ..sample::session(number) }).await;
    }
    for _ in 0..2 {
        assert_eq!(find(&subject, all()).await, [2, 1, 4, 3]);
        subject.reopen().await;
    }
}

async fn the_list_follows_each_change_of_a_row(subject: Subject) {
    for number in [1, 2] {
        sample::make(&*subject, number).await;
    }
    assert_eq!(find(&subject, all()).await, [2, 1]);
    let mut row = sample::session(1);
    row.updated_at = Timestamp::from_millis(9_000);
    row.state = State::Active;
    let mut append = sample::append(1, vec![sample::output("x"), sample::output("y")]);
    append.row = Some(Arc::new(row.clone()));
    subject.append(append).await.unwrap();
    assert_eq!(find(&subject, all()).await, [1, 2]);
    assert_eq!(find(&subject, SessionQuery { state: Some(State::Active), ..all() }).await, [1]);
    let listed = subject.sessions(all()).await.unwrap();
    assert_eq!(*listed[0].session, row);
    assert_eq!((listed[0].head.0, listed[0].first.0, listed[0].queued), (3, 1, 0));
}

async fn the_list_is_filtered_by_state_agent_and_what_may_be_seen(subject: Subject) {
    for (number, agent, state) in [
        (1, "claude", State::Active),
        (2, "codex", State::Active),
        (3, "codex", State::Ended),
        (4, "gemini", State::Ended),
    ] {
        store(&subject, Session { agent: agent.into(), state, ..sample::session(number) }).await;
    }
    let (ended, codex) = (Some(State::Ended), Some("codex".to_string()));
    let seen = |names: &[&str]| Some(names.iter().map(|name| name.to_string()).collect());
    assert_eq!(find(&subject, SessionQuery { state: ended, ..all() }).await, [4, 3]);
    assert_eq!(find(&subject, SessionQuery { agent: codex.clone(), ..all() }).await, [3, 2]);
    assert_eq!(
        find(&subject, SessionQuery { state: ended, agent: codex.clone(), ..all() }).await,
        [3]
    );
    let agents = seen(&["claude", "gemini", "no\"such"]);
    assert_eq!(find(&subject, SessionQuery { agents: agents.clone(), ..all() }).await, [4, 1]);
    assert_eq!(find(&subject, SessionQuery { agents, agent: codex, ..all() }).await, [0; 0]);
    assert_eq!(find(&subject, SessionQuery { agents: seen(&[]), ..all() }).await, [0; 0]);
}

async fn a_text_is_found_in_title_folder_agent_and_id_whatever_its_case(subject: Subject) {
    let title = Some("Fix 100% of the_Bugs".to_string());
    store(&subject, Session { title, ..sample::session(1) }).await;
    let cwd = "/srv/Größe".to_string();
    store(&subject, Session { title: None, cwd, ..sample::session(2) }).await;
    store(&subject, Session { agent: "Codex".into(), ..sample::session(0xabc) }).await;
    for (text, expected) in [
        ("fIX", vec![1]),
        ("0% of", vec![1]),
        ("the_b", vec![1]),
        ("the-b", vec![]),
        ("SRV/gr", vec![2]),
        ("größe", vec![2]),
        ("codeX", vec![0xabc]),
        ("-000000000ABC", vec![0xabc]),
        ("", vec![0xabc, 2, 1]),
    ] {
        let query = SessionQuery { text: Some(text.into()), ..all() };
        assert_eq!(find(&subject, query).await, expected, "{text}");
    }
}

async fn pages_of_the_list_joined_are_the_whole_list(subject: Subject) {
    for number in 0..20 {
        let updated_at = Timestamp::from_millis(number as i64 / 3);
        store(&subject, Session { updated_at, ..sample::session(number) }).await;
    }
    let whole = find(&subject, all()).await;
    assert_eq!(whole.len(), 20);
    for limit in [1, 2, 7] {
        let (mut joined, mut after) = (Vec::new(), None);
        loop {
            let rows = subject.sessions(SessionQuery { after, limit, ..all() }).await.unwrap();
            let Some(last) = rows.last() else { break };
            after = Some((last.session.updated_at, last.session.id));
            joined.extend(rows.iter().map(|row| row.session.id.as_uuid().as_u64_pair().1));
        }
        assert_eq!(joined, whole);
    }
}

async fn recovery_sees_what_is_not_ended_and_what_has_messages_waiting(mut subject: Subject) {
    for (number, state) in
        [(1, State::Active), (2, State::Ended), (3, State::Ended), (4, State::Closing)]
    {
        store(&subject, Session { state, ..sample::session(number) }).await;
    }
    subject.append(sample::send(3, "m", "wake up")).await.unwrap();
    subject.append(sample::send(2, "m", "done")).await.unwrap();
    sample::add(&*subject, 2, vec![sample::dispatched("m")]).await;
    subject.delete(sample::id(4)).await.unwrap();
    subject.reopen().await;
    let rows = subject.unfinished().await.unwrap().sessions;
    let mut found: Vec<_> = rows.iter().map(|row| (row.session.id, row.queued)).collect();
    found.sort();
    assert_eq!(found, [(sample::id(1), 0), (sample::id(3), 1)]);
}

async fn sessions_are_counted_by_their_state(subject: Subject) {
    assert_eq!(subject.stats().await.unwrap().sessions, BTreeMap::new());
    for (number, state) in [(1, State::Created), (2, State::Ended), (3, State::Ended)] {
        sample::make(&*subject, number).await;
        let mut row = sample::session(number);
        row.state = state;
        subject.append(sample::update(row)).await.unwrap();
    }
    subject.append(sample::send(1, "m", "hello")).await.unwrap();
    let stats = subject.stats().await.unwrap();
    assert_eq!(stats.sessions, BTreeMap::from([(State::Created, 1), (State::Ended, 2)]));
    assert_eq!(stats.queued, 1);
}
