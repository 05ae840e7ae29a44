//! The agent over pipes, spoken to by our own codec; each of its lines is held against the protocol's types too.

use super::*;
use crate::{
    agent::{AgentEvent, AgentRequest, Codec, CodecOptions, Output, RawLine, acp::Acp},
    domain::{
        ContentBlock,
        event::{AgentContext, Outcome, StopReason, TransportFault},
    },
};
use agent_client_protocol_schema::v1::{RequestPermissionRequest, SessionNotification};
use futures_util::FutureExt;
use serde::Deserialize;
use serde_json::Value;
use std::{collections::VecDeque, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream},
    task::JoinHandle,
};

/// A hang is a failure, and it is told after this long.
const PATIENCE: Duration = Duration::from_secs(20);

const WORKS: Options = Options { handshake: Handshake::Works, can_resume: true };

struct Host {
    codec: Acp,
    out: Output,
    heard: VecDeque<AgentEvent>,
    stdin: Option<DuplexStream>,
    stdout: BufReader<DuplexStream>,
    interrupt: mpsc::Sender<()>,
    agent: JoinHandle<End>,
}

impl Host {
    async fn spawn(options: Options, resume: Option<&str>) -> Self {
        let (stdin, agent_stdin) = io::duplex(1 << 16);
        let (agent_stdout, stdout) = io::duplex(1 << 16);
        let (interrupt, interrupts) = mpsc::channel(1);
        let agent = tokio::spawn(agent::serve(agent_stdin, agent_stdout, options, interrupts));
        let resume = resume.map(str::to_owned);
        let mut host = Self {
            codec: Acp::new(CodecOptions { resume, ..CodecOptions::default() }),
            out: Output::default(),
            heard: VecDeque::new(),
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
            interrupt,
            agent,
        };
        host.codec.start(&mut host.out);
        host.flush().await;
        host
    }

    async fn ready() -> Self {
        let mut host = Self::spawn(WORKS, None).await;
        assert!(matches!(host.next().await, Some(AgentEvent::Ready { .. })));
        host
    }

    async fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.out.stdin);
        if let Some(stdin) = &mut self.stdin {
            // An agent that is gone is seen on its stdout.
            let _ = stdin.write_all(&bytes).await;
        }
    }

    async fn prompt(&mut self, text: &str) {
        let message_id = "m-1".parse().unwrap();
        self.codec.prompt(&message_id, &[ContentBlock::text(text)], &mut self.out);
        self.flush().await;
        assert!(matches!(self.next().await, Some(AgentEvent::TurnStarted { .. })));
    }

    async fn cancel(&mut self) {
        self.codec.cancel(&mut self.out);
        self.flush().await;
    }

    async fn answer(&mut self, request: AgentRequest, outcome: Outcome) {
        self.codec.answer(request, &outcome, &mut self.out);
        self.flush().await;
    }

    /// The next event; none at the end of the agent's stdout.
    async fn next(&mut self) -> Option<AgentEvent> {
        loop {
            self.heard.extend(self.out.events.drain(..));
            if let Some(event) = self.heard.pop_front() {
                return Some(event);
            }
            let mut line = Vec::new();
            let read = self.stdout.read_until(b'\n', &mut line);
            let length = tokio::time::timeout(PATIENCE, read).await.expect("the agent hangs");
            if length.unwrap() == 0 {
                return None;
            }
            conforms(&line);
            let bytes = line.strip_suffix(b"\n").unwrap();
            self.codec.line(RawLine { bytes, truncated: false }, &mut self.out);
            self.flush().await;
        }
    }

    /// The events up to the end of the turn, and its stop reason.
    async fn turn(&mut self) -> (Vec<AgentEvent>, StopReason) {
        let mut events = Vec::new();
        loop {
            match self.next().await.expect("the agent left in mid-turn") {
                AgentEvent::TurnEnded { stop_reason, .. } => return (events, stop_reason),
                event => events.push(event),
            }
        }
    }

    /// What a whole turn says.
    async fn says(&mut self, text: &str) -> String {
        self.prompt(text).await;
        let (events, stop_reason) = self.turn().await;
        assert_eq!(stop_reason, StopReason::EndTurn);
        said(&events)
    }

    /// Waits until the agent says something.
    async fn hear_words(&mut self) {
        while !matches!(self.next().await, Some(AgentEvent::Message { .. })) {}
    }

    async fn end(mut self) -> End {
        while self.next().await.is_some() {}
        tokio::time::timeout(PATIENCE, self.agent).await.expect("the agent stays").unwrap()
    }
}

fn said(events: &[AgentEvent]) -> String {
    let deltas = events.iter().filter_map(|event| match event {
        AgentEvent::Message { delta } => Some(delta.as_str()),
        _ => None,
    });
    deltas.collect()
}

/// What claims to be an update or a request must be one in the protocol's own strict types.
fn conforms(line: &[u8]) {
    let Ok(message) = serde_json::from_slice::<Value>(line) else {
        return;
    };
    let params = &message["params"];
    match message["method"].as_str() {
        Some("session/update") => drop(SessionNotification::deserialize(params).unwrap()),
        Some(_) => drop(RequestPermissionRequest::deserialize(params).unwrap()),
        None => assert!(message.get("id").is_some(), "{message}"),
    }
}

