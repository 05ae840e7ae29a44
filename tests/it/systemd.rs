//! What systemd hears of a server, on a real notification socket.

use crate::support::{PATIENCE, Process, SEAWALL, configure, configured, eventually, within};
use rustix::process::Signal;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixDatagram, UnixStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Far less than a machine would use.
const WATCHDOG: Duration = Duration::from_millis(600);

struct Systemd {
    socket: UnixDatagram,
    _folder: tempfile::TempDir,
}

impl Systemd {
    /// Listens, and starts a server that is told of it.
    async fn start(watchdog: Option<Duration>, failpoints: &str) -> (Self, Process) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let config = configured("");
        let mut command = Process::command(config.path());
        command.env("NOTIFY_SOCKET", &path).env("FAILPOINTS", failpoints);
        if let Some(time) = watchdog {
            command.env("WATCHDOG_USEC", time.as_micros().to_string());
        }
        let server = Process::start_as(command, config).await;
        (Self { socket, _folder: folder }, server)
    }

    /// The next message.
    fn hear(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn hear_until(&self, word: &str) -> Vec<String> {
        let (start, mut heard) = (Instant::now(), Vec::new());
        while !heard.last().is_some_and(|last: &String| last.lines().any(|line| line == word)) {
            // The watchdog is fed all the time.
            assert!(start.elapsed() < PATIENCE, "{word:?} is not among {heard:?}");
            heard.push(self.hear());
        }
        heard
    }
}

#[tokio::test]
async fn systemd_hears_that_the_server_is_ready_and_that_it_stops() {
    let (systemd, server) = Systemd::start(None, "").await;
    let ready = systemd.hear_until("READY=1");
    let status = format!("STATUS=serving on {}", server.url);
    assert!(ready.last().unwrap().lines().any(|line| line == status), "{ready:?}");
    let steps = ["opening the store", "ending what an earlier run left", "recovering 0 sessions"];
    assert_eq!(ready[..ready.len() - 1], steps.map(|step| format!("STATUS=starting: {step}\n")));
    let (ended, _) = server.stop().await;
    assert_eq!(ended.code(), Some(0));
    let heard = systemd.hear_until("STOPPING=1");
    assert!(!heard.iter().any(|message| message.contains("WATCHDOG")), "nobody asked: {heard:?}");
}

#[tokio::test]
async fn systemd_hears_what_the_server_is_about_when_that_changes() {
    let (systemd, mut server) = Systemd::start(Some(WATCHDOG), "").await;
    let serving = |what: &str| format!("STATUS=serving on {}, {what}", server.url);
    systemd.hear_until(&serving("0 sessions live"));
    let id = server.create("demo").await;
    let heard = systemd.hear_until(&serving("1 session live"));
    let told = heard.iter().filter(|message| message.contains("STATUS")).count();
    assert_eq!(told, 1, "it is told once: {heard:?}");
    server.admin().post("/admin/drain", serde_json::Value::Null).await.expect(200);
    systemd.hear_until(&serving("1 session live, draining"));
    server.admin().delete("/admin/drain").await.expect(200);
    server.send(&id, "m1", "hang").await;
    server.until(&id, |event| event["type"] == "agent.message").await;
    server.signal(Signal::TERM);
    systemd.hear_until("STOPPING=1");
    systemd.hear_until("STATUS=stopping: waiting for 1 turn");
    // A second one: it has been seen.
    server.signal(Signal::TERM);
    server.ended().await;
}

#[tokio::test]
async fn a_hang_up_reads_the_file_again_and_systemd_hears_of_it() {
    let (systemd, server) = Systemd::start(None, "").await;
    let ready = systemd.hear_until("READY=1").pop().unwrap();
    for (extra, logged) in [
        (
            "[sessions]\nmax_live = 7\n",
            "the configuration was read again changed=sessions.max_live",
        ),
        ("[sessions]\nmax_life = 7\n", "sessions.max_life: unknown key"),
    ] {
        configure(server.folder.path(), extra);
        server.signal(Signal::HUP);
        let reloading = systemd.hear_until("RELOADING=1").pop().unwrap();
        assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
        assert!(reloading.contains("\nSTATUS=reloading"), "{reloading}");
        let again = systemd.hear_until("READY=1").pop().unwrap();
        assert_eq!(again.trim_end().split(',').next(), ready.trim_end().split(',').next());
        eventually("it is logged", || server.log().contains(logged));
    }
    let config = server.admin().get("/admin/config").await.expect(200);
    let values = config["values"].as_array().unwrap();
    assert!(values.iter().any(|value| value["key"] == "sessions.max_live" && value["value"] == 7));
}

