//! The demo agent: an ACP agent on stdio that needs no key and does what its prompt says, from streaming an answer to
//! crashing in the middle of one. It has no model, keeps nothing, and touches no file.

mod agent;
mod script;
#[cfg(test)]
mod tests;
mod turn;
mod wire;

use std::process::ExitCode;
use tokio::{
    io,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// How the agent leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Exit(u8),
    /// By a SIGKILL to itself.
    Killed,
}

/// What the environment asks for beyond the prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    handshake: Handshake,
    can_resume: bool,
}

/// How the handshake goes: `DEMO_AGENT_HANDSHAKE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handshake {
    Works,
    /// The agent exits with 1 when it is initialized.
    Exits,
    /// It never answers.
    Hangs,
    /// It wants to be logged in, which nobody can do.
    WantsLogin,
    /// It answers what cannot be read.
    TalksGarbage,
}

impl Options {
    fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let handshake = match variable("DEMO_AGENT_HANDSHAKE").as_deref() {
            None | Some("") => Handshake::Works,
            Some("exit") => Handshake::Exits,
            Some("hang") => Handshake::Hangs,
            Some("auth") => Handshake::WantsLogin,
            Some("garbage") => Handshake::TalksGarbage,
            Some(other) => {
                return Err(format!(
                    "DEMO_AGENT_HANDSHAKE is `{other}`; it can be exit, hang, auth or garbage"
                ));
            }
        };
        let can_resume = variable("DEMO_AGENT_NO_RESUME").is_none_or(|value| value != "1");
        Ok(Self { handshake, can_resume })
    }
}

/// Runs the agent on this process's stdio until stdin ends or a prompt or a signal ends it. SIGTERM has its default
/// effect; SIGINT cancels the turn and exits with 0.
pub fn run() -> ExitCode {
    match Options::from_env(|key| std::env::var(key).ok()).map(run_on_stdio) {
        Ok(Ok(End::Exit(code))) => ExitCode::from(code),
        Ok(Ok(End::Killed)) => {
            let own = rustix::process::getpid();
            // Should it fail, the code below still says that this is no orderly end.
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
            ExitCode::FAILURE
        }
        Ok(Err(error)) => {
            eprintln!("demo-agent: {error}");
            ExitCode::FAILURE
        }
        Err(fault) => {
            eprintln!("demo-agent: {fault}");
            ExitCode::from(2)
        }
    }
}

fn run_on_stdio(options: Options) -> io::Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(async {
        let mut sigint = signal(SignalKind::interrupt())?;
        let (interrupted, interrupts) = mpsc::channel(1);
        tokio::spawn(async move {
            while sigint.recv().await.is_some() && interrupted.send(()).await.is_ok() {}
        });
        io::Result::Ok(agent::serve(io::stdin(), io::stdout(), options, interrupts).await)
    });
    // A read of stdin may be under way on a thread of its own, and it must not hold up the exit.
    runtime.shutdown_background();
    end
}
