//! Every key of the configuration is changed from its default and seen to act (scenario 71), and whether a reload
//! puts it into effect. A table says where each is seen, and a key that is not in it fails the test: a limit that nobody tried is a promise that nobody keeps.

mod limits;
mod times;

use crate::support::{Driven, SEAWALL, read_tests};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// Whether a reload puts a key into effect.
#[derive(Clone, Copy, PartialEq)]
enum Reload {
    Live,
    AtStart,
}

use Reload::{AtStart, Live};

/// Each key with the test that sees it act, whether a reload does, and a value that it does not have in a test; several
/// keys may share a test.
const SEEN: [(&str, &str, Reload, &str); 61] = [
    ("include", "included_profiles_come_and_go_with_a_reload", Live, "[\"more.toml\"]"),
    (
        "server.listen",
        "a_port_that_is_taken_is_named_with_its_key_and_no_database_is_made",
        AtStart,
        "\"127.0.0.1:1\"",
    ),
    ("server.hosts", "only_the_configured_names_are_answered", Live, "[\"seawall.example\"]"),
    ("server.tls_cert", "a_stream_over_tls_is_the_same_stream_and_resumes", AtStart, "\"/a.pem\""),
    ("server.tls_key", "a_stream_over_tls_is_the_same_stream_and_resumes", AtStart, "\"/a.key\""),
    (
        "server.login_rate",
        "an_address_that_guesses_is_slowed_down_and_a_known_token_is_not",
        Live,
        "\"7/1m\"",
    ),
    ("server.behind_proxy", "an_address_of_the_network_needs_tls_here_or_at_a_proxy", Live, "true"),
    (
        "server.admin_api",
        "the_public_listener_has_the_consoles_admin_calls_where_it_is_told_to",
        Live,
        "true",
    ),
    ("server.workers", WITHOUT_EFFECT_ON_WHAT_IS_SEEN, AtStart, "7"),
    ("server.shutdown_grace", "a_shorter_shutdown_grace_ends_the_server_sooner", Live, "\"7s\""),
    ("server.request_timeout", "a_body_that_does_not_arrive_in_time_is_given_up", Live, "\"7s\""),
    ("server.max_body_bytes", "a_message_larger_than_the_limit_is_refused", Live, "\"7KiB\""),
    (
        "admin.listen",
        "a_port_that_is_taken_is_named_with_its_key_and_no_database_is_made",
        AtStart,
        "\"127.0.0.1:1\"",
    ),
    ("auth.tokens", "no_call_is_open_to_a_stranger", Live, ANOTHER_TOKEN),
    (
        "store.path",
        "every_test_keeps_its_database_in_its_own_folder",
        AtStart,
        "\"/elsewhere/seawall.db\"",
    ),
    ("store.durability", WITHOUT_EFFECT_ON_WHAT_IS_SEEN, AtStart, "\"full\""),
    ("store.max_event_bytes", "an_event_over_the_limit_is_cut_and_says_so", Live, "\"7KiB\""),
    ("store.retention_age", "events_of_a_certain_age_are_removed", Live, "\"7h\""),
    (
        "store.retention_events",
        "a_cursor_below_the_retained_floor_gets_a_gap_and_the_rest_that_fits_the_cap",
        Live,
        "7",
    ),
    (
        "store.backup_dir",
        "a_backup_under_load_opens_elsewhere_and_holds_all_that_was_acknowledged",
        Live,
        "\"/elsewhere\"",
    ),
    ("streams.heartbeat", "silence_is_broken_after_the_configured_heartbeat", Live, "\"7s\""),
    ("streams.max_replay_gap", "one_event_more_than_the_replay_cap_is_a_gap", Live, "7"),
    ("streams.sync_interval", WITHOUT_EFFECT_ON_WHAT_IS_SEEN, Live, "\"7s\""),
    ("streams.sync_batch", WITHOUT_EFFECT_ON_WHAT_IS_SEEN, Live, "7"),
    ("streams.queue_frames", WITHOUT_EFFECT_ON_WHAT_IS_SEEN, Live, "7"),
    ("streams.queue_bytes", WITHOUT_EFFECT_ON_WHAT_IS_SEEN, Live, "\"7KiB\""),
    ("streams.stall_timeout", WITHOUT_EFFECT_ON_WHAT_IS_SEEN, Live, "\"7s\""),
    (
        "streams.max_streams",
        "one_stream_more_than_the_limit_is_refused_until_another_is_closed",
        Live,
        "7",
    ),
    (
        "streams.max_sessions_per_stream",
        "a_stream_follows_no_more_sessions_than_the_limit",
        Live,
        "7",
    ),
    ("sessions.max_live", "no_more_sessions_are_live_than_may_be", Live, "7"),
    ("sessions.max_queued_messages", "no_more_messages_wait_than_the_limit", Live, "7"),
    (
        "sessions.start_timeout",
        "a_handshake_longer_than_the_start_timeout_fails_the_start",
        Live,
        "\"7s\"",
    ),
    (
        "sessions.detach_after",
        "the_times_of_an_unwatched_session_are_the_configured_ones",
        Live,
        "\"7s\"",
    ),
    (
        "sessions.detach_timeout",
        "the_times_of_an_unwatched_session_are_the_configured_ones",
        Live,
        "\"7s\"",
    ),
    ("sessions.close_grace", "the_stop_ladder_shares_the_configured_grace", Live, "\"7s\""),
    (
        "sessions.suspend_grace",
        "a_session_in_the_background_is_detached_after_the_configured_grace",
        Live,
        "\"7s\"",
    ),
    (
        "sessions.permission_timeout",
        "a_permission_waits_as_long_as_configured_and_a_profile_may_say_less",
        Live,
        "\"7s\"",
    ),
    (
        "sessions.interrupt_step",
        "an_interrupt_climbs_a_step_in_the_configured_time",
        Live,
        "\"7s\"",
    ),
    (
        "supervision.max_restarts",
        "an_agent_is_restarted_as_often_and_as_late_as_configured",
        Live,
        "7",
    ),
    (
        "supervision.within",
        "failures_that_are_further_apart_than_the_window_are_forgotten",
        Live,
        "\"7s\"",
    ),
    (
        "supervision.backoff_min",
        "an_agent_is_restarted_as_often_and_as_late_as_configured",
        Live,
        "\"7s\"",
    ),
    (
        "supervision.backoff_max",
        "an_agent_is_restarted_as_often_and_as_late_as_configured",
        Live,
        "\"7s\"",
    ),
    ("agents.args", "a_profile_says_what_runs_where_and_with_what", Live, "[\"-n\"]"),
    (
        "agents.env",
        "a_child_sees_neither_our_variables_nor_systemds_nor_our_descriptors",
        Live,
        "{ A = \"1\" }",
    ),
    ("agents.env_allow", "a_session_runs_where_and_with_what_its_profile_allows", Live, "[\"A\"]"),
    ("agents.cwd", "a_profile_says_what_runs_where_and_with_what", Live, "\"/\""),
    ("agents.cwd_allow", "a_session_runs_where_and_with_what_its_profile_allows", Live, "[\"/\"]"),
    ("agents.user", "what_cannot_be_executed_is_said_and_why", Live, "\"nobody\""),
    ("agents.restart", "a_profile_says_after_which_ends_it_is_restarted", Live, "\"never\""),
    (
        "agents.resume_on_start",
        "a_profile_may_ask_for_its_sessions_to_go_on_after_a_crash",
        Live,
        "true",
    ),
    (
        "agents.permission_timeout",
        "a_permission_waits_as_long_as_configured_and_a_profile_may_say_less",
        Live,
        "\"7s\"",
    ),
    (
        "agents.inactivity",
        "an_agent_is_inactive_after_the_configured_time_and_never_where_that_is_off",
        Live,
        "\"7s\"",
    ),
    (
        "agents.inactivity_interrupt",
        "a_profile_may_have_an_agent_that_hangs_interrupted_and_what_waits_goes_on",
        Live,
        "true",
    ),
    (
        "agents.park_after",
        "an_agent_without_work_is_stopped_after_the_configured_time",
        Live,
        "\"7s\"",
    ),
    (
        "agents.escape_newlines",
        "newlines_of_a_message_are_escaped_where_the_profile_says_so",
        Live,
        "true",
    ),
    (
        "agents.max_line_bytes",
        "a_line_over_the_limit_becomes_one_truncated_event",
        Live,
        "\"7KiB\"",
    ),
    (
        "agents.protocol",
        "an_agent_that_cannot_be_executed_ends_its_session_alone_and_is_named",
        Live,
        "\"acp\"",
    ),
    (
        "agents.command",
        "an_agent_that_cannot_be_executed_ends_its_session_alone_and_is_named",
        Live,
        "\"tac\"",
    ),
    (
        "agents.env_file",
        "a_secret_file_that_was_replaced_acts_at_the_next_run_after_a_reload",
        Live,
        "{ A = \"more.toml\" }",
    ),
    ("log.filter", "what_is_logged_is_changed_by_a_call_and_by_a_reload", Live, "\"warn\""),
    ("log.format", "every_line_of_a_json_log_is_an_object_with_our_fields", Live, "\"json\""),
];

