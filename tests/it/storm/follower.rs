//! A reader in a storm: comes back whenever it is cut, and takes nothing but the next event, or a gap that says so.

use super::STORM_PATIENCE;
use crate::support::{Api, PATIENCE, Sse};
use seawall::wire::sse::ServerEvent;
use serde_json::Value;
use std::{collections::BTreeMap, time::Instant};
use tokio::sync::watch;

pub(super) struct Follower {
    cursors: BTreeMap<String, u64>,
    token: Option<String>,
    pub(super) gaps: usize,
    pub(super) opened: usize,
}

impl Follower {
    pub(super) fn new(sessions: impl Iterator<Item = String>) -> Self {
        let cursors = sessions.map(|id| (id, 0)).collect();
        Self { cursors, token: None, gaps: 0, opened: 0 }
    }

    /// Follows until it is told to end.
    pub(super) async fn follow(mut self, api: Api, mut running: watch::Receiver<bool>) -> Self {
        loop {
            tokio::select! {
                biased;
                _ = running.wait_for(|running| !running) => return self,
                () = self.read(&api, |_| false) => {}
            }
        }
    }

    /// Follows until it is at these heads.
    pub(super) async fn catch_up(&mut self, api: &Api, heads: &BTreeMap<String, u64>) {
        let is_there = |cursors: &BTreeMap<String, u64>| {
            cursors.iter().all(|(id, cursor)| *cursor >= heads[id])
        };
        let start = Instant::now();
        while !is_there(&self.cursors) {
            assert!(start.elapsed() < STORM_PATIENCE, "a stream does not come to the head");
            self.read(api, is_there).await;
        }
    }

    /// One stream, to its end or until it is done.
    async fn read(&mut self, api: &Api, is_done: impl Fn(&BTreeMap<String, u64>) -> bool) {
        let mut stream = self.open(api).await;
        while !is_done(&self.cursors) {
            let Some(frame) = stream.next().await else { return };
            self.take(&frame);
            if !frame.id.is_empty() {
                self.token = Some(frame.id);
            }
        }
    }

    async fn open(&mut self, api: &Api) -> Sse {
        self.opened += 1;
        let ids: Vec<_> = self.cursors.keys().map(String::as_str).collect();
        let mut path = format!("/v1/stream?sessions={}", ids.join(","));
        if self.token.is_none() {
            let after: Vec<_> =
                self.cursors.iter().map(|(id, cursor)| format!("{id}:{cursor}")).collect();
            path = format!("{path}&after={}", after.join(","));
        }
        let start = Instant::now();
        loop {
            let mut request = api.request("GET", &path);
            if let Some(token) = &self.token {
                request = request.header("Last-Event-ID", token);
            }
            match request.send().await {
                Ok(response) if response.status() == 200 => return Sse::from(response),
                Ok(response) if ![408, 500, 503].contains(&response.status().as_u16()) => {
                    panic!("{response:?}")
                }
                _ => assert!(start.elapsed() < PATIENCE, "no stream can be opened"),
            }
        }
    }

    fn take(&mut self, frame: &ServerEvent) {
        let data: Value = serde_json::from_slice(&frame.data).expect("JSON");
        let number = |name: &str| data[name].as_u64().unwrap_or_else(|| panic!("{name}: {data}"));
        let id = data["session_id"].as_str().unwrap_or_default();
        let cursor = self.cursors.get_mut(id);
        match (frame.event.as_str(), cursor) {
            ("message", Some(cursor)) => {
                assert_eq!(number("seq"), *cursor + 1, "a hole or a double: {data}");
                *cursor += 1;
            }
            ("gap", Some(cursor)) => {
                assert_eq!(number("after"), *cursor, "{data}");
                *cursor = number("resume_at");
                self.gaps += 1;
            }
            ("snapshot", Some(cursor)) => assert_eq!(number("head_seq"), *cursor, "{data}"),
            ("welcome" | "ping" | "bye" | "server", None) => {}
            (other, _) => panic!("{other}: {data}"),
        }
    }
}
