//! Clients in a browser, headless Chromium: its own `EventSource`, and `@microsoft/fetch-event-source`. The pages come
//! from the proxy, so that they and the server have one origin.

use super::{Rules, Talk, cut_anywhere, installed, script};
use crate::support::{Flow, Spot, within};
use serde_json::Value;
use std::{
    fs,
    pin::pin,
    process::{Command, Stdio},
};

/// A browser with one page, in a profile of its own. Dropped, it is killed.
struct Chromium {
    browser: std::process::Child,
    _profile: tempfile::TempDir,
}

impl Chromium {
    fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("chromium");
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-dev-shm-usage"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let browser = command.spawn().expect("chromium; scripts/setup installs it");
        Self { browser, _profile: profile }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its other processes end with the first one.
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

/// Opens a page that follows the sessions, until the turns have ended; what it has seen.
async fn follow(talk: &Talk, page: &str, cuts: usize, unbroken: Rules) -> Vec<String> {
    let text = fs::read_to_string(script(page)).expect("a page");
    talk.proxy.serve("/page", "text/html", text);
    let mut posted = talk.proxy.posted();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("stream", &talk.path())
        .append_pair("token", talk.token())
        .append_pair("sessions", &talk.ids.len().to_string())
        .finish();
    let _browser = Chromium::open(&format!("{}/page?{query}", talk.proxy.url()));
    let mut body = pin!(posted.recv());
    let body = tokio::select! {
        body = &mut body => body,
        () = talk.end_after(cuts, unbroken) => within("the page's report", body).await,
    };
    let body = body.expect("a proxy");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let seen = body["seen"].as_array().unwrap_or_else(|| panic!("{body}"));
    assert!(talk.proxy.cuts() >= cuts, "it ended after {} cuts", talk.proxy.cuts());
    seen.iter().map(|line| line.as_str().expect("a text").into()).collect()
}

/// The browser's own `EventSource` cannot send a credential, so the network adds it.
async fn follow_by_event_source(sessions: usize) {
    let talk = Talk::begin(sessions).await;
    let header = Some(format!("Authorization: Bearer {}", talk.token()));
    let unbroken = Rules { header: header.clone(), ..Rules::default() };
    talk.proxy.each(move |number| cut_anywhere(number, header.clone()));
    let seen = follow(&talk, "eventsource.html", 20, unbroken).await;
    talk.check(&seen).await;
}

/// Scenario 7.
#[tokio::test]
async fn a_browsers_event_source_sees_every_event_once_over_twenty_cuts() {
    follow_by_event_source(1).await;
}

/// Scenario 7.
#[tokio::test]
async fn a_browsers_event_source_sees_three_sessions_whole_over_twenty_cuts() {
    follow_by_event_source(3).await;
}

/// This library takes an id as soon as its line is there. A frame's id is its last line for that reason; a cut exactly
/// between that line and the empty one behind it would cost it the event, whatever a server wrote, and is left out.
#[tokio::test]
async fn fetch_event_source_sees_every_event_once_though_it_is_cut_in_the_middle_of_events() {
    let talk = Talk::begin(1).await;
    for (path, file) in [("index.js", "index.js"), ("fetch", "fetch.js"), ("parse", "parse.js")] {
        let file = format!("node_modules/@microsoft/fetch-event-source/lib/esm/{file}");
        let text = fs::read_to_string(installed(&file)).expect("a module");
        talk.proxy.serve(&format!("/fetch-event-source/{path}"), "text/javascript", text);
    }
    let mut next = 0;
    talk.proxy.each(move |_| {
        next += 20;
        let cut_at = Some(Spot { text: format!("\"seq\":{next},"), then: 20 });
        Rules { down: Flow { cut_at, ..Flow::default() }, ..Rules::default() }
    });
    let seen = follow(&talk, "fetch-event-source.html", 5, Rules::default()).await;
    talk.check(&seen).await;
}
