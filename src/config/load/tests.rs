//! What the defaults are, and how files and variables come over them.

mod faults;
mod files;

use super::*;
use crate::{
    agent::Protocol,
    config::{Durability, Restart, Role},
};
use std::time::Duration;

const DIGEST: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn read_text(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_texts(Some((Path::new("seawall.toml"), text)), [])
}

#[test]
fn the_defaults_are_the_contracts() {
    let config = Config::default();
    assert_eq!(config.server.listen, "127.0.0.1:7878");
    assert_eq!(config.admin.listen, "127.0.0.1:7879");
    assert_eq!(config.server.max_body_bytes, 16 << 20);
    assert_eq!(config.store.durability, Durability::Full);
    assert_eq!(config.store.max_event_bytes, 1 << 20);
    assert_eq!(config.streams.max_replay_gap, 200);
    assert_eq!(config.streams.queue_frames, 256);
    assert_eq!(config.sessions.detach_timeout, Duration::from_secs(48 * 3600));
    assert_eq!(config.sessions.max_queued_messages, 64);
    assert_eq!(config.supervision.max_restarts, 3);
    let demo = &config.agents["demo"];
    assert_eq!((demo.protocol, demo.restart), (Protocol::Acp, Restart::OnFailure));
    assert_eq!(Path::new(&demo.command), std::env::current_exe().unwrap());
    assert_eq!(demo.args, ["demo-agent"]);
    assert_eq!(config.agents.len(), 1, "the base of all profiles is none itself");
}

/// The lines of `default.toml` that set a key, as (line, table, key).
fn default_keys() -> Vec<(usize, &'static str, &'static str)> {
    let mut table = "";
    let mut keys = Vec::new();
    for (index, line) in DEFAULTS.lines().enumerate() {
        if line.starts_with('[') {
            table = line;
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push((index, table, key));
        }
    }
    keys
}

#[test]
fn every_key_of_the_defaults_is_read_and_every_field_has_one() {
    let keys = default_keys();
    assert!(keys.len() > 40, "{} keys", keys.len());
    for (index, table, key) in keys {
        // No tokens is what there is without the key; `args` stands in the base and in the built-in profile.
        if key == "tokens" || key == "args" {
            continue;
        }
        let without = DEFAULTS.lines().enumerate().filter(|(line, _)| *line != index);
        let without: String = without.flat_map(|(_, line)| [line, "\n"]).collect();
        let mut tree = tree::parse(&without, &Source::Builtin).unwrap();
        base_profiles(&mut tree, &mut Vec::new());
        let error = read(tree, SecretFiles::default(), Vec::new()).expect_err(key).to_string();
        assert!(error.contains(&format!("{key}: is missing")), "{table} {key}: {error}");
    }
}

#[test]
fn keys_that_the_defaults_only_mention_exist() {
    let mut file = String::new();
    for line in DEFAULTS.lines() {
        let shown = line.strip_prefix("# ").filter(|line| {
            line.split_once(" = ").is_some_and(|(key, _)| {
                key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            })
        });
        if line.starts_with('[') || shown.is_some() {
            file.extend([shown.unwrap_or(line), "\n"]);
        }
    }
    let config = read_text(&file).unwrap();
    assert_eq!(config.store.path.as_deref(), Some(Path::new("/var/lib/seawall/seawall.db")));
    let tls = config.server.tls.as_ref().map(|tls| (tls.cert.as_path(), tls.key.as_path()));
    let folder = Path::new("/etc/seawall/tls");
    assert_eq!(tls, Some((&*folder.join("cert.pem"), &*folder.join("key.pem"))));
    let demo = &config.agents["demo"];
    assert_eq!(demo.cwd.as_deref(), Some(Path::new("/srv/work")));
    assert_eq!(demo.user.as_deref(), Some("agent"));
    assert_eq!(demo.permission_timeout, Some(Duration::from_secs(3600)));
}

#[test]
fn a_profile_has_what_it_says_and_the_base_for_the_rest() {
    let config = read_text(
        "[agents.\"*\"]\nrestart = \"never\"\nenv = { A = \"1\", B = \"1\" }\n\
         [agents.mine]\nprotocol = \"lines\"\ncommand = \"cat\"\nenv = { B = \"2\" }\n",
    );
    let config = config.unwrap();
    let mine = &config.agents["mine"];
    assert_eq!((mine.protocol, mine.restart), (Protocol::Lines, Restart::Never));
    assert_eq!(mine.max_line_bytes, 16 << 20);
    let env: Vec<_> = mine.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(env, ["A=1", "B=2"]);
    assert_eq!(config.agents["demo"].restart, Restart::Never);
    assert_eq!(config.agents["demo"].args, ["demo-agent"]);
}

