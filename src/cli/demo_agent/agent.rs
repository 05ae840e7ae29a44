//! The demo agent's side of ACP: one loop over stdin, interrupts and the turn that runs. What a turn plays is not
//! decided here, only when it begins and what may end it.

use super::{
    End, Handshake, Options,
    script::Act,
    turn::{self, Finish, Stage},
    wire::{self, Gone, Wire},
};
use serde_json::{Value, json};
use std::pin::Pin;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, BufReader},
    sync::mpsc,
};

/// The longest message that is read.
const LINE_MAX: u64 = 64 * 1024 * 1024;

const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const AUTH_REQUIRED: i64 = -32000;
const RESOURCE_NOT_FOUND: i64 = -32002;

/// Serves until stdin ends, stdout is closed, or something else says how to leave. What was said by then is written.
pub(super) async fn serve(
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    options: Options,
    interrupts: mpsc::Receiver<()>,
) -> End {
    let (wire, writer) = wire::open(output);
    let agent = Agent { options, wire, sessions: Vec::new(), running: None, is_deaf: false };
    let lines = Lines { input: BufReader::new(input), line: Vec::new() };
    // The agent's wire goes with it, or the writer would wait for more.
    let end = agent.run(lines, interrupts).await.unwrap_or(End::Exit(1));
    writer.finish().await;
    end
}

struct Agent {
    options: Options,
    wire: Wire,
    sessions: Vec<String>,
    running: Option<Running>,
    /// No longer reads stdin, so that it fills up.
    is_deaf: bool,
}

struct Running {
    prompt_id: Value,
    answers: mpsc::Sender<Value>,
    /// Goes on through all that would end another turn.
    is_stubborn: bool,
    turn: Pin<Box<dyn Future<Output = Result<Finish, Gone>> + Send>>,
}

impl Agent {
    async fn run(
        mut self,
        mut lines: Lines<impl AsyncRead + Unpin>,
        mut interrupts: mpsc::Receiver<()>,
    ) -> Result<End, Gone> {
        let mut has_ended = false;
        loop {
            let is_listening = !has_ended && !self.is_deaf;
            tokio::select! {
                line = lines.next(), if is_listening => match line {
                    Some(line) => {
                        if let Some(end) = self.message(&line).await? {
                            return Ok(end);
                        }
                    }
                    None => has_ended = true,
                },
                Some(()) = interrupts.recv() => {
                    if !self.is_stubborn() {
                        self.cancel().await?;
                        return Ok(End::Exit(0));
                    }
                }
                finish = finished(&mut self.running) => {
                    if let Some(end) = self.finish(finish?).await? {
                        return Ok(end);
                    }
                }
                () = self.wire.gone() => return Err(Gone),
            }
            if has_ended && !self.is_stubborn() {
                return Ok(End::Exit(0));
            }
        }
    }

