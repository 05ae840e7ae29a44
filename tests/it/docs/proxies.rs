//! The proxies' configurations of `docs/proxies.md`, run as they stand there but for names, ports and certificates.

use super::{blocks, page};
use crate::support::{Process, eventually, turn_of};
use serde_json::json;
use std::{
    fs,
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A proxy that runs; dropped, it is killed.
struct Front {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for Front {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Front {
    /// Starts `command`, which must listen at `address`.
    fn start(command: &mut Command, address: &str, folder: TempDir) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it runs");
        eventually("the proxy listens", || TcpStream::connect(address).is_ok());
        Self { child, url: format!("http://{address}"), _folder: folder }
    }

    fn nginx(server: &Process) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let block = only_block("nginx");
        let lines = block.lines().filter(|line| !line.trim_start().starts_with("ssl_"));
        let site = lines.collect::<Vec<_>>().join("\n");
        let site = replaced(&site, "listen 443 ssl", &format!("listen {address}"));
        let site = replaced(&site, "server_name seawall.example.org", "server_name localhost");
        let site = replaced(&site, "http://127.0.0.1:7878", &server.url);
        let own = folder.path().display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {own}/{kind};\n"))
            .concat();
        let text = format!(
            "daemon off; pid {own}/pid; error_log stderr; events {{}}\nhttp {{\naccess_log off;\n{paths}{site}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-e").arg("stderr").arg("-c").arg(file).arg("-g").arg("master_process off;");
        Self::start(&mut command, &address, folder)
    }

    fn caddy(server: &Process) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
        let block = only_block("caddyfile");
        let site = replaced(&block, "seawall.example.org", &format!("http://{address}"));
        let upstream = server.url.trim_start_matches("http://");
        let site = replaced(&site, "127.0.0.1:7878", upstream);
        let file = folder.path().join("Caddyfile");
        fs::write(&file, format!("{{\n  admin off\n  auto_https off\n}}\n{site}")).unwrap();
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
        command
            .env("HOME", folder.path())
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME");
        command.stderr(Stdio::null());
        Self::start(&mut command, &address, folder)
    }
}

fn only_block(language: &str) -> String {
    let mut blocks = blocks(&page("proxies.md"), language);
    assert_eq!(blocks.len(), 1, "{language}");
    blocks.remove(0)
}

#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from}");
    text.replace(from, to)
}

/// A port that was free a moment ago.
fn free_address() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

async fn behind_a_proxy() -> Process {
    Process::start(
        "[server]\nbehind_proxy = true\nhosts = [\"localhost\", \"127.0.0.1\"]\n[streams]\nheartbeat = \"200ms\"\n",
    )
    .await
}

/// Events come one by one, each before the next is asked for; a large message goes through; a cut stream resumes.
async fn serves_through(server: &Process, front: &Front) {
    let mut api = server.api.clone();
    api.url.clone_from(&front.url);
    let id = api.create("demo").await;
    let path = format!("/v1/sessions/{id}/stream");
    let mut stream = api.stream(&format!("/v1/stream?sessions={id}&after={id}:0")).await;
    for message in ["m1", "m2", "m3"] {
        api.send(&id, message, "hello").await;
        stream.events_until(turn_of(message)).await;
    }
    stream.named("ping").await;
    let large = "x".repeat(3 << 20);
    api.send(&id, "large", &large).await;
    stream.events_until(turn_of("large")).await;
    let place = stream.last_event_id();
    drop(stream);
    api.send(&id, "missed", "hello").await;
    server.turn(&id, "missed").await;
    let mut again = api.stream_with(api.request("GET", &path).header("Last-Event-ID", place)).await;
    let events = again.events_until(turn_of("missed")).await;
    assert_eq!(events[0]["data"]["message_id"], json!("missed"), "{}", events[0]);
}

#[tokio::test]
async fn nginx_as_it_is_described_passes_streams_on() {
    let server = behind_a_proxy().await;
    serves_through(&server, &Front::nginx(&server)).await;
}

#[tokio::test]
async fn caddy_as_it_is_described_passes_streams_on() {
    let server = behind_a_proxy().await;
    serves_through(&server, &Front::caddy(&server)).await;
}
