//! What a session may have of the machine: its folder, its variables, its account. What an agent does there is its own
//! affair.

use crate::support::{Process, configure, configured, only};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

// Contract 7: `cwd_allow` and `env_allow`.
#[tokio::test]
async fn a_session_runs_where_and_with_what_its_profile_allows() {
    let folder = configured("");
    let [allowed, secret] = ["allowed", "secret"].map(|name| folder.path().join(name));
    let deep = allowed.join("deep");
    fs::create_dir_all(&deep).unwrap();
    fs::create_dir_all(&secret).unwrap();
    fs::create_dir_all(folder.path().join("allowed-not")).unwrap();
    symlink(&secret, allowed.join("way-out")).unwrap();
    let extra = format!(
        "[agents.shell]\nprotocol = \"lines\"\ncommand = \"sh\"\ncwd_allow = [\"{}\"]\nenv_allow = [\"ASKED\"]\n",
        allowed.display()
    );
    configure(folder.path(), &extra);
    let server = Process::start_in(folder.clone()).await;
    let create = |body: Value| server.post("/v1/sessions", body);

    let made = create(json!({"agent": "shell", "cwd": deep})).await.expect(201);
    let id = made["id"].as_str().unwrap();
    server.send(id, "m1", "pwd").await;
    let real = deep.canonicalize().unwrap();
    server.until(id, |event| event["data"]["text"] == real.to_str().unwrap()).await;
    create(json!({"agent": "shell", "cwd": allowed})).await.expect(201);
    create(json!({"agent": "shell"})).await.expect(201);
    create(json!({"agent": "shell", "cwd": folder.path().join("work")})).await.expect(201);

    let count = || async {
        server.get("/v1/sessions").await.expect(200)["sessions"].as_array().unwrap().len()
    };
    let before = count().await;
    for cwd in [
        secret.clone(),
        allowed.join("way-out"),
        allowed.join("../secret"),
        folder.path().join("allowed-not"),
        allowed.join("absent"),
        "/".into(),
        "deep".into(),
        "".into(),
    ] {
        let problem =
            create(json!({"agent": "shell", "cwd": cwd})).await.refused(400, "invalid_body");
        assert!(problem["detail"].as_str().unwrap().starts_with("cwd"), "{problem}");
    }
    // Without a list it is the profile's own folder alone.
    create(json!({"agent": "cat", "cwd": allowed})).await.refused(400, "invalid_body");
    for env in [
        json!({"PATH": "/evil"}),
        json!({"LD_PRELOAD": "x"}),
        json!({"SEAWALL_GUARD": "x"}),
        json!({"ASKED": "fine", "HOME": "x"}),
    ] {
        let problem =
            create(json!({"agent": "shell", "env": env})).await.refused(400, "invalid_body");
        assert!(problem["detail"].as_str().unwrap().starts_with("env"), "{problem}");
    }
    assert_eq!(count().await, before, "nothing of what was refused is stored");
}

// Contract 7: what was a folder when the session was made may lead elsewhere when its agent is started again.
#[tokio::test]
async fn a_folder_that_became_a_link_out_of_what_is_allowed_starts_nothing() {
    let folder = configured("");
    let [allowed, secret] = ["allowed", "secret"].map(|name| folder.path().join(name));
    let deep = allowed.join("deep");
    fs::create_dir_all(&deep).unwrap();
    fs::create_dir_all(&secret).unwrap();
    let extra = format!(
        "[agents.shell]\nprotocol = \"lines\"\ncommand = \"sh\"\ncwd_allow = [\"{}\"]\n",
        allowed.display()
    );
    configure(folder.path(), &extra);
    let server = Process::start_in(folder.clone()).await;
    let made =
        server.post("/v1/sessions", json!({"agent": "shell", "cwd": deep})).await.expect(201);
    let id = made["id"].as_str().unwrap();
    server.state(id, "ACTIVE").await;
    server.stop_session(id, json!({})).await;
    server.state(id, "ENDED").await;
    let before = server.events(id).await.len();
    fs::remove_dir(&deep).unwrap();
    symlink(&secret, &deep).unwrap();
    server.resume(id).await.expect(202);
    let ended = |event: &Value| {
        event["type"] == "session.state"
            && event["data"]["to"] == "ENDED"
            && event["seq"].as_u64().is_some_and(|seq| seq > before as u64)
    };
    let events = server.until(id, ended).await;
    let failed = only(&events, "transport.failed");
    assert_eq!(failed["code"], "spawn");
    assert!(failed["detail"].as_str().unwrap().contains("cwd_allow"), "{failed}");
    let last = events.last().unwrap();
    assert_eq!(last["data"]["reason"], "start_failed", "{last}");
}

// Contract 7: `[agents.NAME] user`.
#[tokio::test]
async fn an_agent_runs_as_the_account_of_its_profile_and_reads_nothing_of_the_server() {
    let folder = configured("");
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o711)).unwrap();
    open(folder.path());
    open(&folder.path().join("work"));
    let profile = "[agents.other]\nprotocol = \"lines\"\ncommand = \"sh\"\nuser = \"nobody\"\n";
    configure(folder.path(), profile);
    let server = Process::start_in(folder.clone()).await;
    let id = server.create("other").await;
    if !rustix::process::geteuid().is_root() {
        println!("not root: another account is refused, and that is what is seen here");
        let events = server.state(&id, "ENDED").await;
        let failed = only(&events, "transport.failed");
        assert!(failed["detail"].as_str().unwrap().contains("not root"), "{failed}");
        return;
    }
    let token = folder.path().join("data/token");
    let script =
        format!("id -un; id -G; cat {}; cat /proc/$PPID/environ; echo end", token.display());
    server.send(&id, "m1", &script).await;
    let events = server.until(&id, |event| event["data"]["text"] == "end").await;
    let said: Vec<_> = events
        .iter()
        .filter(|event| event["data"]["stream"] == "stdout")
        .filter_map(|event| event["data"]["text"].as_str())
        .collect();
    assert_eq!(said.first(), Some(&"nobody"));
    let groups: Vec<_> = said[1].split(' ').collect();
    assert!(groups.len() == 1 && groups[0] != "0", "groups of the server: {groups:?}");
    assert_eq!(said[2..], ["end"], "neither the token nor the guard's variables");
}