    fn is_stubborn(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.is_stubborn)
    }

    async fn message(&mut self, line: &[u8]) -> Result<Option<End>, Gone> {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            eprintln!("demo-agent: a line that is no JSON was ignored");
            return Ok(None);
        };
        let (method, id) = (message["method"].as_str(), message.get("id"));
        match (method, id) {
            (Some("session/cancel"), None) if !self.is_stubborn() => self.cancel().await?,
            (Some("initialize"), Some(id)) => return self.initialize(id).await,
            (Some("session/new"), Some(id)) => self.new_session(id).await?,
            (Some("session/resume"), Some(id)) => self.resume(id, &message["params"]).await?,
            (Some("session/prompt"), Some(id)) => self.prompt(id, &message["params"]).await?,
            (Some(method), Some(id)) => {
                let refusal = format!("the demo agent has no method {method}");
                self.wire.error(id, METHOD_NOT_FOUND, &refusal).await?;
            }
            (None, Some(_)) => {
                if let Some(running) = &self.running {
                    // A turn waits for one answer; a second one is of no use to it.
                    let _ = running.answers.try_send(message["result"].clone());
                }
            }
            (_, None) => {}
        }
        Ok(None)
    }

    async fn initialize(&mut self, id: &Value) -> Result<Option<End>, Gone> {
        let wants_login = self.options.handshake == Handshake::WantsLogin;
        match self.options.handshake {
            Handshake::Exits => {
                eprintln!("demo-agent: exits in its handshake, as it was told to");
                return Ok(Some(End::Exit(1)));
            }
            Handshake::Hangs => return Ok(None),
            Handshake::TalksGarbage => {
                self.wire.line(b"this is no handshake".to_vec()).await?;
                self.wire.result(id, json!({"protocolVersion": "the first"})).await?;
                return Ok(None);
            }
            Handshake::Works | Handshake::WantsLogin => {}
        }
        let sessions = match self.options.can_resume {
            true => json!({"resume": {}}),
            false => json!({}),
        };
        let methods = match wants_login {
            true => json!([{"id": "demo-login", "name": "Demo login"}]),
            false => json!([]),
        };
        let result = json!({
            "protocolVersion": 1,
            "agentInfo": {"name": "demo-agent", "version": env!("CARGO_PKG_VERSION")},
            "agentCapabilities": {
                "loadSession": false,
                "promptCapabilities": {"image": true, "audio": true, "embeddedContext": true},
                "sessionCapabilities": sessions,
            },
            "authMethods": methods,
        });
        self.wire.result(id, result).await?;
        Ok(None)
    }

    async fn new_session(&mut self, id: &Value) -> Result<(), Gone> {
        if self.options.handshake == Handshake::WantsLogin {
            return self.wire.error(id, AUTH_REQUIRED, "Authentication required").await;
        }
        // Without randomness the pid still tells apart the agents that run.
        let number = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        let session_id = format!("demo-{number:016x}");
        self.sessions.push(session_id.clone());
        self.wire.result(id, json!({"sessionId": session_id})).await
    }

    async fn resume(&mut self, id: &Value, params: &Value) -> Result<(), Gone> {
        let session_id = params["sessionId"].as_str().unwrap_or_default();
        if !self.options.can_resume {
            return self.wire.error(id, METHOD_NOT_FOUND, "session/resume is switched off").await;
        }
        if !could_be_ours(session_id) {
            let refusal = format!("`{session_id}` is no session of a demo agent");
            return self.wire.error(id, RESOURCE_NOT_FOUND, &refusal).await;
        }
        eprintln!("demo-agent: {session_id} is resumed, though nothing of it was kept");
        self.sessions.push(session_id.to_owned());
        self.wire.result(id, json!({})).await
    }

    async fn prompt(&mut self, id: &Value, params: &Value) -> Result<(), Gone> {
        let session_id = params["sessionId"].as_str().unwrap_or_default();
        if !self.sessions.iter().any(|open| open == session_id) {
            return self.wire.error(id, RESOURCE_NOT_FOUND, "no such session is open").await;
        }
        if self.running.is_some() {
            return self.wire.error(id, INVALID_REQUEST, "a turn is open; cancel it first").await;
        }
        let act = Act::parse(&text_of(&params["prompt"]));
        self.is_deaf = act == Act::Deaf;
        let is_stubborn = act == Act::IgnoreInterrupt;
        let (sender, answers) = mpsc::channel(1);
        let session_id = session_id.to_owned();
        let stage = Stage { session_id, wire: self.wire.clone(), answers };
        self.running = Some(Running {
            prompt_id: id.clone(),
            answers: sender,
            is_stubborn,
            turn: Box::pin(turn::perform(act, stage)),
        });
        Ok(())
    }

    async fn cancel(&mut self) -> Result<(), Gone> {
        match self.running.take() {
            Some(running) => self.stopped(&running.prompt_id, "cancelled").await,
            None => Ok(()),
        }
    }

    async fn finish(&mut self, finish: Finish) -> Result<Option<End>, Gone> {
        let Some(Running { prompt_id, .. }) = self.running.take() else {
            return Ok(None);
        };
        match finish {
            Finish::Stop(reason) => self.stopped(&prompt_id, reason).await.map(|()| None),
            Finish::ThenExit(code) => {
                self.stopped(&prompt_id, "end_turn").await?;
                Ok(Some(End::Exit(code)))
            }
            Finish::Leave(end) => Ok(Some(end)),
        }
    }

    async fn stopped(&mut self, prompt_id: &Value, reason: &str) -> Result<(), Gone> {
        self.wire.result(prompt_id, json!({"stopReason": reason})).await
    }
}

/// How the running turn ended; for ever waiting where none runs.
async fn finished(running: &mut Option<Running>) -> Result<Finish, Gone> {
    match running {
        Some(running) => running.turn.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Reads no more than it is asked for, so that an agent that asks no more is deaf.
struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// The next line; none at the end, or where a line has no end. Dropped in the midst, it goes on with the same
    /// line the next time.
    async fn next(&mut self) -> Option<Vec<u8>> {
        let left = LINE_MAX.saturating_sub(self.line.len() as u64);
        let read = (&mut self.input).take(left).read_until(b'\n', &mut self.line).await;
        let is_whole = read.is_ok() && self.line.ends_with(b"\n");
        is_whole.then(|| std::mem::take(&mut self.line))
    }
}

fn could_be_ours(session_id: &str) -> bool {
    session_id.strip_prefix("demo-").is_some_and(|number| {
        number.len() == 16 && number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// The text blocks of a prompt; other blocks are named by their type.
fn text_of(prompt: &Value) -> String {
    let blocks = prompt.as_array().map(Vec::as_slice).unwrap_or_default();
    let texts: Vec<String> = blocks
        .iter()
        .map(|block| match (block["text"].as_str(), block["type"].as_str()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(kind)) => format!("[{kind}]"),
            (None, None) => "[?]".to_owned(),
        })
        .collect();
    texts.join("\n")
}
