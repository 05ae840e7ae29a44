//! Which folders and variables a session may have. The folders are real, for links are what is to be told apart.

use super::*;
use crate::{
    agent::Protocol,
    domain::{SessionId, Timestamp},
};
use std::{fs, os::unix::fs::symlink};

fn agent() -> Agent {
    Agent {
        protocol: Protocol::Acp,
        command: "agent".into(),
        args: Vec::new(),
        env: Default::default(),
        env_allow: Vec::new(),
        cwd: None,
        cwd_allow: Vec::new(),
        user: None,
        restart: Restart::OnFailure,
        resume_on_start: false,
        permission_timeout: None,
        escape_newlines: false,
        inactivity: None,
        inactivity_interrupt: false,
        park_after: None,
        max_line_bytes: 1000,
    }
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
}

fn session(pairs: &[(&str, &str)]) -> Session {
    let id = SessionId::from_uuid(uuid::Uuid::nil());
    let now = Timestamp::from_millis(0);
    let mut session = Session::new(id, "agent".into(), "/".into(), [0; 32], now);
    session.env = env(pairs);
    session
}

/// Folders `home`, `allowed/inner` and `other`, with links from `allowed` to both of the others.
struct Folders(tempfile::TempDir);

impl Folders {
    fn make() -> Self {
        let folders = Self(tempfile::tempdir().unwrap());
        for folder in ["home", "allowed/inner", "other"] {
            fs::create_dir_all(folders.path(folder)).unwrap();
        }
        fs::write(folders.path("allowed/file"), "").unwrap();
        symlink(folders.path("other"), folders.path("allowed/out")).unwrap();
        symlink(folders.path("allowed/inner"), folders.path("other/in")).unwrap();
        folders
    }

