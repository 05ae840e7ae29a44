//! Every key of the configuration with its type and its range, one function a section. What two keys say together is
//! judged elsewhere.

use super::{
    Admin, Agent, Auth, Durability, Log, LogFormat, Restart, Role, Server, Sessions, Store,
    Streams, Supervision, Tls, Token, Variables, read::Section,
};
use crate::agent::Protocol;
use data_encoding::HEXLOWER_PERMISSIVE;
use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

const MILLI: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// A time that something waits; so short a one as 1 ms is of use to tests alone.
const WAIT: RangeInclusive<Duration> = MILLI..=YEAR;

/// The profile that all others are based on.
pub(super) const BASE_PROFILE: &str = "*";
/// As a profile's command: the program that runs.
const SELF_COMMAND: &str = "seawall:self";

pub(super) fn server(section: Section<'_>) -> Server {
    let server = Server {
        listen: section.text("listen"),
        hosts: section.texts("hosts"),
        tls: tls(&section),
        behind_proxy: section.flag("behind_proxy"),
        admin_api: section.flag("admin_api"),
        workers: section.number::<u32>("workers", 0..=1024) as usize,
        shutdown_grace: section.duration("shutdown_grace", Duration::ZERO..=HOUR),
        request_timeout: section.duration("request_timeout", MILLI..=HOUR),
        max_body_bytes: section.size("max_body_bytes", KIB..=GIB),
        login_rate: section.rate("login_rate"),
    };
    section.finish(&[]);
    server
}

/// A certificate and a key are of use together only.
fn tls(section: &Section<'_>) -> Option<Tls> {
    let [cert, key] = ["tls_cert", "tls_key"].map(|key| section.optional_path(key));
    for (one, other) in [("tls_cert", "tls_key"), ("tls_key", "tls_cert")] {
        section.needs(one, other);
    }
    Some(Tls { cert: cert?, key: key? })
}

pub(super) fn admin(section: Section<'_>) -> Admin {
    let admin = Admin { listen: section.text("listen") };
    section.finish(&[]);
    admin
}

pub(super) fn auth(section: Section<'_>) -> Auth {
    let tokens = section.tables("tokens").into_iter().map(token).collect();
    section.finish(&[]);
    Auth { tokens }
}

fn token(section: Section<'_>) -> Token {
    let roles = [("viewer", Role::Viewer), ("operator", Role::Operator), ("admin", Role::Admin)];
    let token = Token {
        name: section.text("name"),
        role: section.word("role", &roles, &[]).unwrap_or(Role::Viewer),
        sha256: section.secret("sha256", "sha256_file", |text| {
            let digest = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
            let digest = digest.and_then(|digest| <[u8; 32]>::try_from(digest).ok());
            digest.ok_or_else(|| {
                "expected the token's SHA-256 as 64 hex digits, not the token itself".into()
            })
        }),
        agents: section.optional_texts("agents"),
    };
    section.finish(&[]);
    token
}

pub(super) fn store(section: Section<'_>) -> Store {
    let durabilities = [("full", Durability::Full), ("normal", Durability::Normal)];
    let store = Store {
        path: section.optional_path("path"),
        durability: section.word("durability", &durabilities, &[]).unwrap_or(Durability::Full),
        max_event_bytes: section.size("max_event_bytes", KIB..=64 * MIB),
        backup_dir: section.optional_path("backup_dir"),
        retention_age: section.optional_duration("retention_age", MILLI..=YEAR * 100),
        retention_events: section.optional_number("retention_events", 1..=u32::MAX),
    };
    section.finish(&["url"]);
    store
}

pub(super) fn streams(section: Section<'_>) -> Streams {
    let streams = Streams {
        heartbeat: section.duration("heartbeat", MILLI..=HOUR),
        max_replay_gap: section.number("max_replay_gap", 0..=1_000_000),
        sync_interval: section.duration("sync_interval", MILLI..=HOUR),
        sync_batch: section.number::<u32>("sync_batch", 1..=10_000) as usize,
        queue_frames: section.number::<u32>("queue_frames", 1..=1_000_000) as usize,
        queue_bytes: section.size("queue_bytes", KIB..=GIB),
        stall_timeout: section.duration("stall_timeout", WAIT),
        max_streams: section.number::<u32>("max_streams", 1..=1_000_000) as usize,
        max_sessions_per_stream: section.number::<u32>("max_sessions_per_stream", 1..=64) as usize,
    };
    section.finish(&[]);
    streams
}

