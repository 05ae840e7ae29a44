//! `seawall events`: the stored lines of a session, first what is there, then what comes. Prints every event it can
//! get once, in order, whatever the connection does.

use super::output::Output;
use crate::{
    client::{Begin, Client, History, StreamItem, StreamRequest},
    domain::{Seq, SessionId},
    wire::api::{GapFrame, GapReason},
};

pub(super) async fn run(
    client: &Client,
    output: &Output,
    id: SessionId,
    after: u64,
    follow: bool,
) -> anyhow::Result<()> {
    let cursor = print(output, client.history(id, Seq(after), None)).await?;
    if follow { self::follow(client, output, id, cursor).await } else { Ok(()) }
}

/// Prints stored events; the seq of the last one.
async fn print(output: &Output, mut history: History) -> anyhow::Result<Seq> {
    while let Some(page) = history.next_page().await? {
        let mut lines = String::new();
        for line in page {
            lines.push_str(line.get());
            lines.push('\n');
        }
        output.write(&lines)?;
    }
    Ok(history.cursor())
}

async fn follow(
    client: &Client,
    output: &Output,
    id: SessionId,
    cursor: Seq,
) -> anyhow::Result<()> {
    let begin = Begin::After(vec![(id, cursor)]);
    let mut stream = client.stream(StreamRequest::session(id, begin));
    while let Some(item) = stream.next().await? {
        match item {
            StreamItem::Event(event) => {
                output.write_bytes(&[&event.line, b"\n".as_slice()].concat())?
            }
            StreamItem::Gap(gap) => fill(client, output, &gap).await?,
            StreamItem::Lost(lost) => output.remark(&format!("{}; trying again", lost.cause)),
            _ => {}
        }
    }
    Ok(())
}

/// A stream does not deliver a long absence; history does.
async fn fill(client: &Client, output: &Output, gap: &GapFrame) -> anyhow::Result<()> {
    let Some(history) = gap.pages(client) else {
        output.remark(&format!(
            "the server's log begins anew here: the next event is {}",
            gap.resume_at.next()
        ));
        return Ok(());
    };
    if gap.reason == GapReason::Retention {
        output.remark(&format!("some events after {} are not stored any more", history.cursor()));
    }
    print(output, history).await.map(drop)
}