#[tokio::test]
async fn text_comes_back_in_chunks() {
    let mut host = Host::ready().await;
    host.prompt("hello to you").await;
    let (events, stop_reason) = host.turn().await;
    assert_eq!(
        (said(&events).as_str(), stop_reason),
        ("You said: hello to you", StopReason::EndTurn)
    );
    assert_eq!(events.len(), 4);
    assert!(host.says("help").await.contains("ignore-interrupt"));
}

#[tokio::test]
async fn counting_comes_whole_and_in_order() {
    let mut host = Host::ready().await;
    assert_eq!(host.says("slow 3 1").await, "1 2 3 ");
    let counted: String = (1..=5000).map(|number| format!("{number} ")).collect();
    assert_eq!(host.says("flood 5000").await, counted);
    assert_eq!(host.says("big 1000000").await.len(), 1_000_000);
}

#[tokio::test]
async fn thoughts_plans_and_tools_are_told_as_such() {
    let mut host = Host::ready().await;
    let mut events = Vec::new();
    for command in ["think", "plan", "tool"] {
        host.prompt(command).await;
        events.extend(host.turn().await.0);
    }
    let count = |is: fn(&AgentEvent) -> bool| events.iter().filter(|event| is(event)).count();
    assert_eq!(count(|event| matches!(event, AgentEvent::Thought { .. })), 3);
    assert_eq!(count(|event| matches!(event, AgentEvent::Plan(_))), 4);
    assert_eq!(count(|event| matches!(event, AgentEvent::ToolCall(_))), 1);
    let statuses = events.iter().filter_map(|event| match event {
        AgentEvent::ToolUpdate(update) => update["status"].as_str(),
        _ => None,
    });
    assert_eq!(statuses.collect::<Vec<_>>(), ["in_progress", "completed"]);
}

#[tokio::test]
async fn a_permission_is_waited_for_and_obeyed() {
    let selected = |option: &str| Outcome::Selected { option_id: option.to_owned() };
    let mut host = Host::ready().await;
    for (outcome, words, stop_reason) in [
        (selected("once"), "You allowed it: once.", StopReason::EndTurn),
        (selected("never"), "You rejected it: never.", StopReason::EndTurn),
        (selected("maybe"), "I never offered `maybe`.", StopReason::EndTurn),
        (Outcome::Expired, "You gave no answer.", StopReason::Cancelled),
    ] {
        host.prompt("ask").await;
        let request = loop {
            if let AgentEvent::PermissionRequested { request, options, .. } =
                host.next().await.unwrap()
            {
                assert_eq!(options.len(), 4);
                break request;
            }
        };
        host.answer(request, outcome).await;
        let (events, stopped) = host.turn().await;
        assert_eq!((said(&events).as_str(), stopped), (words, stop_reason));
    }
}

#[tokio::test]
async fn a_cancel_ends_what_would_go_on() {
    for command in ["slow 1000000", "hang", "flood 1000000000"] {
        let mut host = Host::ready().await;
        host.prompt(command).await;
        host.hear_words().await;
        host.cancel().await;
        assert_eq!(host.turn().await.1, StopReason::Cancelled, "{command}");
        assert_eq!(host.says("flood 1").await, "1 ", "it takes the next prompt");
    }
    let mut host = Host::ready().await;
    host.prompt("ask").await;
    while !matches!(host.next().await, Some(AgentEvent::PermissionRequested { .. })) {}
    host.cancel().await;
    assert_eq!(host.turn().await.1, StopReason::Cancelled);
}

#[tokio::test]
async fn an_interrupt_cancels_the_turn_and_the_agent_exits_with_0() {
    for command in ["hang", "deaf"] {
        let mut host = Host::ready().await;
        host.prompt(command).await;
        host.hear_words().await;
        host.interrupt.send(()).await.unwrap();
        assert_eq!(host.turn().await.1, StopReason::Cancelled, "{command}");
        assert_eq!(host.end().await, End::Exit(0));
    }
}

#[tokio::test]
async fn a_deaf_agent_reads_its_stdin_no_more() {
    let mut host = Host::ready().await;
    host.prompt("deaf").await;
    host.hear_words().await;
    let mut stdin = host.stdin.take().unwrap();
    let (line, mut written, mut refused) = ([b' '; 1024], 0, 0);
    // The agent's tasks get their turns whenever the pipe is full; one that still read would empty it.
    while refused < 100 {
        match stdin.write(&line).now_or_never() {
            Some(length) => written += length.unwrap(),
            None => refused += 1,
        }
        assert!(written < 1 << 20, "the agent still reads");
        tokio::task::yield_now().await;
    }
    host.interrupt.send(()).await.unwrap();
    assert_eq!(host.end().await, End::Exit(0));
}

