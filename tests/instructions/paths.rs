//! The hot paths, each as a function that runs so many operations of it on the parts that the server itself is made of. What
//! an operation is stands beside its name; how its cost is found is not known here.

use bytes::Bytes;
use seawall::{
    agent::{AgentEvent, Codec, CodecOptions, Output, Protocol, RawLine},
    config::{Durability, Restart},
    domain::{
        Body, Draft, Seq, Session, SessionId, StoreId, Timestamp,
        cursor::{SessionKey, Token},
        event::OutputStream,
    },
    http::{Frames, encode_page},
    process::Happened,
    session::{
        machine::{Input, Machine, Policy, first_events},
        tail::{Next, Tail},
    },
    store::{
        Append, Create, Entry, EventLog, Line, PageFrom, PageQuery, Watch,
        sqlite::{RECENT_BYTES, SqliteLog, SqliteOptions},
    },
    supervise::RestartPolicy,
};
use std::{hint::black_box, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;

pub(super) struct Path {
    pub(super) name: &'static str,
    /// In the shorter run.
    pub(super) operations: u64,
    pub(super) run: fn(u64),
}

pub(super) const PATHS: [Path; 9] = [
    // A draft of 256 bytes of text, encoded as the session's actor does it.
    Path { name: "encode", operations: 2000, run: encode },
    // 64 events of 64 sessions: handed over, numbered, committed, published, answered.
    Path { name: "append", operations: 150, run: append },
    // 32 lines that are in memory, asked for and taken.
    Path { name: "tail", operations: 500, run: tail },
    // 32 frames of a stream, into the bytes that are written to the socket.
    Path { name: "frames, 1 session", operations: 200, run: |count| frames(count, 1) },
    Path { name: "frames, 16 sessions", operations: 200, run: |count| frames(count, 16) },
    // 200 events, read from the log and made the body of an answer.
    Path { name: "page", operations: 50, run: page },
    // A line of a child's stdout to the draft of an event.
    Path { name: "lines", operations: 2000, run: lines },
    Path { name: "acp", operations: 1000, run: acp },
    // As `lines`, 32 at once.
    Path { name: "lines, burst", operations: 100, run: lines_burst },
];

const NOW: Timestamp = Timestamp::from_millis(1_795_422_001_123);
const MAX_EVENT_BYTES: usize = 1 << 20;

fn id(number: u64) -> SessionId {
    SessionId::from_uuid(Uuid::from_u64_pair(1, number))
}

fn draft() -> Draft {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(6)[..256].to_owned();
    let body = Body::AgentOutput { stream: OutputStream::Stdout, text, truncated: false };
    Draft { run: 1, ts: NOW, body }
}

fn entry() -> Entry {
    Entry::new(&draft(), MAX_EVENT_BYTES)
}

fn encode(count: u64) {
    let draft = draft();
    for _ in 0..count {
        black_box(Entry::new(black_box(&draft), MAX_EVENT_BYTES));
    }
}

/// A log on disk with sessions of one event each, and a reader of each that keeps the newest lines in memory.
struct Store {
    log: SqliteLog,
    watches: Vec<Watch>,
    _folder: TempDir,
}

impl Store {
    fn with_sessions(count: u64) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let path = folder.path().join("log.db");
        // What a commit waits for is no instruction.
        let durability = Durability::Normal;
        let log = SqliteLog::open(&SqliteOptions {
            path,
            durability,
            readers: 1,
            queue: 1024,
            recent_bytes: RECENT_BYTES,
        });
        let log = log.expect("a new log opens");
        let mut watches = Vec::new();
        for number in 0..count {
            let mut session = Session::new(id(number), "demo".into(), "/".into(), [0; 32], NOW);
            let drafts = first_events(&mut session, None);
            let events = drafts.iter().map(|draft| Entry::new(draft, MAX_EVENT_BYTES)).collect();
            log.create(Create { session, events, accept: None }).wait().expect("it is created");
            let notify = Arc::new(Notify::new());
            watches.push(log.watch(id(number), notify).wait().expect("it is there"));
        }
        Self { log, watches, _folder: folder }
    }

    fn append(&self, number: u64, events: Vec<Entry>) {
        let append = Append { session: id(number), events, row: None, accept: None };
        self.log.append(append).wait().expect("it is stored");
    }
}

fn append(count: u64) {
    let store = Store::with_sessions(64);
    for _ in 0..count {
        let handed_over: Vec<_> = (0..64)
            .map(|number| {
                let events = vec![entry()];
                store.log.append(Append { session: id(number), events, row: None, accept: None })
            })
            .collect();
        for pending in handed_over {
            pending.wait().expect("it is stored");
        }
    }
}

