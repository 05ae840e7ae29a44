//! TLS on the public listener, spoken to by our own client, by reqwest and by curl. What streams promise is tested
//! elsewhere; here it is that they do so when encrypted.

use crate::support::{
    Api, Authority, Driven, Process, SEAWALL, Sse, configured, of_type, with_tls, within,
};
use bytes::Bytes;
use seawall::wire::sse::ServerEvent;
use serde_json::Value;
use std::{
    fs,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A server with a certificate of an authority, which its client trusts.
async fn encrypted() -> (Process, Api, Authority, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let server = Process::start(&with_tls(&authority.certify(folder.path()))).await;
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);
    fs::write(folder.path().join("ca.pem"), &authority.pem).unwrap();
    let api = server.trusting(&authority);
    (server, api, authority, folder)
}

async fn output(command: &mut Command) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("it can be started");
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
    within("the command's end", ended).await.unwrap().expect("output")
}

/// Reads log events up to this seq; each event's line.
async fn lines_up_to(stream: &mut Sse, last: u64) -> Vec<(ServerEvent, Bytes)> {
    let mut lines = Vec::new();
    loop {
        let frame = stream.next().await.expect("an open stream");
        assert_ne!(frame.event, "gap");
        if frame.event == "message" {
            let event: Value = serde_json::from_slice(&frame.data).unwrap();
            let data = Bytes::from(frame.data.to_vec());
            lines.push((frame, data));
            if event["seq"] == last {
                return lines;
            }
        }
    }
}

