//! The console: how its files are served, and its own tests in `tests/console`, which Node.js runs: the client and what
//! the page is worked out from by themselves, the page itself in Chromium against the real server.

use crate::support::{Driven, SEAWALL, within};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs one file of tests.
#[track_caller]
fn run(file: &str) {
    let modules = root().join("target/clients/node_modules");
    let needed = modules.join("playwright-core");
    assert!(needed.exists(), "{} is not there; run scripts/setup", needed.display());
    let output = Command::new("node")
        .args(["--test", "--test-reporter=spec"])
        .arg(root().join("tests/console").join(file))
        .env("SEAWALL", SEAWALL)
        .env("NODE_PATH", modules)
        .output()
        .expect("node; scripts/setup installs it");
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    assert!(output.status.success(), "{file}: {}\n{told}", output.status);
}

/// Scenarios 48 to 52, 54 and 55, by the vectors that the Rust client runs too.
#[test]
fn the_script_client_takes_every_history_as_the_rust_client_does() {
    run("vectors.test.mjs");
}

#[test]
fn its_stream_comes_back_from_where_it_was() {
    run("stream.test.mjs");
}

// Scenario 55.
#[test]
fn it_sees_every_event_of_a_real_server_once_over_many_cuts() {
    run("cuts.test.mjs");
}

#[test]
fn its_outbox_keeps_what_is_not_acknowledged_over_reloads_and_closed_tabs() {
    run("outbox.test.mjs");
}

#[test]
fn events_become_blocks_and_hostile_texts_become_text() {
    run("pages.test.mjs");
}

// Scenarios 49, 50, 53 and 54, in a browser.
#[test]
fn in_a_browser_what_is_sent_and_said_survives_whatever_breaks() {
    run("browser/talk.test.mjs");
}

#[test]
fn in_a_browser_sessions_are_made_found_and_ended() {
    run("browser/views.test.mjs");
}

#[test]
fn in_a_browser_an_agent_can_do_nothing_but_be_shown() {
    run("browser/hostile.test.mjs");
}

#[test]
fn in_a_browser_twenty_thousand_events_open_and_scroll() {
    run("browser/long.test.mjs");
}

#[test]
fn in_a_browser_pages_in_the_background_come_back_exactly() {
    run("browser/background.test.mjs");
}

#[test]
fn in_a_browser_every_view_is_accessible_in_both_sizes_and_schemes() {
    run("browser/looks.test.mjs");
}

#[test]
fn the_types_that_the_modules_claim_hold() {
    let output = Command::new("node")
        .arg(root().join("target/clients/node_modules/typescript/bin/tsc"))
        .arg("--project")
        .arg(root().join("src/http/console/jsconfig.json"))
        .output()
        .expect("node; scripts/setup installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_file_of_tests_is_run() {
    let text = include_str!("console.rs");
    for folder in ["", "browser/"] {
        for entry in std::fs::read_dir(root().join("tests/console").join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_run = text.contains(&format!("run(\"{folder}{name}\")"));
            assert!(!name.ends_with(".test.mjs") || is_run, "nobody runs {folder}{name}");
        }
    }
}

#[test]
fn modules_are_short() {
    let mut folders = vec![root().join("src/http/console"), root().join("tests/console")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let is_script = path.extension().is_some_and(|kind| kind == "js" || kind == "mjs");
            if path.is_dir() {
                folders.push(path);
            } else if is_script {
                let lines = std::fs::read_to_string(&path).unwrap().lines().count();
                assert!(lines <= 400, "{}: {lines} lines", path.display());
            }
        }
    }
}

#[test]
fn the_page_makes_no_element_out_of_text() {
    // What would; put together here, so that this file does not contain it.
    let sinks =
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"];
    let mut seen = 0;
    let mut folders = vec![root().join("src/http/console")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            for sink in sinks {
                assert!(!text.contains(sink), "{}: {sink}", path.display());
            }
        }
    }
    assert!(seen > 30, "{seen} files");
}

