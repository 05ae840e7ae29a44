//! Steering a session: interrupt, stop, resume, and answers to what its agent asks. None of these waits for the agent;
//! the outcome is an event.

use super::{
    App, BODY_MAX,
    auth::Operator,
    body::Body,
    error::Failure,
    openapi::{Busy, Closed, Guarded, InRequest, InSession, Operating, Present, Taken, WithBody},
    target::On,
};
use crate::{
    domain::event::Outcome,
    session::{Reply, Request},
    wire::api::{
        Accepted, AnswerPermission, AnswerQuestion, Empty, Interrupted, Settled, StopSession,
    },
};
use actix_web::{
    HttpResponse,
    web::{Data, Json, Path},
};
use std::time::Duration;

const GRACE_MAX_MS: u64 = 600_000;

/// Cancel the running turn
#[utoipa::path(post, path = "/v1/sessions/{id}/interrupt", tag = "control", params(InSession),
    request_body(content = Empty, description = "`{}`, or nothing"),
    responses((status = 202, description = "Whether there is something to interrupt", body = Interrupted),
        Guarded, Operating, Present, WithBody))]
pub(super) async fn interrupt(
    on: On<Operator>,
    app: Data<App>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let Empty {} = body.json_or_default(BODY_MAX).await?;
    match app.registry.ask(on.id, &on.by.name, Request::Interrupt).await? {
        Reply::Interrupt { requested } => {
            Ok(HttpResponse::Accepted().json(Interrupted { requested }))
        }
        other => Err(Failure::internal(&format!("an interrupt was answered with {other:?}"))),
    }
}

/// End the session, gently first
#[utoipa::path(post, path = "/v1/sessions/{id}/stop", tag = "control", params(InSession),
    request_body(content = StopSession, description = "May be left out"),
    responses((status = 202, description = "The session ends, or has ended", body = Accepted),
        Guarded, Operating, Present, WithBody))]
pub(super) async fn stop(
    on: On<Operator>,
    app: Data<App>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let StopSession { grace_ms } = body.json_or_default(BODY_MAX).await?;
    if grace_ms.is_some_and(|grace| grace > GRACE_MAX_MS) {
        return Err(Failure::invalid_body(format!("grace_ms: must be at most {GRACE_MAX_MS}")));
    }
    let request = Request::Stop { grace: grace_ms.map(Duration::from_millis) };
    app.registry.ask(on.id, &on.by.name, request).await?;
    Ok(accepted())
}

/// Give an ended session a new run
#[utoipa::path(post, path = "/v1/sessions/{id}/resume", tag = "control", params(InSession),
    request_body(content = Empty, description = "`{}`, or nothing"),
    responses((status = 202, description = "The session comes back, or is live", body = Accepted),
        Guarded, Operating, Present, WithBody, Taken, Busy))]
pub(super) async fn resume(
    on: On<Operator>,
    app: Data<App>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let Empty {} = body.json_or_default(BODY_MAX).await?;
    app.registry.ask(on.id, &on.by.name, Request::Resume).await?;
    Ok(accepted())
}

fn accepted() -> HttpResponse {
    HttpResponse::Accepted().json(Accepted { accepted: true })
}

/// Answer a permission that the agent waits for
#[utoipa::path(post, path = "/v1/sessions/{id}/permissions/{request_id}", tag = "control", params(InRequest),
    request_body = AnswerPermission,
    responses((status = 200, description = "It is settled so", body = Settled),
        Guarded, Operating, Present, WithBody, Closed))]
pub(super) async fn answer_permission(
    on: On<Operator>,
    app: Data<App>,
    path: Path<(String, String)>,
    body: Body,
) -> Result<Json<Settled>, Failure> {
    let outcome = match body.json(BODY_MAX).await? {
        AnswerPermission::Selected { option_id } => Outcome::Selected { option_id },
        AnswerPermission::Cancelled => Outcome::Cancelled,
    };
    let permission_id = path.into_inner().1;
    let request = Request::AnswerPermission {
        permission_id: permission_id.clone(),
        outcome: outcome.clone(),
    };
    settle(&on, &app, request, permission_id, outcome).await
}

/// Answer a question that the agent waits for
#[utoipa::path(post, path = "/v1/sessions/{id}/questions/{request_id}", tag = "control", params(InRequest),
    request_body = AnswerQuestion,
    responses((status = 200, description = "It is settled so", body = Settled),
        Guarded, Operating, Present, WithBody, Closed))]
pub(super) async fn answer_question(
    on: On<Operator>,
    app: Data<App>,
    path: Path<(String, String)>,
    body: Body,
) -> Result<Json<Settled>, Failure> {
    let outcome = match body.json(BODY_MAX).await? {
        AnswerQuestion::Answered { answers } => Outcome::Answered { answers },
        AnswerQuestion::Cancelled => Outcome::Cancelled,
    };
    let question_id = path.into_inner().1;
    let request =
        Request::AnswerQuestion { question_id: question_id.clone(), outcome: outcome.clone() };
    settle(&on, &app, request, question_id, outcome).await
}

async fn settle(
    on: &On<Operator>,
    app: &App,
    request: Request,
    id: String,
    resolution: Outcome,
) -> Result<Json<Settled>, Failure> {
    app.registry.ask(on.id, &on.by.name, request).await?;
    Ok(Json(Settled { id, resolution }))
}
