//! The HTTP faces: the public API under `/v1`, and the admin listener's health checks. They know sessions; sessions do
//! not know them.

pub mod admin;
pub mod auth;
mod body;
mod connection;
mod console;
mod control;
pub mod error;
mod gate;
mod handover;
mod history;
mod host;
mod login;
mod messages;
mod openapi;
mod query;
mod requests;
mod routes;
mod sessions;
mod stream;
mod target;

pub use handover::Plain;
pub use routes::configure;
pub use sessions::view;
// What `scripts/instructions` counts.
#[doc(hidden)]
pub use {history::encode as encode_page, stream::Frames};

use crate::{
    clock::Clock,
    config::{Live, Token},
    domain::Timestamp,
    logging::Logger,
    metrics::Metrics,
    registry::Registry,
    store::EventLog,
    supervise::pulse::Pulse,
};
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// The largest body of a call that takes no message.
const BODY_MAX: usize = 1 << 20;

/// What the handlers work with; the server puts it into `app_data` as `web::Data<App>`.
pub struct App {
    pub log: Arc<dyn EventLog>,
    pub registry: Registry,
    pub config: Live,
    pub clock: Clock,
    started_at: Timestamp,
    pulse: Arc<Pulse>,
    metrics: Arc<Metrics>,
    samples: watch::Sender<admin::history::Samples>,
    requests: requests::Requests,
    access: watch::Sender<Arc<Access>>,
    /// For streams that have their socket to themselves.
    sockets: Arc<Semaphore>,
    sockets_max: usize,
    cookie_key: auth::CookieKey,
    /// Where this server owns the log of its process.
    logger: Option<Logger>,
    documents: openapi::Documents,
}

/// What the handlers' application is made of.
pub struct Parts {
    pub log: Arc<dyn EventLog>,
    pub registry: Registry,
    pub config: Live,
    pub clock: Clock,
    pub pulse: Arc<Pulse>,
    pub metrics: Arc<Metrics>,
    /// The one of [`auth::bootstrap`], valid only while `config` has none.
    pub first_token: Option<Token>,
    pub cookie_key: auth::CookieKey,
    /// How many streams may have their socket to themselves.
    pub sockets: usize,
    pub logger: Option<Logger>,
}

/// Who is let in, made out of the configuration once and not for each request.
pub(crate) struct Access {
    pub(crate) tokens: auth::Tokens,
    cookies: auth::Cookies,
    failures: auth::Failures,
    hosts: host::Hosts,
}

impl Access {
    fn new(
        config: &Live,
        first_token: Option<Token>,
        cookie_key: auth::CookieKey,
        clock: &Clock,
    ) -> Arc<Self> {
        let config = config.now();
        let server = &config.server;
        let first_token = first_token.filter(|_| config.auth.tokens.is_empty());
        let tokens = config.auth.tokens.iter().cloned().chain(first_token);
        Arc::new(Self {
            tokens: auth::Tokens::new(tokens),
            cookies: auth::Cookies::new(cookie_key, server),
            failures: auth::Failures::new(server.login_rate, server.behind_proxy, clock),
            hosts: host::Hosts::new(server),
        })
    }
}

impl App {
    pub fn new(parts: Parts) -> Self {
        let Parts {
            log,
            registry,
            config,
            clock,
            pulse,
            metrics,
            first_token,
            cookie_key,
            sockets,
            logger,
        } = parts;
        let access = Access::new(&config, first_token, cookie_key.clone(), &clock);
        Self {
            access: watch::Sender::new(access),
            sockets: Arc::new(Semaphore::new(sockets)),
            sockets_max: sockets,
            cookie_key,
            logger,
            started_at: clock.now(),
            samples: watch::Sender::new(admin::history::Samples::new(clock.now())),
            pulse,
            metrics,
            requests: requests::Requests::new(),
            documents: openapi::Documents::default(),
            log,
            registry,
            config,
            clock,
        }
    }

    /// How many streams have their socket to themselves.
    fn streams_on_sockets(&self) -> usize {
        self.sockets_max - self.sockets.available_permits()
    }

    /// Answers when no stream has its socket to itself, and no other will.
    pub(crate) async fn streams_ended(&self) {
        let all = u32::try_from(self.sockets_max).unwrap_or(u32::MAX);
        if let Ok(all) = self.sockets.acquire_many(all).await {
            all.forget();
        }
    }

    pub(crate) fn access(&self) -> Arc<Access> {
        self.access.borrow().clone()
    }

    /// Lets in whom the configuration names by now, and ends the streams of the others; what is logged is as it says,
    /// also where only a call had changed that.
    pub(crate) fn reconfigured(&self, first_token: Option<Token>) {
        let access = Access::new(&self.config, first_token, self.cookie_key.clone(), &self.clock);
        self.access.send_replace(access);
        if let Some(logger) = &self.logger {
            logger.configure(&self.config.now().log);
        }
    }
}

#[cfg(test)]
mod tests;