const ANOTHER_TOKEN: &str = "[{ name = \"bob\", role = \"viewer\", sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\" }]";

/// Speed, durability and how a lagging reader is fed: no answer and no frame tells them apart.
const WITHOUT_EFFECT_ON_WHAT_IS_SEEN: &str = "";

/// The keys of `default.toml`, those in comments too; all profiles count as one.
fn keys_with_defaults() -> BTreeSet<String> {
    let text = include_str!("../../config/default.toml");
    let mut keys = BTreeSet::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.split(['.', ']']).next().unwrap();
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        let Some((key, _)) = line.split_once(" = ") else { continue };
        if section.is_empty() && key == "include" {
            keys.insert(key.to_owned());
        } else if !section.is_empty()
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}

/// Scenario 71.
#[test]
fn every_key_is_seen_to_act_by_a_test_that_is_there() {
    let seen: BTreeSet<String> = SEEN.iter().map(|(key, ..)| (*key).to_owned()).collect();
    assert_eq!(seen.len(), SEEN.len(), "a key stands twice");
    assert_eq!(seen, keys_with_defaults());
    let tests = read_tests();
    for (key, test, ..) in
        SEEN.iter().filter(|(_, test, ..)| *test != WITHOUT_EFFECT_ON_WHAT_IS_SEEN)
    {
        assert!(tests.contains(&format!("fn {test}(")), "{key}: there is no test `{test}`");
    }
}

