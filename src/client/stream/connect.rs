//! Opening one connection of a stream. It says where the stream is and checks that events will come; it reads none.

use super::place::Place;
use crate::client::{Client, ClientError, calls::put, error};
use futures_util::future::BoxFuture;
use reqwest::{Method, Url, header};

/// Owns all it needs: a stream keeps it over dropped calls.
pub(super) fn open(
    client: Client,
    place: &Place,
) -> BoxFuture<'static, Result<reqwest::Response, ClientError>> {
    let mut request = client
        .request(Method::GET, url(&client, place))
        .header(header::ACCEPT, "text/event-stream");
    if let Some(token) = place.token() {
        request = request.header("last-event-id", token);
    }
    Box::pin(async move {
        let answer = async {
            let response = request.send().await.map_err(|error| client.unreachable(&error))?;
            accept(&client, response).await
        };
        client.in_time(answer).await
    })
}

fn url(client: &Client, place: &Place) -> Url {
    if place.sessions().is_empty() {
        return client.endpoint(&["v1", "sessions", "stream"]);
    }
    let mut url = client.endpoint(&["v1", "stream"]);
    put(&mut url, "sessions", Some(joined(place.sessions())));
    put(&mut url, "list", place.list().then_some(1));
    if place.token().is_none() {
        let cursors: Vec<_> = place.cursors().map(|(id, seq)| format!("{id}:{seq}")).collect();
        put(&mut url, "after", (!cursors.is_empty()).then(|| joined(&cursors)));
    }
    url
}

fn joined(parts: &[impl ToString]) -> String {
    parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

async fn accept(
    client: &Client,
    response: reqwest::Response,
) -> Result<reqwest::Response, ClientError> {
    let status = response.status();
    if !status.is_success() {
        let retry_after = super::super::retry_after(response.headers(), client.clock.now());
        let body = client.read(response).await?;
        let problem = Box::new(error::read_problem(status.as_u16(), &body));
        return Err(ClientError::Refused { problem, retry_after });
    }
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/event-stream")) {
        let kind = kind.unwrap_or("nothing");
        return Err(client.malformed(format!("expected text/event-stream and got {kind}")));
    }
    Ok(response)
}
