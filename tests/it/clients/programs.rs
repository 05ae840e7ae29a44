//! Clients that are programs: npm's `eventsource`, PyPI's `httpx-sse`, and curl. Browsers are not here.

use super::{Rules, Talk, cut_anywhere, installed, script};
use crate::support::within;
use std::{pin::pin, process::Stdio};
use tokio::process::Command;

/// Runs a client until the turns have ended; what it has printed.
async fn follow(talk: &Talk, mut command: Command, cuts: usize) -> Vec<String> {
    talk.proxy.each(|number| cut_anywhere(number, None));
    command
        .arg(format!("{}{}", talk.proxy.url(), talk.path()))
        .args([talk.token(), &talk.ids.len().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut client = pin!(command.spawn().expect("a client").wait_with_output());
    let output = tokio::select! {
        output = &mut client => output,
        () = talk.end_after(cuts, Rules::default()) => within("its end", client).await,
    };
    let output = output.expect("its output");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert!(talk.proxy.cuts() >= cuts, "it ended after {} cuts: {errors}", talk.proxy.cuts());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(Into::into).collect()
}

/// Scenario 7.
#[tokio::test]
async fn npm_eventsource_sees_every_event_once_over_its_own_reconnects() {
    let talk = Talk::begin(1).await;
    let mut node = Command::new("node");
    node.env("NODE_PATH", installed("node_modules")).arg(script("eventsource.cjs"));
    let seen = follow(&talk, node, 5).await;
    talk.check(&seen).await;
}

#[tokio::test]
async fn httpx_sse_sees_every_event_once_when_it_comes_back_with_the_last_id() {
    let talk = Talk::begin(3).await;
    let mut python = Command::new(installed("venv/bin/python3"));
    python.arg(script("httpx_sse_client.py"));
    let seen = follow(&talk, python, 20).await;
    talk.check(&seen).await;
}

#[tokio::test]
async fn curl_sees_every_event_once_when_it_is_run_again_with_the_last_id() {
    let talk = Talk::begin(1).await;
    let seen = follow(&talk, Command::new(script("curl")), 10).await;
    talk.check(&seen).await;
}
