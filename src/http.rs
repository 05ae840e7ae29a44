//! The HTTP faces: the public API under `/v1`, and the admin listener's health checks. They know sessions; sessions do
//! not know them.

pub mod admin;
pub mod auth;
mod body;
mod connection;
mod control;
pub mod error;
mod gate;
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

pub use routes::configure;
pub use sessions::view;

use crate::{
    clock::Clock,
    config::{Config, Token},
    domain::Timestamp,
    metrics::Metrics,
    registry::Registry,
    store::EventLog,
    supervise::pulse::Pulse,
};
use bytes::Bytes;
use std::sync::Arc;

/// The largest body of a call that takes no message.
const BODY_MAX: usize = 1 << 20;

/// What the handlers work with; the server puts it into `app_data` as `web::Data<App>`.
pub struct App {
    pub log: Arc<dyn EventLog>,
    pub registry: Registry,
    pub config: Arc<Config>,
    pub clock: Clock,
    started_at: Timestamp,
    pulse: Arc<Pulse>,
    metrics: Arc<Metrics>,
    requests: requests::Requests,
    pub(crate) tokens: auth::Tokens,
    cookies: auth::Cookies,
    failures: auth::Failures,
    hosts: host::Hosts,
    /// The OpenAPI documents; they do not change while the server runs.
    document: Bytes,
    admin_document: Bytes,
}

impl App {
    /// `first_token`: the one of [`auth::bootstrap`], valid only while `config` has none.
    pub fn new(
        log: Arc<dyn EventLog>,
        registry: Registry,
        config: Arc<Config>,
        clock: Clock,
        pulse: Arc<Pulse>,
        metrics: Arc<Metrics>,
        first_token: Option<Token>,
        cookie_key: auth::CookieKey,
    ) -> Self {
        let first_token = first_token.filter(|_| config.auth.tokens.is_empty());
        let tokens = config.auth.tokens.iter().cloned().chain(first_token);
        Self {
            tokens: auth::Tokens::new(tokens),
            cookies: auth::Cookies::new(cookie_key, &config.server),
            failures: auth::Failures::new(
                config.server.login_rate,
                config.server.behind_proxy,
                &clock,
            ),
            hosts: host::Hosts::new(&config.server),
            started_at: clock.now(),
            pulse,
            metrics,
            requests: requests::Requests::new(),
            document: openapi::document(config.server.admin_api),
            admin_document: openapi::admin_document(),
            log,
            registry,
            config,
            clock,
        }
    }
}

#[cfg(test)]
mod tests;
