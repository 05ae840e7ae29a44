//! Every fault that a configuration can have.

use super::*;

/// The faults of a file, one a line.
#[track_caller]
fn faults(text: &str) -> String {
    read_text(text).expect_err("it should be refused").to_string()
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(faults(text), expected, "of the file:\n{text}");
}

#[test]
fn a_value_of_a_wrong_type_or_range_is_named_with_its_place() {
    for (text, expected) in [
        (
            "[streams]\nheartbeat = 5",
            "seawall.toml:2: streams.heartbeat: expected a duration like \"20s\", got 5",
        ),
        (
            "[streams]\nheartbeat = \"soon\"",
            "seawall.toml:2: streams.heartbeat: expected a duration like \"20s\", got \"soon\"",
        ),
        (
            "[streams]\nheartbeat = \"0s\"",
            "seawall.toml:2: streams.heartbeat: expected a duration from 1ms to 1h, got \"0s\"",
        ),
        (
            "\n\nstreams.sync_batch = \"50\"",
            "seawall.toml:3: streams.sync_batch: expected a whole number from 1 to 10000, got \"50\"",
        ),
        (
            "streams.sync_batch = -1",
            "seawall.toml:1: streams.sync_batch: expected a whole number from 1 to 10000, got -1",
        ),
        (
            "streams.sync_batch = 99999999999999999999",
            "seawall.toml:1: streams.sync_batch: expected a whole number from 1 to 10000, got \"99999999999999999999\"",
        ),
        (
            "streams.max_sessions_per_stream = 65",
            "seawall.toml:1: streams.max_sessions_per_stream: expected a whole number from 1 to 64, got 65",
        ),
        (
            "server.max_body_bytes = 5",
            "seawall.toml:1: server.max_body_bytes: expected a size like \"16MiB\", got 5",
        ),
        (
            "server.max_body_bytes = \"16MB\"",
            "seawall.toml:1: server.max_body_bytes: expected a size like \"16MiB\", got \"16MB\"",
        ),
        (
            "server.max_body_bytes = \"1B\"",
            "seawall.toml:1: server.max_body_bytes: expected a size from 1KiB to 1GiB, got \"1B\"",
        ),
        (
            "server.behind_proxy = \"yes\"",
            "seawall.toml:1: server.behind_proxy: expected true or false, got \"yes\"",
        ),
        (
            "server.hosts = \"a\"",
            "seawall.toml:1: server.hosts: expected a list of strings, got \"a\"",
        ),
        ("server.hosts = [1]", "seawall.toml:1: server.hosts: expected a list of strings, got [1]"),
        ("server.listen = 7878", "seawall.toml:1: server.listen: expected a string, got 7878"),
        (
            "store.durability = \"some\"",
            "seawall.toml:1: store.durability: expected one of \"full\", \"normal\", got \"some\"",
        ),
        (
            "store.path = \"seawall.db\"",
            "seawall.toml:1: store.path: expected an absolute path, got \"seawall.db\"",
        ),
        (
            "agents.demo.inactivity = \"never\"",
            "seawall.toml:1: agents.demo.inactivity: expected a duration like \"20s\", or \"off\", got \"never\"",
        ),
        (
            "agents.demo.inactivity = \"0s\"",
            "seawall.toml:1: agents.demo.inactivity: expected a duration from 1ms to 11months 30days 3h 50m 24s, got \"0s\"",
        ),
        ("server = 5", "seawall.toml:1: server: expected a table"),
        ("agents.demo = 5", "seawall.toml:1: agents.demo: expected a table"),
        ("auth.tokens = 5", "seawall.toml:1: auth.tokens: expected a list of tables"),
        ("auth.tokens = [5]", "seawall.toml:1: auth.tokens[0]: expected a table"),
        (
            "agents.demo.env = { A = 1 }",
            "seawall.toml:1: agents.demo.env: `A` must be a string, in quotes",
        ),
        (
            "agents.demo.cwd = \"work\"",
            "seawall.toml:1: agents.demo.cwd: expected an absolute path, got \"work\"",
        ),
        (
            "agents.demo.cwd_allow = [\"work\"]",
            "seawall.toml:1: agents.demo.cwd_allow: expected an absolute path, got \"work\"",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn an_unknown_key_is_refused_with_what_may_be_meant() {
    for (text, expected) in [
        (
            "[streams]\n\nhartbeat = \"5s\"",
            "seawall.toml:3: streams.hartbeat: unknown key; did you mean `heartbeat`?",
        ),
        (
            "[stream]\nheartbeat = \"5s\"",
            "seawall.toml:1: stream: unknown key; did you mean `streams`?",
        ),
        ("colour = 5", "seawall.toml:1: colour: unknown key; remove it"),
        ("admin.token = \"x\"", "seawall.toml:1: admin.token: unknown key; remove it"),
        ("auth.token = []", "seawall.toml:1: auth.token: unknown key; did you mean `tokens`?"),
        (
            "agents.demo.comand = \"x\"",
            "seawall.toml:1: agents.demo.comand: unknown key; did you mean `command`?",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn a_key_of_a_later_version_is_refused_as_such() {
    check(
        "store.url = \"x\"",
        "seawall.toml:1: store.url: this version does not have this key yet; remove it",
    );
}

#[test]
fn what_the_server_says_to_an_agent_its_profile_may_not() {
    check(
        "[agents.claude]\nprotocol = \"stream-json\"\ncommand = \"claude\"\nargs = [\"--model=opus\", \"--resume=x\"]",
        "seawall.toml:4: agents.claude.args: --resume=x is for the server to say; remove it",
    );
}

#[test]
fn values_that_contradict_are_refused() {
    let tokens =
        |keys: &str| format!("[[auth.tokens]]\nname = \"ann\"\nsha256 = \"{DIGEST}\"\n{keys}");
    for (text, expected) in [
        (
            "server.listen = \"0.0.0.0:80\"".into(),
            "seawall.toml:1: server.listen: 0.0.0.0:80 is not loopback",
        ),
        (
            "admin.listen = \"[::]:80\"".into(),
            "seawall.toml:1: admin.listen: [::]:80 is not loopback",
        ),
        (
            "server.listen = \"example.org:80\"".into(),
            "seawall.toml:1: server.listen: example.org:80 is not loopback",
        ),
        (
            "server.listen = \"localhost\"".into(),
            "seawall.toml:1: server.listen: expected an address with a port",
        ),
        (
            "server.listen = \"unix:/s\"".into(),
            "seawall.toml:1: server.listen: expected an address with a port",
        ),
        (
            "admin.listen = \"unix:s\"".into(),
            "seawall.toml:1: admin.listen: expected an absolute path after `unix:`",
        ),
        (
            "admin.listen = \"127.0.0.1:7878\"".into(),
            "seawall.toml:1: admin.listen: server.listen and admin.listen are both",
        ),
        (
            "server.listen = \"127.0.0.1:7879\"".into(),
            "seawall.toml:1: server.listen: server.listen and admin.listen are both",
        ),
        (
            "server.tls_cert = \"/c.pem\"".into(),
            "seawall.toml:1: server.tls_cert: needs server.tls_key beside it",
        ),
        (
            "server.tls_key = \"/k.pem\"".into(),
            "seawall.toml:1: server.tls_key: needs server.tls_cert beside it",
        ),
        (
            "server = { listen = \"0.0.0.0:80\", tls_cert = \"/c.pem\", tls_key = \"k.pem\" }".into(),
            "seawall.toml:1: server.tls_key: expected an absolute path, got \"k.pem\"",
        ),
        (
            "admin.listen = \"0.0.0.0:80\"\nserver = { tls_cert = \"/c.pem\", tls_key = \"/k.pem\" }".into(),
            "seawall.toml:1: admin.listen: 0.0.0.0:80 is not loopback, and this listener has no TLS",
        ),
        (
            "server.login_rate = \"ten\"".into(),
            "seawall.toml:1: server.login_rate: expected a rate like \"10/1m\"",
        ),
        (
            "server.hosts = [\"a.org:80\"]".into(),
            "seawall.toml:1: server.hosts: expected bare names",
        ),
        (
            "server.hosts = [\"https://a.org\"]".into(),
            "seawall.toml:1: server.hosts: expected bare names",
        ),
        (
            "supervision.backoff_min = \"20s\"".into(),
            "seawall.toml:1: supervision.backoff_min: backoff_min (20s) is longer than backoff_max (10s)",
        ),
        (
            "supervision.backoff_max = \"1ms\"".into(),
            "seawall.toml:1: supervision.backoff_max: backoff_min (200ms) is longer than backoff_max (1ms)",
        ),
        (
            tokens("role = \"admin\"\nagents = [\"demo\"]"),
            "seawall.toml:5: auth.tokens[0].agents: an admin sees all profiles",
        ),
        (
            tokens("role = \"viewer\"\nagents = []"),
            "seawall.toml:5: auth.tokens[0].agents: names no profile",
        ),
        (
            tokens("role = \"viewer\"\nagents = [\"codey\"]"),
            "seawall.toml:5: auth.tokens[0].agents: there is no profile [agents.codey]",
        ),
        (
            tokens("role = \"root\""),
            "seawall.toml:4: auth.tokens[0].role: expected one of \"viewer\", \"operator\", \"admin\", got \"root\"",
        ),
        (
            "agents.demo.command = \" \"".into(),
            "seawall.toml:1: agents.demo.command: names no program",
        ),
        ("agents.demo.user = \"\"".into(), "seawall.toml:1: agents.demo.user: names no account"),
        (
            "agents.demo.permission_timeout = \"24h\"".into(),
            "seawall.toml:1: agents.demo.permission_timeout: 1day is longer than sessions.permission_timeout (12h)",
        ),
        (
            "agents.demo.env = { \"A=B\" = \"\" }".into(),
            "seawall.toml:1: agents.demo.env: \"A=B\" is no name of a variable",
        ),
        (
            "agents.demo.env = { SEAWALL_TOKEN = \"\" }".into(),
            "seawall.toml:1: agents.demo.env: SEAWALL_TOKEN is reserved",
        ),
        (
            "agents.demo.env_allow = [\"\"]".into(),
            "seawall.toml:1: agents.demo.env_allow: \"\" is no name of a variable",
        ),
        (
            "[agents.\"a b\"]\nprotocol = \"lines\"\ncommand = \"cat\"".into(),
            "seawall.toml:1: agents.a b: a profile's name has",
        ),
    ] {
        let text: String = text;
        let found = faults(&text);
        assert!(
            found.starts_with(expected),
            "of the file:\n{text}\nexpected: {expected}\nfound: {found}"
        );
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn a_name_or_a_token_given_twice_is_refused_at_the_second() {
    let token = |name: &str, digest: &str| {
        format!("[[auth.tokens]]\nname = \"{name}\"\nrole = \"viewer\"\nsha256 = \"{digest}\"\n")
    };
    let other = "0".repeat(64);
    check(
        &(token("ann", DIGEST) + &token("ann", &other)),
        "seawall.toml:6: auth.tokens[1].name: \"ann\" is already the name of auth.tokens[0]",
    );
    check(
        &(token("ann", DIGEST) + &token("bob", &DIGEST.to_uppercase())),
        "seawall.toml:8: auth.tokens[1].sha256: is the token of auth.tokens[0] again",
    );
}

#[test]
fn a_token_in_place_of_its_digest_is_not_repeated_in_the_error() {
    let found =
        faults("[[auth.tokens]]\nname = \"ann\"\nrole = \"viewer\"\nsha256 = \"swt_secret\"");
    assert!(
        found.starts_with("seawall.toml:4: auth.tokens[0].sha256: expected the token's SHA-256"),
        "{found}"
    );
    assert!(!found.contains("secret"), "{found}");
}

#[test]
fn what_is_missing_is_named_with_the_table_that_lacks_it() {
    check(
        "# mine\n[agents.mine]\ncommand = \"cat\"\n[[auth.tokens]]\nname = \"a\"\nrole = \"admin\"",
        "seawall.toml:2: agents.mine.protocol: is missing\nseawall.toml:5: auth.tokens[0].sha256: is missing",
    );
}

#[test]
fn every_fault_is_told_and_not_the_first_alone() {
    let found = faults(
        "[streams]\nheartbeat = 5\nsync = 1\n[supervision]\nbackoff_min = \"1h\"\nbackoff_max = 3\n[store]\nurl = \"x\"",
    );
    let keys: Vec<_> = found.lines().map(|line| line.split(": ").nth(1).unwrap()).collect();
    // Nothing is said of backoff_min against backoff_max, since nobody knows what that one is to be.
    assert_eq!(keys, ["streams.heartbeat", "streams.sync", "supervision.backoff_max", "store.url"]);
}

#[test]
fn a_text_that_is_not_toml_is_refused_with_its_lines() {
    let found = faults("[streams]\nheartbeat = = 3\n");
    assert!(found.starts_with("seawall.toml:2: not TOML: "), "{found}");
    let found = faults("[streams]\nsync_batch = 3\nsync_batch = 4\n");
    assert!(found.starts_with("seawall.toml:3: sync_batch: not TOML: duplicate key"), "{found}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/seawall.toml")), []).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot read the configuration file /nowhere/seawall.toml: "),
        "{error}"
    );
}

#[test]
fn a_fault_of_a_variable_names_the_variable() {
    for (name, value, expected) in [
        (
            "SEAWALL__STREAMS__HEARTBEAT",
            "5",
            "streams.heartbeat: expected a duration like \"20s\", got \"5\"",
        ),
        (
            "SEAWALL__STREAMS__SYNC_BATCH",
            "x",
            "streams.sync_batch: expected a whole number from 1 to 10000, got \"x\"",
        ),
        (
            "SEAWALL__STREAMS__HARTBEAT",
            "5s",
            "streams.hartbeat: unknown key; did you mean `heartbeat`?",
        ),
        ("SEAWALL__STREAMS", "5s", "streams: expected a table"),
        ("SEAWALL__AUTH__TOKENS", "ann", "auth.tokens: expected a list of tables"),
        ("SEAWALL__STREAMS____HEARTBEAT", "5s", "names no key; the form is SEAWALL__SECTION__KEY"),
        ("SEAWALL__AGENTS__X__COMMAND", "cat", "agents.x.protocol: is missing"),
    ] {
        let error = Config::from_texts(None, env(&[(name, value)])).unwrap_err().to_string();
        assert_eq!(error, format!("{name}: {expected}"));
    }
}
