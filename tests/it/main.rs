//! Everything that needs real processes, sockets or files.

// A test that finds nothing to unwrap has failed, as it should.
#![allow(clippy::unwrap_used)]

mod admin;
mod agents;
mod backup;
mod bench;
mod cli;
mod clients;
mod config;
mod console;
mod crash;
mod day;
mod detach;
mod docs;
mod hanging;
mod house;
mod inactivity;
mod instructions;
mod logs;
mod lost_replies;
mod memory;
mod parking;
mod permissions;
mod process;
mod proxy;
mod reload;
mod retention;
mod security;
mod sends;
mod sessions;
mod smoke;
mod start;
mod store_faults;
mod storm;
mod streams;
mod supervision;
mod support;
mod systemd;
mod tls;
mod turns;
