//! `seawall send`: hands one message over until the server has it, and with `--wait` prints the answer. Sends nothing
//! twice: every try carries the same id.

mod answer;
mod kept;

use super::{
    failure::{Unsuccessful, Usage},
    new::message,
    output::{Output, clean},
};
use crate::{
    client::{Begin, Client, History, LogEvent, SendOptions, StreamItem, StreamRequest},
    domain::{MessageId, SessionId},
    wire::api::Receipt,
};
use answer::{Answer, Progress};
use anyhow::Context;
use kept::Kept;
use std::{io::Read, path::PathBuf};

/// Send a message, and wait for the receipt or for the answer.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Send {
    #[command(flatten)]
    pub(super) session: super::args::SessionArg,
    /// The message; `-` reads it from stdin. With --state it may be left out: what the file holds is finished.
    #[arg(allow_hyphen_values = true, required_unless_present = "state")]
    text: Option<String>,
    /// Print the agent's answer and wait for the end of the turn.
    #[arg(short, long)]
    wait: bool,
    /// Cancel the running turn and go before all messages that wait.
    #[arg(long)]
    interrupt: bool,
    /// The message's id; sending the same id and text again does nothing [else a fresh one].
    #[arg(long, value_name = "ID")]
    message_id: Option<MessageId>,
    /// Keep the message in this file until it is acknowledged, with --wait until it is answered. The same command
    /// again, after whatever happened, finishes it and sends nothing twice.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

const EXAMPLES: &str = "\
An agent that speaks plain lines has no turns: --wait then ends with the session.

Examples:
  seawall send 0198c2f4 'now run the tests' --wait
  git diff | seawall send 0198c2f4 -
  seawall send 0198c2f4 'stop that, do this' --interrupt
  until seawall send 0198c2f4 'deploy' --wait --state deploy.json; do sleep 60; done";

/// The longest text to read from stdin: the server's default limit of a body.
const STDIN_MAX: u64 = 16 * 1024 * 1024;

pub(super) async fn run(
    client: &Client,
    output: &Output,
    id: SessionId,
    send: Send,
) -> anyhow::Result<()> {
    let mut kept = Kept::open(send.state.as_deref(), id)?;
    let body = match (send.text, kept.unfinished()) {
        (Some(text), _) => {
            let text = if text == "-" { read_stdin()? } else { text };
            if text.is_empty() {
                return Err(Usage("the message is empty".into()).into());
            }
            let has_own_id = send.message_id.is_some();
            let mut body = message(text, send.message_id);
            body.interrupt = send.interrupt;
            kept.keep(body, has_own_id)?
        }
        (None, Some(unfinished)) => unfinished.clone(),
        (None, None) => {
            return Err(Usage("the state file holds no message; give TEXT".into()).into());
        }
    };
    let receipt = match output.patiently(client.send(id, &body, SendOptions::default())).await {
        Err(error) if error.is_final() => {
            kept.finish()?;
            return Err(error.into());
        }
        Err(error) => return Err(kept.explain(error.into())),
        Ok(receipt) => receipt,
    };
    if output.json {
        output.object(&receipt)?;
    } else if !send.wait {
        let known = if receipt.duplicate { ", known already" } else { "" };
        output
            .line(&format!("accepted as {} (event {}{known})", receipt.message_id, receipt.seq))?;
    }
    if send.wait {
        match wait(client, output, &receipt).await {
            // That nothing is heard of the answer does not mean that there will be none.
            Err(error) if !error.is::<Unsuccessful>() => return Err(error),
            answered => {
                kept.finish()?;
                return answered;
            }
        }
    }
    kept.finish()
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(STDIN_MAX + 1)
        .read_to_string(&mut text)
        .context("cannot read the message from stdin")?;
    if text.len() as u64 > STDIN_MAX {
        return Err(Usage(format!(
            "the message has more than {STDIN_MAX} bytes; send a path instead"
        ))
        .into());
    }
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

async fn wait(client: &Client, output: &Output, receipt: &Receipt) -> anyhow::Result<()> {
    let id = receipt.session_id;
    let mut answer = Answer::new(receipt.message_id.clone());
    let begin = Begin::After(vec![(id, receipt.seq)]);
    let mut stream = client.stream(StreamRequest::session(id, begin));
    while let Some(item) = stream.next().await? {
        let mut complete = false;
        match item {
            StreamItem::Event(event) => complete = hear(output, &mut answer, &event)?,
            // A message that was known already may lie far back: its answer is history then.
            StreamItem::Gap(gap) => {
                let all = || client.history(id, receipt.seq, Some(gap.resume_at));
                let mut history = gap.pages(client).unwrap_or_else(all);
                complete = hear_history(output, &mut answer, &mut history).await?;
            }
            StreamItem::Lost(lost) => output.remark(&format!("{}; trying again", lost.cause)),
            _ => {}
        }
        if complete {
            return Ok(());
        }
    }
    Err(Unsuccessful("the session is gone".into()).into())
}

async fn hear_history(
    output: &Output,
    answer: &mut Answer,
    history: &mut History,
) -> anyhow::Result<bool> {
    while let Some(page) = history.next_page().await? {
        for line in page {
            let event = LogEvent::parse(line.get().to_owned().into())?;
            if hear(output, answer, &event)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// True when the answer is complete.
fn hear(output: &Output, answer: &mut Answer, event: &LogEvent) -> anyhow::Result<bool> {
    let progress = answer.hear(event.body());
    if output.json {
        if !matches!(progress, Progress::Nothing | Progress::Text(_)) {
            output.write_bytes(&[&event.line, b"\n".as_slice()].concat())?;
        }
    } else if let Progress::Text(text) = &progress {
        output.write(&clean(text))?;
    }
    match progress {
        Progress::Nothing | Progress::Text(_) => Ok(false),
        Progress::Done => {
            if !output.json && answer.is_mid_line() {
                output.write("\n")?;
            }
            Ok(true)
        }
        Progress::Failed(why) => Err(Unsuccessful(why).into()),
    }
}