#[test]
fn the_example_for_production_is_sound() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/production.toml");
    let out = Command::new(SEAWALL).args(["check-config", "--config", path]).output().unwrap();
    let [stdout, stderr] = [&out.stdout, &out.stderr].map(|text| String::from_utf8_lossy(text));
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    assert!(stdout.contains("sound"), "{stdout}");
}

/// Each as it is, and with the keys that it proposes; but for files of secrets, which are not there.
#[test]
fn every_profile_that_comes_along_is_sound_and_says_how_to_install_it() {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/agents.d");
    let files: Vec<_> = fs::read_dir(profiles).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let words = text.to_lowercase();
        for word in ["install", "log", "limit"] {
            assert!(words.contains(word), "{name}: `{word}`");
        }
        let proposed = |line: &&str| {
            let key = line.strip_prefix("# ").and_then(|line| line.split_once(" = "));
            key.is_some_and(|(key, _)| !key.contains(' ') && key != "env_file")
        };
        let proposed = text.lines().filter(proposed).map(|line| &line[2..]).collect::<Vec<_>>();
        for text in [text.clone(), format!("{text}\n{}\n", proposed.join("\n"))] {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("agents.d")).unwrap();
            fs::write(folder.path().join("agents.d/one.toml"), text).unwrap();
            let path = folder.path().join("seawall.toml");
            fs::write(&path, "include = [\"agents.d/*.toml\"]\n").unwrap();
            let mut command = Command::new(SEAWALL);
            let out =
                command.args(["check-config", "--print", "--config"]).arg(path).output().unwrap();
            let [stdout, stderr] =
                [&out.stdout, &out.stderr].map(|text| String::from_utf8_lossy(text));
            assert_eq!(out.status.code(), Some(0), "{name}: {stderr}");
            assert!(stdout.contains(&format!("[agents.{name}]")), "{name}: {stdout}");
        }
    }
}