async fn get(server: &Driven, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let request = server.with_token(None).request("GET", path);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    within("an answer", request.send()).await.expect("an answer")
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The paths that the page names.
fn named(page: &str) -> Vec<String> {
    let parts = page.split('"').filter(|part| part.starts_with("assets/"));
    parts.map(|part| format!("/{part}")).collect()
}

#[tokio::test]
async fn the_page_is_served_to_everybody_under_a_strict_policy() {
    let server = Driven::start("").await;
    let response = get(&server, "/", &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "text/html; charset=utf-8");
    let policy = header(&response, "content-security-policy");
    for directive in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    assert_eq!(header(&response, "x-content-type-options"), "nosniff");
    assert_eq!(header(&response, "referrer-policy"), "no-referrer");
    assert_eq!(header(&response, "cache-control"), "no-cache");
    let page = response.text().await.unwrap();
    assert_eq!(named(&page).len(), 3, "{page}");
    for path in named(&page) {
        let response = get(&server, &path, &[]).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(header(&response, "cache-control").contains("immutable"), "{path}");
        assert_eq!(header(&response, "content-encoding"), "", "{path}: it was not asked for");
    }
    let library = get(&server, "/client.js", &[]).await;
    assert_eq!(header(&library, "content-type"), "text/javascript; charset=utf-8");
    assert!(library.text().await.unwrap().contains("Outbox"));
}

#[tokio::test]
async fn what_a_browser_has_is_not_sent_again_and_what_it_takes_is_compressed() {
    let server = Driven::start("").await;
    let page = get(&server, "/", &[]).await.text().await.unwrap();
    let script =
        named(&page).into_iter().find(|path| Path::new(path).ends_with("console.js")).unwrap();
    for path in ["/", "/client.js", &script] {
        let plain = get(&server, path, &[]).await;
        let tag = header(&plain, "etag").to_owned();
        let length = plain.bytes().await.unwrap().len();
        let packed = get(&server, path, &[("Accept-Encoding", "br, gzip;q=0.8")]).await;
        assert_eq!(header(&packed, "content-encoding"), "gzip", "{path}");
        assert_eq!(header(&packed, "vary"), "Accept-Encoding", "{path}");
        let bytes = packed.bytes().await.unwrap();
        assert!(bytes.starts_with(&[0x1f, 0x8b]) && bytes.len() < length, "{path}");
        let known = get(&server, path, &[("If-None-Match", &format!("\"other\", {tag}"))]).await;
        assert_eq!(known.status(), 304, "{path}");
        assert_eq!(header(&known, "etag"), tag, "{path}");
        assert_eq!(known.bytes().await.unwrap().len(), 0, "{path}");
        let other = get(&server, path, &[("If-None-Match", "\"other\"")]).await;
        assert_eq!(other.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_browser_that_is_signed_in_asks_for_all_of_it_over_one_connection() {
    let server = Driven::start("").await;
    assert_eq!(header(&get(&server, "/", &[]).await, "connection"), "close");
    let token = server.token.clone().unwrap();
    let login = server.with_token(None).request("POST", "/v1/login");
    let login = login.json(&serde_json::json!({ "token": token })).send().await.unwrap();
    let cookie = header(&login, "set-cookie").split(';').next().unwrap().to_owned();
    let known = get(&server, "/", &[("Cookie", &cookie)]).await;
    assert_eq!((known.status().as_u16(), header(&known, "connection")), (200, ""));
    let forged = get(&server, "/", &[("Cookie", "seawall=forged")]).await;
    assert_eq!((forged.status().as_u16(), header(&forged, "connection")), (200, "close"));
}

#[tokio::test]
async fn files_that_are_not_the_consoles_are_not_there() {
    let server = Driven::start("").await;
    let page = get(&server, "/", &[]).await.text().await.unwrap();
    let script = &named(&page)[0];
    let build = script.split('/').nth(2).unwrap();
    for path in [
        format!("/assets/{build}/main.rs"),
        format!("/assets/{build}/..%2f..%2fCargo.toml"),
        format!("/assets/{build}/"),
        script.replace(build, "0123456789abcdef"),
        "/index.html".into(),
    ] {
        assert_eq!(get(&server, &path, &[]).await.status(), 404, "{path}");
    }
    // A page of another site is not served by a name that was bent to our address.
    let bent = get(&server, "/", &[("Host", "evil.org")]).await;
    assert_eq!(bent.status(), 421);
    let posted = server.with_token(None).request("POST", "/").send().await.unwrap();
    assert_eq!(posted.status(), 405);
}