#[tokio::test]
async fn the_watchdog_is_fed_well_within_its_time() {
    let (systemd, _server) = Systemd::start(Some(WATCHDOG), "").await;
    systemd.hear_until("READY=1");
    for _ in 0..3 {
        systemd.hear_until("WATCHDOG=1");
    }
}

#[tokio::test]
async fn the_watchdog_of_a_server_whose_registry_hangs_is_not_fed() {
    // The registry waits for ever at the first request that it is asked.
    let (systemd, server) = Systemd::start(Some(WATCHDOG), "registry::ask=pause").await;
    systemd.hear_until("WATCHDOG=1");
    // By hand: the answer does not come, and this thread listens to the socket.
    let mut asking = TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let (id, token) = (uuid::Uuid::new_v4(), server.token.as_deref().unwrap());
    let head = format!(
        "POST /v1/sessions/{id}/interrupt HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    );
    asking.write_all(head.as_bytes()).unwrap();
    systemd.socket.set_read_timeout(Some(WATCHDOG * 3)).unwrap();
    let mut buffer = [0; 1024];
    // What was sent before it hung is heard; then there is silence.
    let fed = std::iter::from_fn(|| systemd.socket.recv(&mut buffer).ok()).take(50).count();
    assert!(fed < 50, "it is fed although its registry hangs");
}

/// A port that was free a moment ago.
fn free_address() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn both_sockets_of_a_socket_unit_are_served() {
    // The configuration names other addresses than the sockets have.
    let folder = configured("");
    let (public, admin) = (free_address(), folder.path().join("admin.sock"));
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(&public).arg("--listen").arg(&admin);
    command.args([SEAWALL, "serve", "--config"]).arg(folder.path().join("seawall.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // The first connection starts the server, and is served when it has started.
    let first = public.clone();
    let first = tokio::task::spawn_blocking(move || {
        let mut stream = None;
        eventually("the socket listens", || {
            stream = TcpStream::connect(&first).ok();
            stream.is_some()
        });
        let mut stream = stream.unwrap();
        let request =
            "GET /v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let server = Process::start_as(command, folder).await;
    assert_eq!(server.url, format!("http://{public}"));
    let answer = within("the first answer", first).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut stream = UnixStream::connect(&admin).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    let (ended, _) = server.stop().await;
    assert_eq!(ended.code(), Some(0));
}

/// `systemd-analyze` on the units as they are shipped, but for the place of the program; all that it says.
fn analyzed(arguments: &[&str]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    for unit in ["seawall.service", "seawall.socket"] {
        let text = fs::read_to_string(format!("config/systemd/{unit}")).unwrap();
        // The manual page is there where the package is installed.
        let lines = text.lines().filter(|line| !line.starts_with("Documentation="));
        let text = lines.map(|line| line.replace("/usr/bin/seawall", SEAWALL) + "\n");
        fs::write(folder.path().join(unit), text.collect::<String>()).unwrap();
    }
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .current_dir(folder.path())
        .env("SYSTEMD_COLORS", "0")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn the_units_are_what_systemd_understands() {
    // It tells of keys that it does not know, and succeeds all the same.
    let verified = analyzed(&["verify", "./seawall.service", "./seawall.socket"]);
    assert_eq!(verified, (true, String::new()));
}

#[test]
fn the_service_is_confined() {
    // Twenty stands for 2.0.
    let (is_within, text) =
        analyzed(&["security", "--offline=true", "--threshold=20", "./seawall.service"]);
    assert!(is_within, "{text}");
    assert!(text.contains("Overall exposure level"), "{text}");
}

#[test]
fn the_service_has_longer_to_stop_than_the_server_takes() {
    let unit = fs::read_to_string("config/systemd/seawall.service").unwrap();
    let limit = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
    let limit = humantime::parse_duration(limit).unwrap();
    let grace = seawall::config::Config::default().server.shutdown_grace;
    assert!(limit > grace + Duration::from_secs(10), "{limit:?} {grace:?}");
}
