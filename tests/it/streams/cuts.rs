//! Cuts by the network, wherever they fall in what is on the wire: a client that only reconnects loses nothing and sees
//! nothing twice. What the client itself closes is not here.

use super::support::{Contiguous, EventSource, active, grow, json};
use crate::support::{Driven, End, Flow, Process, Proxy, Rules, Spot, Sse, Write, is};
use std::{collections::BTreeMap, time::Duration};

/// What a page has seen through its `EventSource`: its place in each session.
struct Page {
    source: EventSource,
    places: BTreeMap<String, Contiguous>,
    /// Sessions whose agent has come to the end of its turn.
    ended: usize,
    snapshots: usize,
}

impl Page {
    /// A page that has seen these sessions up to these seqs.
    fn open(server: &crate::support::Api, places: &[(&str, u64)]) -> Self {
        let ids: Vec<_> = places.iter().map(|(id, _)| *id).collect();
        let after: Vec<_> = places.iter().map(|(id, seq)| format!("{id}:{seq}")).collect();
        let path = format!("/v1/stream?sessions={}&after={}", ids.join(","), after.join(","));
        let places = places.iter().map(|(id, seq)| ((*id).into(), Contiguous::after(*seq)));
        Self {
            source: EventSource::new(server, path),
            places: places.collect(),
            ended: 0,
            snapshots: 0,
        }
    }

    /// Takes the next frame; false where there is none any more.
    async fn take(&mut self, stream: &mut Sse) -> bool {
        let Some(frame) = stream.next().await else { return false };
        self.source.dispatched(&frame);
        let data = json(&frame);
        if let Some(place) = data["session_id"].as_str().and_then(|id| self.places.get_mut(id)) {
            place.take(&frame);
        }
        self.ended += usize::from(data["type"] == "turn.ended");
        self.snapshots += usize::from(frame.event == "snapshot");
        true
    }

    #[track_caller]
    fn has_all(&self, heads: &[(&str, u64)]) {
        for (id, head) in heads {
            let place = &self.places[*id];
            assert_eq!((place.cursor, place.missed), (*head, 0), "{id}");
        }
    }
}

fn cut(after: usize) -> Rules {
    let how = if after.is_multiple_of(2) { End::Close } else { End::Reset };
    Rules { down: Flow { cut_after: Some(after), how, ..Flow::default() }, ..Rules::default() }
}

/// Scenario 7. The head of the answer is cut here and there, the frames behind every byte.
#[tokio::test]
async fn a_cut_behind_any_byte_costs_no_event_and_repeats_none() {
    let server = Driven::start("").await;
    let (a, head_of_a) = active(&server, "cat").await;
    let (b, head_of_b) = active(&server, "cat").await;
    let heads = [(a.as_str(), head_of_a), (b.as_str(), head_of_b)];
    let begin = heads.map(|(id, head)| (id, head - 1));
    let proxy = Proxy::to(&server);
    let through = proxy.through(&server);
    let mut bytes = 0;
    loop {
        proxy.each(move |_| cut(bytes));
        let mut page = Page::open(&through, &begin);
        if let Some(mut stream) = page.source.try_connect().await {
            while page.take(&mut stream).await {}
        }
        if page.snapshots == 2 {
            break;
        }
        proxy.each(|_| Rules::default());
        page.snapshots = 0;
        let mut stream = page.source.connect().await;
        while page.snapshots < 2 {
            assert!(page.take(&mut stream).await, "the stream ended after a cut behind {bytes}");
        }
        page.has_all(&heads);
        bytes += if bytes < 400 { 50 } else { 1 };
    }
    assert!(bytes > 1_000, "{bytes} bytes are less than the frames have");
}

/// Numbers that a failure can be repeated with.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn below_usize(&mut self, limit: u64) -> usize {
        usize::try_from(self.below(limit)).expect("a small number")
    }

    /// A connection that breaks somewhere, and is no good until then either.
    fn broken(&mut self) -> Rules {
        let mut rules = cut(300 + self.below_usize(20_000));
        rules.down.write = match self.below(3) {
            0 => Write::AsTheyCome,
            1 => Write::Split(1),
            _ => Write::Join(1 + self.below_usize(3_000)),
        };
        rules.down.delay = Duration::from_millis(self.below(4));
        rules
    }
}

