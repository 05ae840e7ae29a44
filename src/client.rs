//! The client library: typed calls of the HTTP API and a stream that reconnects by itself. It speaks to any Seawall
//! over the wire alone: it knows neither the server's actors nor its database, and it shows nothing to anybody.

mod admin;
mod backoff;
mod calls;
mod error;
mod history;
mod item;
mod outbox;
mod retry;
mod send;
mod stream;

pub use admin::Admin;
pub use calls::{EventQuery, SessionFilter};
pub use error::{ClientError, UrlError};
pub use history::History;
pub use item::{ListChange, LogEvent, Lost, StreamItem};
pub use outbox::{
    Entry, EntryState, FileError, OUTBOX_MAX, Outbox, OutboxError, OutboxState, QueueError,
    StateFile,
};
pub use send::SendOptions;
pub use stream::{Begin, Stream, StreamRequest};

use crate::{clock::Clock, domain::Timestamp, wire::problem::Problem};
use bytes::Bytes;
use reqwest::{Method, Url, header};
use serde::{Serialize, de::DeserializeOwned};
use std::{sync::Arc, time::Duration};

/// How long a call may take before it is given up; its effect is then unknown.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// The longest answer of a call: a page of history ends at 4 MiB, one event may be larger.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// The HTTP library as this room uses it, trusting no certificate: a server without TLS is reached from a machine, too,
/// that has no list of authorities, and none is read for it.
pub fn http() -> reqwest::ClientBuilder {
    https().tls_certs_only([])
}

/// The same, trusting what the machine trusts, or the file in `$SSL_CERT_FILE`. The implementation of TLS is the process's
/// own if it chose one, else `ring`'s.
fn https() -> reqwest::ClientBuilder {
    // An error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// The way to one server with one credential. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<Url>,
    shown: Arc<str>,
    /// `Bearer …`, marked as sensitive, so that no log of the HTTP library shows it.
    authorization: Option<header::HeaderValue>,
    clock: Clock,
    /// How long a call may take.
    patience: Duration,
}

impl Client {
    /// `url`: the server's root, such as `http://127.0.0.1:7878`; a path before `/v1` is kept. A token goes over TLS, or
    /// stays on this machine.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, UrlError> {
        let base = parse_base(url)?;
        let has_tls = base.scheme() == "https";
        if token.is_some() && !has_tls && !is_loopback(&base) {
            return Err(UrlError(format!(
                "`{url}`: the token would cross the network in the clear; write https://, or reach the server by its \
                 loopback address, as through a tunnel"
            )));
        }
        let mut http = if has_tls { https() } else { http() };
        if is_loopback(&base) {
            // A proxy of the environment could not reach this machine's own loopback.
            http = http.no_proxy();
        }
        Self::build(http, base.to_string(), base, token)
    }

    /// `shown`: how the server is named to people.
    fn build(
        http: reqwest::ClientBuilder,
        shown: String,
        base: Url,
        token: Option<&str>,
    ) -> Result<Self, UrlError> {
        let authorization = token.map(bearer).transpose()?;
        let http = http
            .connect_timeout(Duration::from_secs(5))
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("seawall/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                let cause = error::innermost(&error);
                UrlError(format!(
                    "`{shown}`: {cause}; install ca-certificates, or set SSL_CERT_FILE"
                ))
            })?;
        let (base, shown) = (Arc::new(base), shown.into());
        let (clock, patience) = (Clock::system(), CALL_TIMEOUT);
        Ok(Self { http, base, shown, authorization, clock, patience })
    }

    /// The same client on another clock: all its waits follow that one.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The server's root, as given.
    pub fn url(&self) -> &str {
        &self.shown
    }

    /// Follows sessions, the list, or both. Connects when it is first asked for an item.
    pub fn stream(&self, request: StreamRequest) -> Stream {
        Stream::new(self.clone(), request)
    }

    /// `path` below the root, each segment encoded.
    fn endpoint(&self, path: &[&str]) -> Url {
        let mut url = (*self.base).clone();
        url.path_segments_mut()
            .expect("parse_base takes http and https only, which have a path")
            .pop_if_empty()
            .extend(path);
        url
    }

    fn request(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        let request = self.http.request(method, url);
        match &self.authorization {
            Some(value) => request.header(header::AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, ClientError> {
        let request = self.request(Method::GET, url);
        self.parse(&self.call(request).await?)
    }

    async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let request = self.request(method, self.endpoint(path)).json(body);
        self.parse(&self.call(request).await?)
    }

    async fn delete(&self, path: &[&str]) -> Result<(), ClientError> {
        let request = self.request(Method::DELETE, self.endpoint(path));
        self.call(request).await.map(drop)
    }

    fn parse<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(body).map_err(|error| self.malformed(error.to_string()))
    }

    /// One request, one answer: the body of a 2xx, or why there is none.
    async fn call(&self, request: reqwest::RequestBuilder) -> Result<Bytes, ClientError> {
        let answer = async {
            let response = request.send().await.map_err(|error| self.unreachable(&error))?;
            let status = response.status();
            let retry_after = retry_after(response.headers(), self.clock.now());
            let body = self.read(response).await?;
            if status.is_success() {
                return Ok(body);
            }
            let problem = Box::new(error::read_problem(status.as_u16(), &body));
            Err(ClientError::Refused { problem, retry_after })
        };
        self.in_time(answer).await
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Bytes, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(self.malformed(format!("an answer of more than {ANSWER_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        tokio::select! {
            result = work => result,
            () = self.clock.sleep(self.patience) => {
                Err(ClientError::TimedOut { url: self.shown.to_string(), after: self.patience })
            }
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { url: self.shown.to_string(), cause: error::innermost(error) }
    }

    /// The connection ended although nothing failed.
    fn cut(&self, cause: &str) -> ClientError {
        ClientError::Unreachable { url: self.shown.to_string(), cause: cause.to_owned() }
    }

    fn malformed(&self, detail: String) -> ClientError {
        ClientError::Malformed { url: self.shown.to_string(), detail }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.shown).finish()
    }
}

fn parse_base(text: &str) -> Result<Url, UrlError> {
    let url = Url::parse(text).map_err(|error| {
        UrlError(format!("`{text}` is not a URL ({error}); write https://HOST:PORT"))
    })?;
    if !matches!(url.scheme(), "http" | "https")
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(UrlError(format!("`{text}` is not a server's root; write https://HOST:PORT")));
    }
    Ok(url)
}

/// Whether a server's URL names this machine by its loopback address.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn bearer(token: &str) -> Result<header::HeaderValue, UrlError> {
    let mut value = header::HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
        UrlError("the token has characters that no token has; give it again".into())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Seconds, as our server writes them, or a date, as a proxy may.
fn retry_after(headers: &header::HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Timestamp::from_millis(date.as_millisecond()) - now)
}

#[cfg(test)]
mod scripted;
#[cfg(test)]
mod tests;
