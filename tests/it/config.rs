//! Every key of the configuration is changed from its default and seen to act (scenario 71). A table says where each
//! is seen, and a key that is not in it fails the test: a limit that nobody tried is a promise that nobody keeps.

mod limits;
mod times;

use crate::support::{SEAWALL, read_tests};
use std::{collections::BTreeSet, process::Command};

/// Each key with the test that sees it act; several keys may share one.
const SEEN: [(&str, &str); 54] = [
    ("server.listen", "a_port_that_is_taken_is_named_with_its_key_and_no_database_is_made"),
    ("server.hosts", "only_the_configured_names_are_answered"),
    ("server.tls_cert", "a_stream_over_tls_is_the_same_stream_and_resumes"),
    ("server.tls_key", "a_stream_over_tls_is_the_same_stream_and_resumes"),
    ("server.login_rate", "an_address_that_guesses_is_slowed_down_and_a_known_token_is_not"),
    ("server.behind_proxy", "an_address_of_the_network_needs_tls_here_or_at_a_proxy"),
    ("server.admin_api", "the_public_listener_has_the_consoles_admin_calls_where_it_is_told_to"),
    ("server.workers", WITHOUT_EFFECT_ON_WHAT_IS_SEEN),
    ("server.shutdown_grace", "a_shorter_shutdown_grace_ends_the_server_sooner"),
    ("server.request_timeout", "a_body_that_does_not_arrive_in_time_is_given_up"),
    ("server.max_body_bytes", "a_message_larger_than_the_limit_is_refused"),
    ("admin.listen", "a_port_that_is_taken_is_named_with_its_key_and_no_database_is_made"),
    ("auth.tokens", "no_call_is_open_to_a_stranger"),
    ("store.path", "every_test_keeps_its_database_in_its_own_folder"),
    ("store.durability", WITHOUT_EFFECT_ON_WHAT_IS_SEEN),
    ("store.max_event_bytes", "an_event_over_the_limit_is_cut_and_says_so"),
    ("store.retention_age", "events_of_a_certain_age_are_removed"),
    (
        "store.retention_events",
        "a_cursor_below_the_retained_floor_gets_a_gap_and_the_rest_that_fits_the_cap",
    ),
    ("store.backup_dir", "a_backup_under_load_opens_elsewhere_and_holds_all_that_was_acknowledged"),
    ("streams.heartbeat", "silence_is_broken_after_the_configured_heartbeat"),
    ("streams.max_replay_gap", "one_event_more_than_the_replay_cap_is_a_gap"),
    ("streams.sync_interval", WITHOUT_EFFECT_ON_WHAT_IS_SEEN),
    ("streams.sync_batch", WITHOUT_EFFECT_ON_WHAT_IS_SEEN),
    ("streams.queue_frames", WITHOUT_EFFECT_ON_WHAT_IS_SEEN),
    ("streams.queue_bytes", WITHOUT_EFFECT_ON_WHAT_IS_SEEN),
    ("streams.stall_timeout", WITHOUT_EFFECT_ON_WHAT_IS_SEEN),
    ("streams.max_streams", "one_stream_more_than_the_limit_is_refused_until_another_is_closed"),
    ("streams.max_sessions_per_stream", "a_stream_follows_no_more_sessions_than_the_limit"),
    ("sessions.max_live", "no_more_sessions_are_live_than_may_be"),
    ("sessions.max_queued_messages", "no_more_messages_wait_than_the_limit"),
    ("sessions.start_timeout", "a_handshake_longer_than_the_start_timeout_fails_the_start"),
    ("sessions.detach_after", "the_times_of_an_unwatched_session_are_the_configured_ones"),
    ("sessions.detach_timeout", "the_times_of_an_unwatched_session_are_the_configured_ones"),
    ("sessions.close_grace", "the_stop_ladder_shares_the_configured_grace"),
    (
        "sessions.suspend_grace",
        "a_session_in_the_background_is_detached_after_the_configured_grace",
    ),
    (
        "sessions.permission_timeout",
        "a_permission_waits_as_long_as_configured_and_a_profile_may_say_less",
    ),
    ("sessions.interrupt_step", "an_interrupt_climbs_a_step_in_the_configured_time"),
    ("supervision.max_restarts", "an_agent_is_restarted_as_often_and_as_late_as_configured"),
    ("supervision.within", "failures_that_are_further_apart_than_the_window_are_forgotten"),
    ("supervision.backoff_min", "an_agent_is_restarted_as_often_and_as_late_as_configured"),
    ("supervision.backoff_max", "an_agent_is_restarted_as_often_and_as_late_as_configured"),
    ("agents.args", "a_profile_says_what_runs_where_and_with_what"),
    ("agents.env", "a_child_sees_neither_our_variables_nor_systemds_nor_our_descriptors"),
    ("agents.env_allow", "a_session_runs_where_and_with_what_its_profile_allows"),
    ("agents.cwd", "a_profile_says_what_runs_where_and_with_what"),
    ("agents.cwd_allow", "a_session_runs_where_and_with_what_its_profile_allows"),
    ("agents.user", "what_cannot_be_executed_is_said_and_why"),
    ("agents.restart", "a_profile_says_after_which_ends_it_is_restarted"),
    ("agents.resume_on_start", "a_profile_may_ask_for_its_sessions_to_go_on_after_a_crash"),
    (
        "agents.permission_timeout",
        "a_permission_waits_as_long_as_configured_and_a_profile_may_say_less",
    ),
    ("agents.escape_newlines", "newlines_of_a_message_are_escaped_where_the_profile_says_so"),
    ("agents.max_line_bytes", "a_line_over_the_limit_becomes_one_truncated_event"),
    ("agents.protocol", "an_agent_that_cannot_be_executed_ends_its_session_alone_and_is_named"),
    ("agents.command", "an_agent_that_cannot_be_executed_ends_its_session_alone_and_is_named"),
];

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
        if !section.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            keys.insert(format!("{section}.{key}"));
        }
    }
    keys
}

/// Scenario 71.
#[test]
fn every_key_is_seen_to_act_by_a_test_that_is_there() {
    let seen: BTreeSet<String> = SEEN.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(seen.len(), SEEN.len(), "a key stands twice");
    assert_eq!(seen, keys_with_defaults());
    let tests = read_tests();
    for (key, test) in SEEN.iter().filter(|(_, test)| *test != WITHOUT_EFFECT_ON_WHAT_IS_SEEN) {
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
