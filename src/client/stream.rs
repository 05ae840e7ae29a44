//! A stream that reconnects by itself and never shows an event twice or out of order. It holds cursors, and heals what
//! a connection lost from history; the history behind a `gap` is the caller's to fetch.

mod connect;
mod heal;
mod place;

pub use place::Begin;

use super::{
    Client, ClientError, Lost, StreamItem,
    backoff::{Backoff, jitter},
};
use crate::{
    domain::{ConnectionId, Seq, SessionId, Timestamp},
    wire::{
        api::{ByeFrame, Welcome},
        sse::{Decoder, ServerEvent},
    },
};
use futures_util::future::BoxFuture;
use heal::{Found, Heal};
use place::{Place, Step};
use std::time::Duration;

/// The server's own advice in every welcome; until one came, this.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Heartbeats may be late; two and a half intervals of silence are not late but dead.
const SILENT_HEARTBEATS: f64 = 2.5;

/// The longest event that is taken: far above what a server stores as one, and above the longest list.
const EVENT_MAX: usize = 64 * 1024 * 1024;

/// What to follow, and from where.
#[derive(Clone, Debug)]
pub struct StreamRequest {
    /// At most 64.
    pub sessions: Vec<SessionId>,
    /// The list of sessions too.
    pub list: bool,
    pub begin: Begin,
}

/// Items as they come, over as many connections as it takes.
pub struct Stream {
    client: Client,
    place: Place,
    backoff: Backoff,
    link: Link,
    /// What is missing before the event that came last is fetched; the open connection waits meanwhile.
    heal: Option<Heal>,
    connection: Option<ConnectionId>,
    last_heard: Timestamp,
    /// How much silence means that the connection is dead.
    patience: Duration,
}

enum Link {
    Waiting { until: Timestamp },
    Connecting(BoxFuture<'static, Result<reqwest::Response, ClientError>>),
    Open { response: reqwest::Response, decoder: Box<Decoder> },
    Closed,
}

impl StreamRequest {
    pub fn session(id: SessionId, begin: Begin) -> Self {
        Self { sessions: vec![id], list: false, begin }
    }

    pub fn list() -> Self {
        Self { sessions: Vec::new(), list: true, begin: Begin::Head }
    }
}

impl Stream {
    pub(super) fn new(client: Client, request: StreamRequest) -> Self {
        let now = client.clock.now();
        Self {
            place: Place::new(request),
            backoff: Backoff::new(RETRY, RETRY_MAX),
            link: Link::Waiting { until: now },
            heal: None,
            connection: None,
            last_heard: now,
            patience: super::CALL_TIMEOUT,
            client,
        }
    }

    /// The next item. None: the server said that there is nothing to come back for. An error: the stream is refused
    /// for good, or speaks what this version does not understand; it is over then. Failures that may pass are items
    /// ([`StreamItem::Lost`]). A call that is dropped before it answers loses nothing.
    pub async fn next(&mut self) -> Result<Option<StreamItem>, ClientError> {
        loop {
            if let Some(heal) = &mut self.heal {
                let found = heal.next().await;
                if let Some(item) = self.healed(found) {
                    return Ok(Some(item));
                }
                continue;
            }
            match &mut self.link {
                Link::Closed => return Ok(None),
                Link::Waiting { until } => {
                    self.client.clock.sleep_until(*until).await;
                    self.link = match self.place.is_empty() {
                        true => Link::Closed,
                        false => Link::Connecting(connect::open(self.client.clone(), &self.place)),
                    };
                }
                Link::Connecting(connecting) => match connecting.await {
                    Ok(response) => self.opened(response),
                    Err(cause) if cause.is_transient() => return Ok(Some(self.lost(cause))),
                    Err(cause) => return Err(self.close(cause)),
                },
                Link::Open { decoder, .. } => match decoder.next_event() {
                    Some(event) => {
                        if let Some(item) = self.take(event)? {
                            return Ok(Some(item));
                        }
                    }
                    None => {
                        if let Some(lost) = self.read().await? {
                            return Ok(Some(lost));
                        }
                    }
                },
            }
        }
    }

    /// From where this stream, or another one for the same sessions, would go on.
    pub fn token(&self) -> Option<&str> {
        self.place.token()
    }

    /// The highest contiguous seq that was handed out of a session; None before anything is known of it.
    pub fn cursor(&self, session: SessionId) -> Option<Seq> {
        self.place.cursor(session)
    }

    /// The server's name for the open connection, for [`Client::suspend`].
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    fn opened(&mut self, response: reqwest::Response) {
        self.last_heard = self.client.clock.now();
        self.patience = super::CALL_TIMEOUT;
        self.link = Link::Open { response, decoder: Box::new(Decoder::new(EVENT_MAX)) };
    }