#[tokio::test]
async fn a_stubborn_turn_goes_on_through_cancel_interrupt_and_the_end_of_stdin() {
    let mut host = Host::ready().await;
    host.prompt("ignore-interrupt").await;
    host.hear_words().await;
    host.cancel().await;
    host.interrupt.send(()).await.unwrap();
    host.stdin = None;
    assert!(matches!(host.next().await, Some(AgentEvent::Message { .. })));
    assert!(!host.agent.is_finished());
    drop(host.stdout);
    assert_eq!(host.agent.await.unwrap(), End::Exit(1), "nobody hears it any more");
}

#[tokio::test]
async fn a_crash_comes_in_the_middle_of_a_word() {
    for (command, end) in
        [("crash", End::Exit(1)), ("crash 42", End::Exit(42)), ("crash signal", End::Killed)]
    {
        let mut host = Host::ready().await;
        host.prompt(command).await;
        let Some(AgentEvent::Message { delta }) = host.next().await else { panic!("no words") };
        assert!(delta.ends_with("cra"));
        assert_eq!(host.next().await, None, "no end of the turn is told");
        assert_eq!(host.end().await, end);
    }
}

#[tokio::test]
async fn an_exit_comes_after_the_end_of_the_turn() {
    let mut host = Host::ready().await;
    assert_eq!(host.says("exit 3").await, "Good bye.");
    assert_eq!(host.end().await, End::Exit(3));
}

#[tokio::test]
async fn the_end_of_stdin_ends_the_agent() {
    let mut host = Host::ready().await;
    host.prompt("hang").await;
    host.stdin = None;
    assert_eq!(host.end().await, End::Exit(0));
}

#[tokio::test]
async fn garbage_is_output_and_harms_nothing() {
    let mut host = Host::ready().await;
    host.prompt("garbage").await;
    let (events, stop_reason) = host.turn().await;
    let is_output = |event: &&AgentEvent| matches!(event, AgentEvent::Output { .. });
    assert_eq!(events.iter().filter(is_output).count(), 3);
    assert_eq!((said(&events).as_str(), stop_reason), ("That was garbage.", StopReason::EndTurn));
}

#[tokio::test]
async fn a_fork_leaves_two_grandchildren_that_run() {
    let mut host = Host::ready().await;
    let words = host.says("fork").await;
    let pids: Vec<i32> = words.split(' ').filter_map(|word| word.parse().ok()).collect();
    assert_eq!(pids.len(), 2, "{words}");
    for pid in pids {
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

#[tokio::test]
async fn a_session_of_a_demo_agent_is_resumed_and_another_is_lost() {
    for (can_resume, session, context) in [
        (true, "demo-0123456789abcdef", AgentContext::Resumed),
        (true, "demo-XYZ", AgentContext::Lost),
        (false, "demo-0123456789abcdef", AgentContext::Lost),
    ] {
        let options = Options { can_resume, ..WORKS };
        let mut host = Host::spawn(options, Some(session)).await;
        let Some(AgentEvent::Ready { agent_session_id, context: said, can_resume: could }) =
            host.next().await
        else {
            panic!("not ready");
        };
        assert_eq!((said, could), (context, can_resume));
        assert_eq!(agent_session_id.as_deref() == Some(session), context == AgentContext::Resumed);
        assert_eq!(host.says("flood 1").await, "1 ");
    }
}

#[tokio::test]
async fn a_handshake_fails_as_it_is_told_to() {
    let with = |handshake| Options { handshake, ..WORKS };
    let mut host = Host::spawn(with(Handshake::WantsLogin), None).await;
    let Some(AgentEvent::Failed { code, detail }) = host.next().await else { panic!("no failure") };
    assert_eq!(code, TransportFault::AuthRequired);
    assert!(detail.contains("demo-login"), "{detail}");

    let mut host = Host::spawn(with(Handshake::TalksGarbage), None).await;
    assert!(matches!(host.next().await, Some(AgentEvent::Output { .. })));
    let Some(AgentEvent::Failed { code, .. }) = host.next().await else { panic!("no failure") };
    assert_eq!(code, TransportFault::Handshake);

    let host = Host::spawn(with(Handshake::Exits), None).await;
    assert_eq!(host.end().await, End::Exit(1));

    let mut host = Host::spawn(with(Handshake::Hangs), None).await;
    host.stdin = None;
    assert_eq!(host.next().await, None, "nothing was said until stdin ended");
}

#[test]
fn the_environment_is_read_and_its_faults_are_named() {
    let env = |handshake: &'static str, no_resume: &'static str| {
        Options::from_env(move |key| match key {
            "DEMO_AGENT_HANDSHAKE" => Some(handshake.to_owned()),
            "DEMO_AGENT_NO_RESUME" => Some(no_resume.to_owned()),
            other => panic!("{other} is not ours"),
        })
    };
    assert_eq!(Options::from_env(|_| None), Ok(WORKS));
    assert_eq!(env("", "0"), Ok(WORKS));
    assert_eq!(env("hang", "1"), Ok(Options { handshake: Handshake::Hangs, can_resume: false }));
    assert!(env("sulk", "").unwrap_err().contains("sulk"));
}