#[test]
fn variables_override_the_file() {
    let file = "[server]\nlisten = \"127.0.0.1:1\"\n[agents.my-agent]\nprotocol = \"lines\"\ncommand = \"cat\"\n";
    let tokens = format!(
        "[{{ name = \"ann\", role = \"operator\", sha256 = \"{DIGEST}\", agents = [\"demo\"] }}]"
    );
    let variables = env(&[
        ("SEAWALL__SERVER__LISTEN", "[::1]:2"),
        ("SEAWALL__SERVER__BEHIND_PROXY", "true"),
        ("SEAWALL__SERVER__HOSTS", "a.org, b.org"),
        ("SEAWALL__STREAMS__SYNC_BATCH", "7"),
        ("SEAWALL__STREAMS__HEARTBEAT", "3s"),
        ("SEAWALL__AUTH__TOKENS", &tokens),
        ("SEAWALL__AGENTS__MY_AGENT__ARGS", "[\"-a,b\", \"c\"]"),
        ("SEAWALL__AGENTS__MY_AGENT__ENV__Path_Like", "123"),
        ("SEAWALL__AGENTS__OTHER__PROTOCOL", "lines"),
        ("SEAWALL__AGENTS__OTHER__COMMAND", "true"),
        ("SEAWALL__AGENTS__OTHER__ENV", "{ A = \"x\" }"),
        ("SEAWALL_TOKEN", "is not ours to read"),
    ]);
    let config = Config::from_texts(Some((Path::new("f"), file)), variables).unwrap();
    assert_eq!(config.server.listen, "[::1]:2");
    assert!(config.server.behind_proxy);
    assert_eq!(config.server.hosts, ["a.org", "b.org"]);
    assert_eq!(config.streams.sync_batch, 7);
    assert_eq!(config.streams.heartbeat, Duration::from_secs(3));
    assert_eq!(config.auth.tokens[0].role, Role::Operator);
    assert_eq!(config.auth.tokens[0].sha256[..2], [0x9f, 0x86]);
    assert_eq!(config.agents["my-agent"].args, ["-a,b", "c"]);
    assert_eq!(config.agents["my-agent"].env["Path_Like"], "123");
    assert_eq!(config.agents["other"].command, "true", "a string is not taken for a bool");
    assert_eq!(config.agents["other"].env["A"], "x");
}

#[test]
fn the_print_says_where_each_value_came_from_and_hides_what_agents_are_told() {
    let file = "[streams]\nheartbeat = \"7s\"\n[agents.demo]\nenv = { KEY = \"secret\" }\n";
    let file =
        format!("{file}[[auth.tokens]]\nname = \"ann\"\nrole = \"admin\"\nsha256 = \"{DIGEST}\"\n");
    let variables = env(&[("SEAWALL__SERVER__HOSTS", "a.org,b.org")]);
    let text =
        Config::from_texts(Some((Path::new("/etc/f.toml"), &file)), variables).unwrap().print();
    for line in [
        "[streams]",
        "heartbeat = \"7s\"  # /etc/f.toml:2",
        "sync_batch = 50  # default",
        "hosts = [\"a.org\", \"b.org\"]  # SEAWALL__SERVER__HOSTS",
        "[[auth.tokens]]",
        "name = \"ann\"  # /etc/f.toml:6",
        "sha256 = \"<hidden>\"  # /etc/f.toml:8",
        "command = \"seawall:self\"  # default",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
    assert!(!text.contains("secret") && !text.contains(DIGEST), "{text}");
    assert!(text.contains("KEY = \"<hidden>\""), "{text}");
    let again = text.replace("sha256 = \"<hidden>\"", &format!("sha256 = \"{DIGEST}\""));
    read_text(&again).expect("what is printed can be read");
}

#[test]
fn what_agents_are_told_is_in_no_debug_output() {
    let file = "[agents.demo]\nenv = { KEY = \"secret\" }\nargs = [\"--key=secret\"]\n";
    let shown = format!("{:?}", read_text(file).unwrap());
    assert!(shown.contains("\"demo\": Agent"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}
