//! Sending a message, and taking one back. What becomes of it, events tell.

use super::{
    App,
    auth::Operator,
    body::Body,
    error::Failure,
    openapi::{
        Busy, Guarded, InMessage, InSession, MessageTaken, Operating, Present, TooLate, WithBody,
    },
    target::On,
};
use crate::{
    domain::{ContentBlock, MessageId, SessionId, content::BLOCKS_MAX},
    session::{Refusal, Reply, Request},
    wire::api::{Receipt, SendMessage},
};
use actix_web::{
    HttpResponse,
    web::{Data, Path},
};

/// Send a message: 202 means that it is kept
#[utoipa::path(post, path = "/v1/sessions/{id}/messages", tag = "messages", params(InSession),
    request_body = SendMessage,
    responses(
        (status = 202, description = "The message is kept and will be dispatched, once", body = Receipt),
        Guarded, Operating, Present, WithBody, MessageTaken, Busy))]
pub(super) async fn send(
    on: On<Operator>,
    app: Data<App>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: SendMessage = body.json(app.config.now().server.max_body_bytes).await?;
    let (message_id, interrupt) = (body.message_id, body.interrupt);
    let content = content(body.content, body.text, "")?;
    let request = Request::Send { message_id: message_id.clone(), content, interrupt };
    let reply = app.registry.ask(on.id, &on.by.name, request).await?;
    crate::fault::point!("http::answer");
    Ok(HttpResponse::Accepted().json(receipt(on.id, message_id, reply)?))
}

/// Take a message back that was not dispatched yet
#[utoipa::path(delete, path = "/v1/sessions/{id}/messages/{message_id}", tag = "messages", params(InMessage),
    responses(
        (status = 204, description = "The message is withdrawn"),
        Guarded, Operating, Present, TooLate))]
pub(super) async fn withdraw(
    on: On<Operator>,
    app: Data<App>,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    // What cannot be an id is the id of no message.
    let message_id: MessageId = path.1.parse().map_err(|_| Refusal::UnknownMessage)?;
    app.registry.ask(on.id, &on.by.name, Request::Withdraw { message_id }).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A message's blocks, given as such or as `text`. `place`: before the field's name in an error.
pub(super) fn content(
    content: Option<Vec<ContentBlock>>,
    text: Option<String>,
    place: &str,
) -> Result<Vec<ContentBlock>, Failure> {
    match (content, text) {
        (None, Some(text)) => Ok(vec![ContentBlock::text(text)]),
        (Some(content), None) if (1..=BLOCKS_MAX).contains(&content.len()) => Ok(content),
        (Some(content), None) => {
            let detail = format!(
                "{place}content: must have 1 to {BLOCKS_MAX} blocks, has {}",
                content.len()
            );
            Err(Failure::invalid_body(detail))
        }
        (Some(_), Some(_)) => {
            Err(Failure::invalid_body(format!("{place}text: must not stand beside `content`")))
        }
        (None, None) => {
            Err(Failure::invalid_body(format!("{place}content: is missing, and so is `text`")))
        }
    }
}

pub(super) fn receipt(
    session_id: SessionId,
    message_id: MessageId,
    reply: Reply,
) -> Result<Receipt, Failure> {
    match reply {
        Reply::Receipt { seq, duplicate } => {
            Ok(Receipt { accepted: true, session_id, message_id, seq, duplicate })
        }
        other => Err(Failure::internal(&format!("a send was answered with {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_1_to_64_blocks_or_a_text() {
        let blocks = |count| Some(vec![ContentBlock::text("x"); count]);
        assert_eq!(content(None, Some("x".into()), "").unwrap(), blocks(1).unwrap());
        assert_eq!(content(blocks(64), None, "").unwrap().len(), 64);
        for (blocks, text, expected) in [
            (blocks(0), None, "content: must have 1 to 64 blocks, has 0"),
            (blocks(65), None, "content: must have 1 to 64 blocks, has 65"),
            (blocks(1), Some("x".into()), "text: must not stand beside `content`"),
            (None, None, "content: is missing, and so is `text`"),
        ] {
            assert_eq!(content(blocks, text, "").unwrap_err().to_string(), expected);
        }
    }
}
