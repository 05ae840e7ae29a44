//! Sessions as a collection and as things: create, list, read, rename, delete. What they do is in `messages` and
//! `control`.

use super::{
    App,
    auth::{Credential, Operator, Viewer},
    body::Body,
    error::Failure,
    messages,
    openapi::{Busy, Guarded, InSession, NotCreated, Operating, Present, WithBody, WithQuery},
    query,
    target::On,
};
use crate::{
    domain::{ContentBlock, SessionId, State, Timestamp},
    registry::NewSession,
    session::{Refusal, Request},
    store::{SessionQuery, StoreError, Stored},
    wire::{
        api::{
            CreateSession, CreatedView, RenameSession, SendMessage, SessionList, SessionView,
            StoreState,
        },
        problem::ErrorCode,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::header,
    web::{Data, Json},
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

const TITLE_MAX: usize = 200;
const ENV_MAX: usize = 64;
const ENV_VALUE_MAX: usize = 32 << 10;
const SEARCH_MAX: usize = 200;
const PAGE: usize = 50;
const PAGE_MAX: usize = 200;

/// A session's row as clients see it. `held`: [`crate::store::EventLog::held`].
pub fn view(stored: &Stored, held: &BTreeSet<SessionId>) -> SessionView {
    let session = &stored.session;
    SessionView {
        id: session.id,
        agent: session.agent.clone(),
        title: session.title.clone(),
        cwd: session.cwd.clone(),
        state: session.state,
        client_state: session.client_state(),
        end_reason: session.end_reason,
        run: session.run,
        head_seq: stored.head,
        pid: session.pid,
        restarts: session.restarts,
        pending_permissions: session.permissions.clone(),
        pending_questions: session.questions.clone(),
        queued_messages: stored.queued,
        store: held.contains(&session.id).then_some(StoreState::Unavailable),
        created_at: session.created_at,
        updated_at: session.updated_at,
    }
}

/// The sessions that the credential may see, newest activity first
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(ListQuery),
    responses((status = 200, description = "A page of sessions", body = SessionList), Guarded, WithQuery))]
pub(super) async fn list(
    by: Viewer,
    app: Data<App>,
    request: HttpRequest,
) -> Result<Json<SessionList>, Failure> {
    let (sessions, next_cursor) = page(&by, &app, query::read(&request)?).await?;
    let held = app.log.held();
    let sessions = sessions.iter().map(|stored| view(stored, &held)).collect();
    Ok(Json(SessionList { sessions, next_cursor }))
}

/// A page of the sessions that the credential may see, and the cursor of the next one.
pub(super) async fn page(
    by: &Credential,
    app: &App,
    query: ListQuery,
) -> Result<(Vec<Stored>, Option<String>), Failure> {
    let limit = query::limit(query.limit, PAGE, 1..=PAGE_MAX)?;
    if query.q.as_ref().is_some_and(|text| text.chars().count() > SEARCH_MAX) {
        let detail = format!("q: may have at most {SEARCH_MAX} characters");
        return Err(Failure::invalid_query(detail));
    }
    let after = query.cursor.as_deref().map(read_cursor).transpose()?;
    let asked = SessionQuery {
        state: query.state,
        agent: query.agent,
        text: query.q.filter(|text| !text.is_empty()),
        agents: by.agents.as_deref().map(<[String]>::to_vec),
        after,
        // One more tells whether there is a next page.
        limit: limit + 1,
    };
    let mut sessions = app.log.sessions(asked).await?;
    let has_more = sessions.len() > limit;
    sessions.truncate(limit);
    let next_cursor = sessions.last().filter(|_| has_more).map(cursor_after);
    Ok((sessions, next_cursor))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    #[param(inline)]
    state: Option<State>,
    /// A profile's name.
    agent: Option<String>,
    /// Found in the title, the folder, the profile's name or the id, without regard to case.
    #[param(max_length = 200)]
    q: Option<String>,
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

fn cursor_after(last: &Stored) -> String {
    let cursor = format!("{}.{}", last.session.updated_at.as_millis(), last.session.id);
    BASE64URL_NOPAD.encode(cursor.as_bytes())
}

fn read_cursor(cursor: &str) -> Result<(Timestamp, SessionId), Failure> {
    let text = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok();
    let text = text.and_then(|text| String::from_utf8(text).ok());
    let place = text.as_deref().and_then(|text| {
        let (time, id) = text.split_once('.')?;
        Some((Timestamp::from_millis(time.parse().ok()?), id.parse().ok()?))
    });
    place.ok_or_else(|| {
        Failure::invalid_query(
            "cursor: must be the next_cursor of a page; leave it out to begin anew",
        )
    })
}

/// Make a session
#[utoipa::path(post, path = "/v1/sessions", tag = "sessions", request_body = CreateSession,
    responses(
        (status = 201, description = "The session was made", body = CreatedView,
            headers(("Location" = String, description = "The session's path"))),
        (status = 200, description = "The session was made before by the same call", body = CreatedView),
        Guarded, Operating, WithBody, NotCreated, Busy))]
