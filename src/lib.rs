//! Seawall keeps sessions with coding agents: durable, supervised, and followed over networks that break.
//!
//! The rooms, in the order in which they may use each other (each only those above it):

pub mod domain;
pub mod wire;

pub mod clock;
pub(crate) mod fault;
pub mod metrics;

pub mod agent;
pub mod config;
pub mod logging;
pub mod process;
pub mod store;
pub mod supervise;

pub mod session;

pub mod registry;
pub(crate) mod supervisor;

pub mod client;
pub mod http;

pub mod server;

pub mod cli;