#[tokio::test]
async fn a_stream_over_tls_is_the_same_stream_and_resumes() {
    let (_server, api, _authority, _folder) = encrypted().await;
    let id = api.create("demo").await;
    api.send(&id, "m1", "flood 150").await;
    let events = api.turn(&id, "m1").await;
    let head = events.last().unwrap()["seq"].as_u64().unwrap();
    let path = format!("/v1/stream?sessions={id}&after={id}:0");
    let mut whole = api.stream(&path).await;
    let whole = lines_up_to(&mut whole, head).await;
    assert_eq!(whole.len() as u64, head, "from the first event, without a hole");

    let mut cut = api.stream(&path).await;
    let first = lines_up_to(&mut cut, head / 2).await;
    let token = cut.last_event_id();
    drop(cut);
    let request = api.request("GET", &format!("/v1/stream?sessions={id}"));
    let mut rest = api.stream_with(request.header("Last-Event-ID", token)).await;
    let rest = lines_up_to(&mut rest, head).await;
    let joined: Vec<_> = first.iter().chain(&rest).map(|(_, data)| data).collect();
    assert_eq!(joined, whole.iter().map(|(_, data)| data).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_reader_over_tls_that_pauses_while_much_is_said_gets_all_of_it() {
    let (_server, api, _authority, _folder) = encrypted().await;
    let id = api.create("sh").await;
    let mut slow = api.follow(&id).await;
    slow.named("welcome").await;
    // More than sockets, TLS and the queue of a stream hold together.
    let script = "i=0; x=$(head -c 60000 /dev/zero | tr '\\0' x); while [ $i -lt 400 ]; do echo $i $x; i=$((i+1)); done; echo end";
    api.send(&id, "m1", script).await;
    let events = api.until(&id, |event| event["data"]["text"] == "end").await;
    let said: Vec<_> = of_type(&events, "agent.output").into_iter().cloned().collect();
    let seen = slow.events_until(|event| event["data"]["text"] == "end").await;
    let seen: Vec<_> = of_type(&seen, "agent.output").into_iter().cloned().collect();
    assert_eq!(seen.len(), said.len());
    assert!(seen == said, "the same events in the same order");
}

#[tokio::test]
async fn curl_asks_for_http_2_and_gets_the_stream_over_1_1() {
    let (_server, api, _authority, folder) = encrypted().await;
    let id = api.create("demo").await;
    api.send(&id, "m1", "hello").await;
    api.turn(&id, "m1").await;
    let token = api.token.as_deref().unwrap();
    let curl = || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--http2", "--cacert"])
            .arg(folder.path().join("ca.pem"));
        curl.args(["--header", &format!("Authorization: Bearer {token}")]);
        curl
    };
    for version in ["1.2", "1.3"] {
        let out = output(
            curl()
                .args(["--tls-max", version, "--write-out", "%{http_version} %{http_code}"])
                .args(["--output", "/dev/null", &format!("{}/v1/sessions", api.url)]),
        )
        .await;
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(String::from_utf8_lossy(&out.stdout), "1.1 200", "TLS {version}: {stderr}");
    }
    // It is ended by its reader, which has seen enough.
    let url = format!("{}/v1/stream?sessions={id}&after={id}:0", api.url);
    let mut child = curl().args(["--no-buffer", &url]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = tokio::process::ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
    let chunks = futures_util::stream::unfold(stdout, |mut stdout| async move {
        let mut chunk = bytes::BytesMut::with_capacity(4096);
        let read = stdout.read_buf(&mut chunk).await.ok().filter(|read| *read > 0);
        read.map(|_| (chunk.freeze(), stdout))
    });
    let events = Sse::of(chunks).events_until(|event| event["type"] == "turn.ended").await;
    assert_eq!(events[0]["seq"], 1);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn the_command_line_trusts_what_the_machine_trusts() {
    let (server, api, _authority, folder) = encrypted().await;
    let id = api.create("cat").await;
    let seawall = || {
        let mut command = Command::new(SEAWALL);
        let url = server.url.replace("127.0.0.1", "localhost");
        command.args(["--url", &url, "--json", "ls"]);
        command.env("SEAWALL_TOKEN", server.token.as_deref().unwrap());
        command
    };
    let trusting = output(seawall().env("SSL_CERT_FILE", folder.path().join("ca.pem"))).await;
    let stdout = String::from_utf8_lossy(&trusting.stdout);
    assert_eq!(trusting.status.code(), Some(0), "{}", String::from_utf8_lossy(&trusting.stderr));
    assert!(stdout.contains(&id), "{stdout}");
    let other = Authority::new();
    fs::write(folder.path().join("other.pem"), &other.pem).unwrap();
    let doubting = output(seawall().env("SSL_CERT_FILE", folder.path().join("other.pem"))).await;
    let stderr = String::from_utf8_lossy(&doubting.stderr);
    assert_eq!(doubting.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("certificate"), "{stderr}");
    let plain = output(Command::new(SEAWALL).args([
        "--url",
        "http://box.example",
        "--token",
        "swt_x",
        "ls",
    ]))
    .await;
    assert_eq!(plain.status.code(), Some(2), "a token does not cross a network in the clear");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_connections_and_a_bad_one_to_none() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = [Authority::new(), Authority::new()];
    let files = old.certify(folder.path());
    let server = Driven::start(&with_tls(&files)).await;
    let api = server.trusting(&old);
    let id = api.create("cat").await;
    let mut stream = api.follow(&id).await;
    stream.named("snapshot").await;
    let admin = server.admin();
    let reload = || admin.post("/admin/reload", serde_json::Value::Null);
    let answers = async |authority: &Authority| {
        let asked = server.trusting(authority).request("GET", "/v1/sessions").send();
        within("an answer", asked).await.is_ok()
    };

    let good = fs::read(&files[1]).unwrap();
    new.certify(folder.path());
    fs::write(&files[1], &good).unwrap();
    let problem = reload().await.refused(422, "invalid_configuration");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("is not the key of the first certificate"), "{detail}");
    assert!(answers(&old).await && !answers(&new).await, "the old one is shown");

    new.certify(folder.path());
    reload().await.expect(200);
    assert!(answers(&new).await && !answers(&old).await, "the new one is shown");
    server.trusting(&new).send(&id, "m1", "still there").await;
    stream.events_until(|event| event["data"]["text"] == "still there").await;
}

#[test]
fn a_pair_that_does_not_belong_together_stops_the_start_with_its_files() {
    let folder = configured("");
    let [one, two] = ["one", "two"].map(|name| {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        Authority::new().certify(&folder)
    });
    let files = [one[0].clone(), two[1].clone()];
    crate::support::configure(folder.path(), &with_tls(&files));
    let out = Process::command(folder.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{stderr}");
    for file in &files {
        assert!(stderr.contains(file.to_str().unwrap()), "{stderr}");
    }
    assert!(!folder.path().join("data/seawall.db").exists());
}

#[tokio::test]
async fn what_is_no_handshake_is_sent_away_and_others_are_served() {
    let (server, api, _authority, _folder) = encrypted().await;
    let address = server.url.trim_start_matches("https://").to_owned();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = within("an end", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    api.get("/v1/sessions").await.expect(200);
    for mut socket in silent {
        let mut rest = Vec::new();
        // Cut or closed: either is an end.
        let _ = within("a handshake that does not come is given up", socket.read_to_end(&mut rest))
            .await;
    }
}