pub(super) async fn create(
    by: Operator,
    app: Data<App>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    // The first message may be as large as any other.
    let mut body: CreateSession = body.json(app.config.now().server.max_body_bytes).await?;
    // A profile that the credential may not see is one that is not there.
    if !by.sees(&body.agent) {
        return Err(Refusal::UnknownAgent(body.agent).into());
    }
    check(&body)?;
    let message = body.message.as_mut().map(normal_message).transpose()?;
    let digest = Sha256::digest(
        serde_json::to_vec(&body).map_err(|error| Failure::internal(&error.to_string()))?,
    );
    let new = NewSession {
        id: body.session_id.unwrap_or_else(|| SessionId::from_uuid(uuid::Uuid::new_v4())),
        agent: body.agent,
        cwd: body.cwd,
        title: body.title,
        env: body.env,
        message,
        digest: digest.into(),
        by: by.name.to_string(),
    };
    let (id, message_id) = (new.id, new.message.as_ref().map(|(id, _)| id.clone()));
    let created = app.registry.create(new).await.map_err(|refusal| match refusal {
        Refusal::Deleted | Refusal::Store(StoreError::Deleted) => {
            Failure::new(ErrorCode::Gone, Refusal::Deleted.to_string())
        }
        other => other.into(),
    })?;
    let receipt = match (created.receipt, message_id) {
        (Some(reply), Some(message_id)) => Some(messages::receipt(id, message_id, reply)?),
        _ => None,
    };
    let session = CreatedView { session: view(&created.stored, &app.log.held()), receipt };
    let mut response = if created.is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.insert_header((header::LOCATION, format!("/v1/sessions/{id}"))).json(session))
}

/// Gives the message the one form that is compared and digested: `text` becomes a block.
fn normal_message(
    message: &mut SendMessage,
) -> Result<(crate::domain::MessageId, Vec<ContentBlock>), Failure> {
    let content = messages::content(message.content.take(), message.text.take(), "message.")?;
    message.content = Some(content.clone());
    Ok((message.message_id.clone(), content))
}

/// The bounds of a creating body. What its profile allows, the registry judges.
fn check(body: &CreateSession) -> Result<(), Refusal> {
    check_title(body.title.as_deref())?;
    let invalid = |detail| Err(Refusal::Invalid { field: "env", detail });
    if body.env.len() > ENV_MAX {
        let detail = format!("may have at most {ENV_MAX} variables, has {}", body.env.len());
        return invalid(detail);
    }
    for (name, value) in &body.env {
        if value.len() > ENV_VALUE_MAX || value.contains('\0') {
            let detail =
                format!("{name}: may have at most {ENV_VALUE_MAX} bytes, none of them zero");
            return invalid(detail);
        }
    }
    Ok(())
}