pub(super) fn sessions(section: Section<'_>) -> Sessions {
    let sessions = Sessions {
        max_live: section.number::<u32>("max_live", 1..=1_000_000) as usize,
        max_queued_messages: section.number::<u32>("max_queued_messages", 1..=1_000_000) as usize,
        start_timeout: section.duration("start_timeout", WAIT),
        detach_after: section.duration("detach_after", Duration::ZERO..=YEAR),
        detach_timeout: section.duration("detach_timeout", WAIT),
        close_grace: section.duration("close_grace", Duration::ZERO..=HOUR),
        suspend_grace: section.duration("suspend_grace", WAIT),
        permission_timeout: section.duration("permission_timeout", WAIT),
        interrupt_step: section.duration("interrupt_step", WAIT),
    };
    section.finish(&[]);
    sessions
}

pub(super) fn supervision(section: Section<'_>) -> Supervision {
    let supervision = Supervision {
        max_restarts: section.number("max_restarts", 0..=1000),
        within: section.duration("within", WAIT),
        backoff_min: section.duration("backoff_min", Duration::ZERO..=HOUR),
        backoff_max: section.duration("backoff_max", Duration::ZERO..=HOUR),
    };
    section.finish(&[]);
    supervision
}

pub(super) fn log(section: Section<'_>) -> Log {
    let formats = [
        ("auto", LogFormat::Auto),
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
        ("journald", LogFormat::Journald),
    ];
    let log = Log {
        filter: section.checked_text("filter", |text| super::filter(text).map(drop)),
        format: section.word("format", &formats, &[]).unwrap_or(LogFormat::Auto),
    };
    section.finish(&[]);
    log
}

/// The profiles, each already merged over [`BASE_PROFILE`], which is none itself.
pub(super) fn agents(section: Section<'_>) -> BTreeMap<String, Agent> {
    let mut agents = BTreeMap::new();
    for (name, section) in section.children() {
        if name == BASE_PROFILE {
            continue;
        }
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(letters) {
            section.fault("a profile's name has 1 to 64 letters, digits, `-` or `_`");
        }
        agents.insert(name, agent(section));
    }
    agents
}

fn agent(section: Section<'_>) -> Agent {
    let protocols = [
        ("lines", Protocol::Lines),
        ("acp", Protocol::Acp),
        ("stream-json", Protocol::StreamJson),
        ("codex", Protocol::Codex),
    ];
    let restarts = [
        ("on-failure", Restart::OnFailure),
        ("always", Restart::Always),
        ("never", Restart::Never),
    ];
    let agent = Agent {
        protocol: section.word("protocol", &protocols, &[]).unwrap_or(Protocol::Lines),
        command: command(&section),
        args: section.texts("args"),
        env: variables(&section),
        env_allow: section.texts("env_allow"),
        cwd: section.optional_path("cwd"),
        cwd_allow: section.paths("cwd_allow"),
        user: section.optional_text("user"),
        restart: section.word("restart", &restarts, &[]).unwrap_or(Restart::OnFailure),
        resume_on_start: section.flag("resume_on_start"),
        permission_timeout: section.optional_duration("permission_timeout", WAIT),
        inactivity: section.duration_or_off("inactivity", WAIT),
        inactivity_interrupt: section.flag("inactivity_interrupt"),
        park_after: section.duration_or_off("park_after", WAIT),
        escape_newlines: section.flag("escape_newlines"),
        max_line_bytes: section.size("max_line_bytes", KIB..=GIB),
    };
    section.finish(&[]);
    agent
}

fn variables(section: &Section<'_>) -> Variables {
    let mut variables = section.secrets("env");
    for (name, secret) in section.secrets_of_files("env_file") {
        if variables.insert(name.clone(), secret).is_some() {
            section.refuse(
                "env_file",
                &format!("`{name}` stands in `env` too; remove one of the two"),
            );
        }
    }
    variables.into()
}

/// Where this program is. Linux marks the path of a program that was replaced since it was started, as an upgrade does;
/// the new one is in its place.
fn own_path() -> Option<String> {
    let path = std::env::current_exe().ok()?.into_os_string().into_string().ok()?;
    Some(path.strip_suffix(" (deleted)").map_or_else(|| path.clone(), str::to_owned))
}

fn command(section: &Section<'_>) -> String {
    let command = section.text("command");
    if command != SELF_COMMAND {
        return command;
    }
    own_path().unwrap_or_else(|| {
        section.fault("the path of this program cannot be found out; name it as `command`");
        String::new()
    })
}