    fn path(&self, name: &str) -> PathBuf {
        // The folder for temporary files may be a link itself.
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn agent(&self) -> Agent {
        Agent { cwd: Some(self.path("home")), cwd_allow: vec![self.path("allowed")], ..agent() }
    }

    fn ask(&self, agent: &Agent, name: &str) -> Result<String, Refusal> {
        working_directory(agent, Some(self.path(name).to_str().unwrap()))
    }

    fn check(&self, agent: &Agent, name: &str, expected: Option<&str>) {
        let found = self.ask(agent, name).ok().map(PathBuf::from);
        assert_eq!(found, expected.map(|name| self.path(name)), "{name}");
    }
}

#[test]
fn a_session_that_asks_for_no_folder_gets_the_profiles() {
    let folders = Folders::make();
    let home = folders.path("home").into_os_string().into_string().unwrap();
    assert_eq!(working_directory(&folders.agent(), None), Ok(home));
}

#[test]
fn a_folder_is_allowed_at_and_below_cwd_allow_and_at_cwd() {
    let folders = Folders::make();
    let agent = folders.agent();
    folders.check(&agent, "allowed", Some("allowed"));
    folders.check(&agent, "allowed/inner", Some("allowed/inner"));
    folders.check(&agent, "home", Some("home"));
    folders.check(&agent, "other", None);
    fs::create_dir(folders.path("home/below")).unwrap();
    folders.check(&agent, "home/below", None);
    fs::create_dir(folders.path("allowed-not")).unwrap();
    folders.check(&agent, "allowed-not", None);
}

#[test]
fn neither_dots_nor_links_lead_out_and_a_link_that_leads_in_is_resolved() {
    let folders = Folders::make();
    let agent = folders.agent();
    folders.check(&agent, "allowed/../other", None);
    folders.check(&agent, "allowed/out", None);
    folders.check(&agent, "other/in", Some("allowed/inner"));
    folders.check(&agent, "allowed/inner/..", Some("allowed"));
}

#[test]
fn without_cwd_allow_only_the_profiles_own_folder_is_allowed() {
    let folders = Folders::make();
    let agent = Agent { cwd_allow: Vec::new(), ..folders.agent() };
    folders.check(&agent, "home", Some("home"));
    folders.check(&agent, "allowed", None);
}

#[test]
fn a_relative_path_and_a_file_are_no_folders() {
    let folders = Folders::make();
    let agent = folders.agent();
    folders.check(&agent, "allowed/file", None);
    for relative in ["allowed", "", "."] {
        assert!(working_directory(&agent, Some(relative)).is_err(), "{relative:?}");
    }
    let gone = Agent { cwd: Some(folders.path("gone")), ..agent };
    assert!(working_directory(&gone, None).is_err());
}

#[test]
fn a_refusal_does_not_tell_what_exists() {
    let folders = Folders::make();
    let agent = folders.agent();
    let told = |name| {
        let refusal = folders.ask(&agent, name).unwrap_err().to_string();
        refusal.replace(folders.path(name).to_str().unwrap(), "")
    };
    assert_eq!(told("other"), told("no-such-folder"));
}

#[test]
fn a_child_gets_little_of_the_servers_environment_and_none_of_its_secrets() {
    let own = |key: &str| Some(format!("server's {key}"));
    let env = environment(&agent(), &session(&[]), own);
    let keys: Vec<_> = env.keys().map(String::as_str).collect();
    assert_eq!(keys, ["HOME", "LANG", "PATH", "TERM", "TZ", "USER"]);
}

#[test]
fn the_session_goes_before_the_profile_and_the_profile_before_the_server() {
    let agent = Agent {
        env: env(&[("LANG", "profile"), ("PATH", "profile"), ("SEAWALL_X", "no")]).into(),
        env_allow: vec!["LANG".into(), "SEAWALL_Y".into()],
        ..agent()
    };
    let session = session(&[("LANG", "session"), ("NARROWED", "no"), ("SEAWALL_Y", "no")]);
    let own = |key: &str| (key != "TZ").then(|| "server".to_owned());
    assert_eq!(
        environment(&agent, &session, own),
        env(&[
            ("HOME", "server"),
            ("LANG", "session"),
            ("PATH", "profile"),
            ("TERM", "server"),
            ("USER", "server"),
        ])
    );
}

#[test]
fn only_allowed_keys_may_be_asked_for() {
    let agent = Agent { env_allow: vec!["MODEL".into(), "SEAWALL_CHILD".into()], ..agent() };
    assert_eq!(check_env(&agent, &env(&[("MODEL", "x")])), Ok(()));
    for (key, value) in [("PATH", "/evil"), ("SEAWALL_CHILD", "1"), ("MODEL", "a\0b")] {
        let refusal = check_env(&agent, &env(&[(key, value)])).unwrap_err().to_string();
        assert!(refusal.contains(&format!("`{key}`")), "{refusal}");
    }
}

#[test]
fn a_childs_marker_and_folder_are_the_sessions() {
    let session = Session { run: 3, cwd: "/srv".into(), ..session(&[]) };
    let store = StoreId::from_uuid(uuid::Uuid::nil());
    let agent = Agent { cwd: Some("/srv".into()), ..agent() };
    let spec = child_spec(&agent, &session, store).unwrap();
    assert_eq!(spec.marker, Marker { store, session: session.id, run: 3 });
    assert_eq!(spec.cwd, Path::new("/srv"));
}

#[test]
fn a_protocol_adds_its_arguments_behind_the_profiles_own() {
    let store = StoreId::from_uuid(uuid::Uuid::nil());
    let arguments = |protocol| {
        let agent = Agent { protocol, args: vec!["-c".into(), "a=1".into()], ..agent() };
        let cwd = own_directory(&agent).into_os_string().into_string().unwrap();
        let session = Session { cwd, ..session(&[]) };
        child_spec(&agent, &session, store).unwrap().args
    };
    assert_eq!(arguments(Protocol::Acp), ["-c", "a=1"]);
    assert_eq!(arguments(Protocol::Codex), ["-c", "a=1", "app-server"]);
}

#[test]
fn what_an_agent_writes_down_only_with_its_first_turn_is_resumed_after_that() {
    let resume = |protocol, has_context| {
        let agent = Agent { protocol, ..agent() };
        let agent_session_id = Some("s".to_owned());
        let session = Session { agent_session_id, has_context, ..session(&[]) };
        codec_options(&agent, &session).resume
    };
    assert_eq!(resume(Protocol::Codex, false), None);
    assert_eq!(resume(Protocol::Codex, true).as_deref(), Some("s"));
    assert_eq!(resume(Protocol::Acp, false).as_deref(), Some("s"));
}

#[test]
fn a_folder_is_judged_again_by_where_it_leads_when_a_child_starts() {
    let folders = Folders::make();
    let agent = folders.agent();
    let cwd = folders.ask(&agent, "allowed/inner").unwrap();
    let session = Session { cwd: cwd.clone(), ..session(&[]) };
    assert_eq!(current_directory(&agent, &session), Ok(cwd.clone().into()));
    let narrowed = Agent { cwd_allow: Vec::new(), ..agent.clone() };
    assert!(current_directory(&narrowed, &session).is_err());
    // What may write there can put a link in its place.
    fs::remove_dir(&cwd).unwrap();
    symlink(folders.path("other"), &cwd).unwrap();
    let refused = current_directory(&agent, &session).unwrap_err();
    assert_eq!(refused, format!("{cwd} is not a folder in the profile's cwd_allow"));
}