fn check_title(title: Option<&str>) -> Result<(), Refusal> {
    match title.map(|title| title.chars().count()) {
        Some(length) if length > TITLE_MAX => {
            let detail = format!("may have at most {TITLE_MAX} characters, has {length}");
            Err(Refusal::Invalid { field: "title", detail })
        }
        _ => Ok(()),
    }
}

/// A session
#[utoipa::path(get, path = "/v1/sessions/{id}", tag = "sessions", params(InSession),
    responses((status = 200, description = "The session", body = SessionView), Guarded, Present))]
pub(super) async fn get(on: On<Viewer>, app: Data<App>) -> Result<Json<SessionView>, Failure> {
    Ok(Json(view(&app.log.session(on.id).await?, &app.log.held())))
}

/// Give a session another title
#[utoipa::path(patch, path = "/v1/sessions/{id}", tag = "sessions", params(InSession), request_body = RenameSession,
    responses((status = 200, description = "The session", body = SessionView), Guarded, Operating, Present, WithBody))]
pub(super) async fn rename(
    on: On<Operator>,
    app: Data<App>,
    body: Body,
) -> Result<Json<SessionView>, Failure> {
    let RenameSession { title } = body.json(super::BODY_MAX).await?;
    check_title(title.as_deref())?;
    app.registry.ask(on.id, &on.by.name, Request::Rename { title }).await?;
    Ok(Json(view(&app.log.session(on.id).await?, &app.log.held())))
}

/// Delete a session with all it has; its process tree is killed behind the answer
#[utoipa::path(delete, path = "/v1/sessions/{id}", tag = "sessions", params(InSession),
    responses((status = 204, description = "The deletion is committed"), Guarded, Operating, Present))]
pub(super) async fn delete(on: On<Operator>, app: Data<App>) -> Result<HttpResponse, Failure> {
    app.registry.ask(on.id, &on.by.name, Request::Delete).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn a_create_has_its_bounds() {
        let refusal = |body: &serde_json::Value| {
            let body = serde_json::from_value(body.clone()).unwrap();
            check(&body).err().map(|refusal| refusal.to_string())
        };
        let many: BTreeMap<_, _> = (0..65).map(|number| (format!("V{number}"), "")).collect();
        for (body, expected) in [
            (json!({"agent":"demo","title":"ü".repeat(200),"env":{"MODEL":"x"}}), None),
            (
                json!({"agent":"demo","title":"ü".repeat(201)}),
                Some("title: may have at most 200 characters, has 201"),
            ),
            (
                json!({"agent":"demo","env":many}),
                Some("env: may have at most 64 variables, has 65"),
            ),
            (
                json!({"agent":"demo","env":{"MODEL":"a\0"}}),
                Some("env: MODEL: may have at most 32768 bytes, none of them zero"),
            ),
        ] {
            assert_eq!(refusal(&body).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn text_and_its_block_make_the_same_create() {
        let digest = |body: &str| {
            let mut body: CreateSession = serde_json::from_str(body).unwrap();
            body.message.as_mut().map(normal_message).transpose().unwrap();
            serde_json::to_string(&body).unwrap()
        };
        let text = r#"{"agent":"demo","message":{"message_id":"a","text":"hi"}}"#;
        let block = r#"{"message":{"content":[{"type":"text","text":"hi"}],"message_id":"a"},"agent":"demo"}"#;
        assert_eq!(digest(text), digest(block));
    }

    #[test]
    fn a_cursor_is_read_back_and_an_edited_one_is_refused() {
        let (time, id) = (
            Timestamp::from_millis(1_795_422_001_123),
            SessionId::from_uuid(uuid::Uuid::from_u128(7)),
        );
        let cursor = BASE64URL_NOPAD.encode(format!("{}.{id}", time.as_millis()).as_bytes());
        assert_eq!(read_cursor(&cursor).unwrap(), (time, id));
        for edited in ["", "x", &cursor[1..], &format!("{cursor}=="), "ü"] {
            assert!(read_cursor(edited).is_err(), "{edited}");
        }
    }
}