const TLS: [&str; 2] = ["server.tls_cert", "server.tls_key"];

/// Changes each key in the file, has it read again, and compares what the server says about it with the table.
#[tokio::test]
async fn every_key_acts_after_a_reload_or_is_named_as_needing_a_restart() {
    let admin = "swt_the-token-of-an-administrator";
    let token = format!(
        "{{ name = \"ann\", role = \"admin\", sha256 = \"{}\" }}",
        HEXLOWER.encode(&Sha256::digest(admin))
    );
    let tokens = format!("[auth]\ntokens = [{token}]\n");
    let server = Driven::start(&tokens).await;
    let included = "[agents.more]\nprotocol = \"lines\"\ncommand = \"cat\"\n";
    fs::write(server.folder.path().join("more.toml"), included).unwrap();
    let own = fs::read_to_string(server.folder.path().join("seawall.toml")).unwrap();
    let admin = server.admin().with_token(Some(admin));
    let reload = async |text: &str| {
        fs::write(server.folder.path().join("seawall.toml"), text).unwrap();
        admin.post("/admin/reload", Value::Null).await.expect(200)
    };
    for (key, _, acts, value) in SEEN {
        let value = match key {
            "auth.tokens" => value.replacen('[', &format!("[{token}, "), 1),
            _ => value.to_owned(),
        };
        let changed_text = with(&own, key, &value);
        let (text, named) = match key {
            // One without the other is a fault.
            "server.tls_cert" => (with(&changed_text, "server.tls_key", "\"/b\""), json!(TLS)),
            "server.tls_key" => (with(&changed_text, "server.tls_cert", "\"/b\""), json!(TLS)),
            "include" => (changed_text, json!(["agents.more"])),
            _ => match key.strip_prefix("agents.") {
                Some(key) => (changed_text, json!([format!("agents.cat.{key}")])),
                None => (changed_text, json!([key])),
            },
        };
        let reloaded = reload(&text).await;
        let (mut changed, mut needs_restart) = (json!([]), json!([]));
        match acts {
            Live => changed = named,
            AtStart => needs_restart = named,
        }
        assert_eq!(
            reloaded,
            json!({ "changed": changed, "needs_restart": needs_restart }),
            "{key}"
        );
        let back = reload(&own).await;
        assert_eq!(back, json!({ "changed": changed, "needs_restart": [] }), "{key} taken back");
    }
}

/// A configuration with one more key, or with another value of a key that it has. Of a profile: of `cat`.
fn with(text: &str, key: &str, value: &str) -> String {
    let Some((section, key)) = key.split_once('.') else {
        return format!("{key} = {value}\n{text}");
    };
    let section = if section == "agents" { "agents.cat" } else { section };
    let mut tree: toml::Table = text.parse().unwrap();
    let mut table = &mut tree;
    for name in section.split('.') {
        let below = table.entry(name).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        table = below.as_table_mut().unwrap();
    }
    table.insert(key.into(), format!("it = {value}").parse::<toml::Table>().unwrap()["it"].clone());
    toml::to_string(&tree).unwrap()
}