    /// Reads what the socket has next. An item only where the connection is gone.
    async fn read(&mut self) -> Result<Option<StreamItem>, ClientError> {
        let Link::Open { response, decoder } = &mut self.link else {
            return Ok(None);
        };
        let now = self.client.clock.now();
        // From the last byte on, not from this call on: a caller may ask often and drop each call.
        let patience = (self.last_heard + self.patience) - now;
        let chunk = tokio::select! {
            biased;
            chunk = response.chunk() => chunk,
            () = self.client.clock.sleep(patience) => {
                let url = self.client.url().to_owned();
                return Ok(Some(self.lost(ClientError::TimedOut { url, after: self.patience })));
            }
        };
        match chunk {
            Ok(Some(bytes)) => {
                self.last_heard = self.client.clock.now();
                if let Err(error) = decoder.feed(&bytes) {
                    let cause = self.client.malformed(error.to_string());
                    return Err(self.close(cause));
                }
                Ok(None)
            }
            Ok(None) => {
                let cause = self.client.cut("the server closed the stream");
                Ok(Some(self.lost(cause)))
            }
            Err(error) => {
                let cause = self.client.unreachable(&error);
                Ok(Some(self.lost(cause)))
            }
        }
    }

    /// What a frame means for this stream; None where it is nothing new.
    fn take(&mut self, event: ServerEvent) -> Result<Option<StreamItem>, ClientError> {
        if let Some(retry) = event.retry {
            self.backoff.set_base(Duration::from_millis(retry));
        }
        let item = match StreamItem::parse(&event) {
            Ok(Some(item)) => item,
            Ok(None) => return Ok(None),
            Err(error) => {
                let detail = format!("a `{}` frame: {error}", event.event);
                let cause = self.client.malformed(detail);
                return Err(self.close(cause));
            }
        };
        match &item {
            StreamItem::Welcome(welcome) => self.welcomed(welcome),
            StreamItem::Bye(bye) => self.dismissed(bye),
            // Whatever else arrives shows that this connection works.
            _ => self.backoff.reset(),
        }
        Ok(match self.place.advance(&item, &event.id) {
            Step::Show => Some(item),
            Step::Known => None,
            Step::Hole { session, cursor, seq } => {
                let history = self.client.history(session, cursor, Some(Seq(seq.0 - 1)));
                self.heal = Some(Heal::new(history, item, event.id));
                None
            }
        })
    }

    /// One step of the healing of a hole. None: go on, there is nothing to show.
    fn healed(&mut self, found: Result<Found, ClientError>) -> Option<StreamItem> {
        let (item, id) = match found {
            Ok(Found::Missing(item)) => (item, String::new()),
            Ok(Found::Whole) => {
                // The server was not silent: it was not listened to.
                self.last_heard = self.client.clock.now();
                self.heal.take()?.into_held()
            }
            // The connection that has the hole is of no use without what is in it.
            Err(cause) => return Some(self.lost(cause)),
        };
        match self.place.advance(&item, &id) {
            Step::Show => Some(item),
            Step::Known => None,
            Step::Hole { session, cursor, seq } => {
                let what = format!(
                    "event {seq} of {session} came after {cursor}, and history does not have what is between"
                );
                let cause = self.client.cut(&what);
                Some(self.lost(cause))
            }
        }
    }

    fn welcomed(&mut self, welcome: &Welcome) {
        self.connection = Some(welcome.connection_id);
        self.patience = Duration::from_millis(welcome.heartbeat_ms).mul_f64(SILENT_HEARTBEATS);
    }

    /// The server closes next; there is nothing more to read.
    fn dismissed(&mut self, bye: &ByeFrame) {
        self.connection = None;
        self.link = match bye.retry_ms {
            None => Link::Closed,
            Some(retry) => {
                self.backoff.set_base(Duration::from_millis(retry));
                Link::Waiting { until: self.client.clock.now() + self.backoff.next(jitter()) }
            }
        };
    }

    fn lost(&mut self, cause: ClientError) -> StreamItem {
        let asked = cause.retry_after().unwrap_or_default();
        let retry_in = self.backoff.next(jitter()).max(asked);
        self.connection = None;
        self.heal = None;
        self.link = Link::Waiting { until: self.client.clock.now() + retry_in };
        StreamItem::Lost(Lost { cause, retry_in })
    }

    fn close(&mut self, cause: ClientError) -> ClientError {
        self.connection = None;
        self.link = Link::Closed;
        cause
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("client", &self.client).field("place", &self.place).finish()
    }
}