fn tail(count: u64) {
    let store = Store::with_sessions(1);
    store.append(0, vec![entry(); 64]);
    for _ in 0..count {
        let mut tail = Tail::new(store.watches[0].clone(), Seq(20));
        let Next::Lines(lines) = tail.next(Seq(60), 32, usize::MAX) else {
            panic!("the lines are in memory");
        };
        assert_eq!(lines.len(), 32);
        for line in &lines {
            tail.take(line);
        }
        assert_eq!(black_box(tail.cursor()), Seq(52));
    }
}

fn frames(count: u64, sessions: u32) {
    let line = Bytes::from(draft().encode(MAX_EVENT_BYTES).line(id(0), Seq(1)));
    let mut frames = Frames::new(Token::new(StoreId::from_uuid(Uuid::from_u128(7))));
    let mut seqs = vec![Seq(1000); sessions as usize];
    for key in 0..sessions {
        frames.place(SessionKey(key), Seq(1000));
    }
    for _ in 0..count {
        for event in 0..32 {
            let key = event % sessions;
            let seq = &mut seqs[key as usize];
            *seq = seq.next();
            frames.event(SessionKey(key), &Line { seq: *seq, bytes: line.clone() });
        }
        while let Some(piece) = frames.take() {
            black_box(piece);
        }
    }
}

fn page(count: u64) {
    let store = Store::with_sessions(1);
    store.append(0, vec![entry(); 400]);
    for _ in 0..count {
        let from = PageFrom::After(Seq(100));
        let query = PageQuery {
            session: id(0),
            from,
            limit: 200,
            max_bytes: usize::MAX,
            types: Vec::new(),
        };
        let page = store.log.page(query).wait().expect("it can be read");
        assert_eq!(page.lines.len(), 200);
        black_box(encode_page(&page));
    }
}

/// A session whose child is up, and the codec of that child.
struct Child {
    codec: Box<dyn Codec>,
    machine: Machine,
    out: Output,
}

impl Child {
    fn up(protocol: Protocol, handshake: &[&str]) -> Self {
        let mut session = Session::new(id(1), "demo".into(), "/".into(), [0; 32], NOW);
        first_events(&mut session, None);
        let mut machine = Machine::new(session, Vec::new(), policy(protocol));
        machine.step(NOW, Input::Begin { resume: true });
        machine.step(NOW, Input::Transport { run: 1, what: Happened::Spawned { pid: 1 } });
        let codec = protocol.codec(CodecOptions { cwd: "/".into(), ..CodecOptions::default() });
        let mut child = Self { codec, machine, out: Output::default() };
        child.codec.start(&mut child.out);
        for line in handshake {
            child.hear(line);
        }
        child.say();
        child
    }

    fn hear(&mut self, line: &str) {
        let line = RawLine { bytes: line.as_bytes(), truncated: false };
        self.codec.line(line, &mut self.out);
    }

    /// The drafts of what was heard.
    fn say(&mut self) -> Vec<Draft> {
        let events: Vec<AgentEvent> = std::mem::take(&mut self.out).events;
        let what = Happened::Said { events, ack: None };
        self.machine.step(NOW, Input::Transport { run: 1, what }).drafts
    }
}

fn policy(protocol: Protocol) -> Policy {
    let long = Duration::from_secs(3600);
    let restarts =
        RestartPolicy { max_restarts: 3, within: long, backoff_min: long, backoff_max: long };
    Policy {
        max_queued_messages: 64,
        start_timeout: long,
        detach_after: long,
        detach_timeout: long,
        close_grace: long,
        suspend_grace: long,
        permission_timeout: long,
        interrupt_step: long,
        inactivity: Some(long),
        inactivity_interrupt: false,
        park_after: Some(long),
        restarts,
        restart: Restart::OnFailure,
        has_turns: protocol.has_turns(),
    }
}

fn lines(count: u64) {
    let Body::AgentOutput { text, .. } = draft().body else { unreachable!() };
    let mut child = Child::up(Protocol::Lines, &[]);
    for _ in 0..count {
        child.hear(&text);
        assert_eq!(black_box(child.say()).len(), 1);
    }
}

fn lines_burst(count: u64) {
    let Body::AgentOutput { text, .. } = draft().body else { unreachable!() };
    let mut child = Child::up(Protocol::Lines, &[]);
    for _ in 0..count {
        for _ in 0..32 {
            child.hear(&text);
        }
        assert_eq!(black_box(child.say()).len(), 32);
    }
}

fn acp(count: u64) {
    let handshake = [
        r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":1}}"#,
        r#"{"jsonrpc":"2.0","id":2,"result":{"sessionId":"s-1"}}"#,
    ];
    let chunk = r#"{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s-1","update":{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"The quick brown fox"}}}}"#;
    let mut child = Child::up(Protocol::Acp, &handshake);
    for _ in 0..count {
        child.hear(chunk);
        assert_eq!(black_box(child.say()).len(), 1);
    }
}
