//! The streams as their readers see them: what comes, in which order, after which cut, and what it costs.

mod burst;
mod cuts;
mod handshake;
mod list;
mod reconnect;
mod replay;
mod scope;
mod sockets;
mod start;
mod support;
mod ticks;
mod vanished;
mod watching;
