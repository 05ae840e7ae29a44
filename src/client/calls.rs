//! The calls of the API, one method each, with the bodies of `wire::api`. Every method asks once and answers with
//! what the server said; none tries again behind the caller's back.

use super::{Client, ClientError};
use crate::{
    domain::{ConnectionId, MessageId, Seq, SessionId, State},
    wire::api::{
        Accepted, AnswerPermission, AnswerQuestion, CreateSession, CreatedView, Empty, EventPage,
        Interrupted, Receipt, RenameSession, SendMessage, SessionList, SessionView, Settled,
        StopSession,
    },
};
use reqwest::{Method, Url};
use std::time::Duration;

/// Which sessions to list, and which page of them. The default: all, the newest 50.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    pub state: Option<State>,
    pub agent: Option<String>,
    /// Found in title, working directory, agent or id.
    pub text: Option<String>,
    /// At most 200.
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// Which page of a session's history. Both ends are exclusive; without either: the newest page.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventQuery {
    pub after: Option<Seq>,
    pub before: Option<Seq>,
    /// 1 to 1000; the server's default is 200.
    pub limit: Option<u32>,
}

impl Client {
    pub async fn create_session(&self, body: &CreateSession) -> Result<CreatedView, ClientError> {
        self.write(Method::POST, &["v1", "sessions"], body).await
    }

    pub async fn sessions(&self, filter: &SessionFilter) -> Result<SessionList, ClientError> {
        let mut url = self.endpoint(&["v1", "sessions"]);
        put_filter(&mut url, filter);
        self.get(url).await
    }

    pub async fn session(&self, id: SessionId) -> Result<SessionView, ClientError> {
        self.get(self.endpoint(&["v1", "sessions", &id.to_string()])).await
    }

    /// `title: None` takes the title away.
    pub async fn rename(
        &self,
        id: SessionId,
        title: Option<String>,
    ) -> Result<SessionView, ClientError> {
        let path = ["v1", "sessions", &id.to_string()];
        self.write(Method::PATCH, &path, &RenameSession { title }).await
    }

    pub async fn delete_session(&self, id: SessionId) -> Result<(), ClientError> {
        self.delete(&["v1", "sessions", &id.to_string()]).await
    }

    /// One post. [`Client::send`] posts until there is an answer.
    pub async fn post_message(
        &self,
        id: SessionId,
        body: &SendMessage,
    ) -> Result<Receipt, ClientError> {
        self.post(id, &["messages"], body).await
    }

    pub async fn withdraw(&self, id: SessionId, message: &MessageId) -> Result<(), ClientError> {
        self.delete(&["v1", "sessions", &id.to_string(), "messages", message.as_str()]).await
    }

    pub async fn interrupt(&self, id: SessionId) -> Result<Interrupted, ClientError> {
        self.post(id, &["interrupt"], &Empty {}).await
    }

    /// `grace`: for the gentle rungs of the stop ladder, at most 10 minutes; None: the server's.
    pub async fn stop(
        &self,
        id: SessionId,
        grace: Option<Duration>,
    ) -> Result<Accepted, ClientError> {
        let grace_ms = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
        self.post(id, &["stop"], &StopSession { grace_ms }).await
    }

    pub async fn resume(&self, id: SessionId) -> Result<Accepted, ClientError> {
        self.post(id, &["resume"], &Empty {}).await
    }

    pub async fn answer_permission(
        &self,
        id: SessionId,
        permission: &str,
        answer: &AnswerPermission,
    ) -> Result<Settled, ClientError> {
        self.post(id, &["permissions", permission], answer).await
    }

    pub async fn answer_question(
        &self,
        id: SessionId,
        question: &str,
        answer: &AnswerQuestion,
    ) -> Result<Settled, ClientError> {
        self.post(id, &["questions", question], answer).await
    }

    pub async fn events(
        &self,
        id: SessionId,
        query: &EventQuery,
    ) -> Result<EventPage, ClientError> {
        let mut url = self.endpoint(&["v1", "sessions", &id.to_string(), "events"]);
        put(&mut url, "after", query.after);
        put(&mut url, "before", query.before);
        put(&mut url, "limit", query.limit);
        self.get(url).await
    }

    /// Says that the stream of this connection goes to the background.
    pub async fn suspend(&self, connection: ConnectionId) -> Result<(), ClientError> {
        let url = self.endpoint(&["v1", "connections", &connection.to_string(), "suspend"]);
        self.call(self.request(Method::POST, url)).await.map(drop)
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        id: SessionId,
        path: &[&str],
        body: &impl serde::Serialize,
    ) -> Result<T, ClientError> {
        let id = id.to_string();
        self.write(Method::POST, &[&["v1", "sessions", &id], path].concat(), body).await
    }
}

pub(super) fn put_filter(url: &mut Url, filter: &SessionFilter) {
    put(url, "state", filter.state.map(State::as_str));
    put(url, "agent", filter.agent.as_ref());
    put(url, "q", filter.text.as_ref());
    put(url, "limit", filter.limit);
    put(url, "cursor", filter.cursor.as_ref());
}

/// A query parameter, where it has a value.
pub(super) fn put(url: &mut Url, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, &value.to_string());
    }
}
