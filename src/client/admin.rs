//! The admin calls, one method each, with the bodies of `wire::admin`. As those of [`Client`], each asks once.

use super::{Client, ClientError, SessionFilter, UrlError, calls::put_filter, http};
use crate::{
    domain::{ConnectionId, SessionId},
    wire::admin::{
        ActorNode, AdminSession, AdminSessionList, BackupMade, ConnectionList, Draining,
        EffectiveConfig, Killed, LogFilter, MakeBackup, Reloaded, Status, TickReport,
    },
};
use reqwest::{Method, Url};
use std::time::Duration;

/// How long a backup may take before it is given up here; it may come to its end all the same.
const BACKUP_TIMEOUT: Duration = Duration::from_secs(3600);

/// The way to a server's admin listener.
#[derive(Clone, Debug)]
pub struct Admin(Client);

impl Admin {
    /// `url`: the listener's root, such as `http://127.0.0.1:7879`, or `unix:PATH`.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, UrlError> {
        let Some(path) = url.strip_prefix("unix:") else {
            return Client::new(url, token).map(Self);
        };
        if !path.starts_with('/') {
            let detail = format!("`{url}`: expected an absolute path after `unix:`");
            return Err(UrlError(detail));
        }
        // Nobody looks the name up: every connection goes to the socket.
        let base = Url::parse("http://localhost/").expect("it is a URL");
        Client::build(http().unix_socket(path), url.to_owned(), base, token).map(Self)
    }

    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get(&["status"]).await
    }

    pub async fn sessions(&self, filter: &SessionFilter) -> Result<AdminSessionList, ClientError> {
        let mut url = self.0.endpoint(&["admin", "sessions"]);
        put_filter(&mut url, filter);
        self.0.get(url).await
    }

    pub async fn session(&self, id: SessionId) -> Result<AdminSession, ClientError> {
        self.get(&["sessions", &id.to_string()]).await
    }

    /// Kills the session's child with its tree. What follows is its policy's.
    pub async fn kill(&self, id: SessionId) -> Result<Killed, ClientError> {
        self.ask(Method::POST, &["sessions", &id.to_string(), "kill"]).await
    }

    pub async fn connections(&self) -> Result<ConnectionList, ClientError> {
        self.get(&["connections"]).await
    }

    /// Closes a stream; its client is told not to come back by itself.
    pub async fn disconnect(&self, id: ConnectionId) -> Result<(), ClientError> {
        self.0.delete(&["admin", "connections", &id.to_string()]).await
    }

    pub async fn supervision(&self) -> Result<ActorNode, ClientError> {
        self.get(&["supervision"]).await
    }

    /// True: the server takes no new work. False: it does again.
    pub async fn set_draining(&self, draining: bool) -> Result<Draining, ClientError> {
        let method = if draining { Method::POST } else { Method::DELETE };
        self.ask(method, &["drain"]).await
    }

    /// Answers when the copy is on disk, which takes as long as the store is large.
    pub async fn backup(&self, name: &str) -> Result<BackupMade, ClientError> {
        let patient = Self(Client { patience: BACKUP_TIMEOUT, ..self.0.clone() });
        patient.write(Method::POST, &["backup"], &MakeBackup { name: name.to_owned() }).await
    }

    /// Runs one sync tick.
    pub async fn sync(&self) -> Result<TickReport, ClientError> {
        self.ask(Method::POST, &["sync"]).await
    }

    /// Sets what is logged from now on.
    pub async fn log(&self, filter: &str) -> Result<LogFilter, ClientError> {
        self.write(Method::PUT, &["log"], &LogFilter { filter: filter.to_owned() }).await
    }

    /// Reads the configuration file again.
    pub async fn reload(&self) -> Result<Reloaded, ClientError> {
        self.ask(Method::POST, &["reload"]).await
    }

    pub async fn config(&self) -> Result<EffectiveConfig, ClientError> {
        self.get(&["config"]).await
    }

    /// Prometheus' text.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let request = self.0.request(Method::GET, self.0.endpoint(&["metrics"]));
        let text = self.0.call(request).await?;
        String::from_utf8(text.into()).map_err(|error| self.0.malformed(error.to_string()))
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &[&str]) -> Result<T, ClientError> {
        self.ask(Method::GET, path).await
    }

    /// A call that has no body.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
    ) -> Result<T, ClientError> {
        let url = self.0.endpoint(&[&["admin"], path].concat());
        let answer = self.0.call(self.0.request(method, url)).await?;
        self.0.parse(&answer)
    }

    async fn write<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl serde::Serialize,
    ) -> Result<T, ClientError> {
        self.0.write(method, &[&["admin"], path].concat(), body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_named_by_an_absolute_path_and_shown_as_it_was_given() {
        assert!(Admin::new("unix:admin.sock", None).is_err());
        let admin = Admin::new("unix:/run/seawall/admin.sock", None).unwrap();
        assert_eq!(admin.0.url(), "unix:/run/seawall/admin.sock");
        assert_eq!(admin.0.endpoint(&["admin", "status"]).path(), "/admin/status");
        assert!(Admin::new("http://127.0.0.1:7879", Some("swt_x")).is_ok());
    }
}