/// Scenario 7.
#[tokio::test]
async fn three_talking_sessions_come_whole_by_last_event_id_alone_over_thirty_cuts() {
    let server = Process::start("[streams]\nmax_replay_gap = 100000").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = server.create("demo").await;
        server.send(&id, "m1", "slow 100000 3").await;
        server.look_until(&id, is("agent.message")).await;
        ids.push(id);
    }
    let seed = uuid::Uuid::new_v4().as_u64_pair().0 | 1;
    println!("seed {seed}");
    let mut random = Random(seed);
    let proxy = Proxy::to(&server);
    proxy.each(move |number| if number < 30 { random.broken() } else { Rules::default() });
    let begin: Vec<_> = ids.iter().map(|id| (id.as_str(), 0)).collect();
    let mut page = Page::open(&proxy.through(&server), &begin);
    let mut is_interrupted = false;
    while page.ended < 3 {
        let Some(mut stream) = page.source.try_connect().await else { continue };
        // The last one that is cut may be connected still.
        if proxy.cuts() == 30 && !std::mem::replace(&mut is_interrupted, true) {
            for id in &ids {
                assert!(server.interrupt(id).await);
            }
        }
        while page.ended < 3 && page.take(&mut stream).await {}
    }
    assert_eq!(proxy.cuts(), 30);
    let mut heads = Vec::new();
    for id in &ids {
        let head = server.session(id).await["head_seq"].as_u64().unwrap();
        heads.push((id.as_str(), head));
    }
    // What ends an interrupt comes behind the end of its turn.
    let at_head = |page: &Page| heads.iter().all(|(id, head)| page.places[*id].cursor >= *head);
    let mut stream = page.source.connect().await;
    while !at_head(&page) {
        assert!(page.take(&mut stream).await);
    }
    assert!(page.places.values().all(|place| place.missed == 0));
}

/// Scenario 23.
#[tokio::test]
async fn an_event_that_was_cut_off_comes_first_and_once_on_the_next_connection() {
    let server = Driven::start("").await;
    let (id, head) = active(&server, "cat").await;
    let proxy = Proxy::to(&server);
    let mut page = Page::open(&proxy.through(&server), &[(&id, head)]);
    let mut stream = page.source.connect().await;
    while page.snapshots == 0 {
        assert!(page.take(&mut stream).await);
    }
    let broken = head + 6;
    proxy.last().change(|rules| {
        rules.down.cut_at = Some(Spot { text: format!("\"seq\":{broken},"), then: 3 });
    });
    let head = grow(&server, &id, 10).await;
    while page.take(&mut stream).await {}
    assert_eq!(page.places[&id].cursor, broken - 1, "what was whole came");
    server.streams_open(0).await;
    let head = head + 5;
    grow(&server, &id, 5).await;
    let mut stream = page.source.connect().await;
    while page.snapshots < 2 {
        // No later event overtakes it, or its place would not be contiguous.
        assert!(page.take(&mut stream).await);
    }
    page.has_all(&[(&id, head)]);
}

/// Scenario 29. The reader is held in the middle of what it missed, while more is committed.
#[tokio::test]
async fn what_is_committed_while_missed_events_are_on_their_way_comes_behind_them_and_before_the_snapshot()
 {
    let server = Driven::start("[streams]\nmax_replay_gap = 100000").await;
    let (id, head) = active(&server, "cat").await;
    let last = super::burst::overflow(&server, &id).await;
    let proxy = Proxy::to(&server);
    let mut page = Page::open(&proxy.through(&server), &[(&id, head)]);
    let mut stream = page.source.connect().await;
    proxy.last().hold(true);
    let last = last + 20;
    assert_eq!(grow(&server, &id, 20).await, last);
    assert_eq!(server.registry.sync().await.unwrap().nudged, 1, "it is not through");
    proxy.last().hold(false);
    while page.snapshots == 0 {
        assert!(page.take(&mut stream).await);
    }
    page.has_all(&[(&id, last)]);
    grow(&server, &id, 3).await;
    while page.places[&id].cursor < last + 3 {
        assert!(page.take(&mut stream).await);
    }
    page.has_all(&[(&id, last + 3)]);
}
