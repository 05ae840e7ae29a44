//! The rules of the house that a machine can check: which room may use which, how long things are, what stands nowhere.
//! Each names file and line, so that a failure says what to change; a new edge between rooms is one reviewed line here.

mod source;

use source::{Source, functions, names, numbered, rooms_named, sources};

/// Every room in reading order, and the rooms above it that it uses.
const ROOMS: [(&str, &[&str]); 18] = [
    ("domain", &[]),
    ("wire", &["domain"]),
    ("clock", &["domain"]),
    ("fault", &[]),
    ("metrics", &[]),
    ("agent", &["domain"]),
    ("config", &["agent"]),
    ("logging", &["config"]),
    ("process", &["domain", "clock", "fault", "agent"]),
    ("store", &["domain", "fault", "metrics", "config"]),
    ("supervise", &["domain"]),
    (
        "session",
        &[
            "domain",
            "clock",
            "fault",
            "metrics",
            "agent",
            "config",
            "process",
            "store",
            "supervise",
        ],
    ),
    (
        "registry",
        &["domain", "wire", "clock", "fault", "metrics", "config", "store", "supervise", "session"],
    ),
    ("supervisor", &["domain", "metrics", "supervise", "session", "registry"]),
    ("client", &["domain", "wire", "clock"]),
    (
        "http",
        &[
            "domain",
            "wire",
            "clock",
            "fault",
            "metrics",
            "config",
            "logging",
            "process",
            "store",
            "supervise",
            "session",
            "registry",
        ],
    ),
    (
        "server",
        &[
            "domain",
            "clock",
            "config",
            "logging",
            "process",
            "store",
            "supervise",
            "session",
            "registry",
            "supervisor",
            "http",
        ],
    ),
    (
        "cli",
        &[
            "domain", "wire", "clock", "fault", "agent", "config", "logging", "process", "store",
            "session", "client", "server",
        ],
    ),
];

/// Crates that only these rooms may know: a wall is no wall if its material shows on the other side.
const CRATES: [(&str, &[&str]); 13] = [
    ("fail", &["fault"]),
    ("rusqlite", &["store"]),
    ("actix_web", &["http", "server"]),
    ("actix_web_lab", &["http"]),
    (
        "actix",
        &["process", "supervise", "session", "registry", "supervisor", "http", "server", "cli"],
    ),
    ("reqwest", &["client", "cli"]),
    ("prometheus", &["http"]),
    ("rustls", &["client", "server"]),
    ("governor", &["http"]),
    ("anyhow", &["cli"]),
    ("clap", &["cli"]),
    ("env_logger", &["logging"]),
    ("env_filter", &["config", "logging"]),
];

/// What decides and encodes does no I/O and reads no clock.
const PURE: [&str; 12] = [
    "src/domain",
    "src/wire",
    "src/agent",
    "src/session/machine",
    "src/session/ladder",
    "src/supervise/restart",
    "src/registry/replay",
    "src/registry/connections",
    "src/client/backoff",
    "src/client/retry",
    "src/client/outbox/queue",
    "src/client/stream/place",
];
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "Instant",
    "SystemTime",
    "tokio::fs",
    "tokio::net",
    "tokio::time",
];

const MAX_LINES: usize = 600;
const MEDIAN_LINES: usize = 150;
const MAX_FUNCTION_LINES: usize = 70;

/// Fails with every fault, not only the first.
#[track_caller]
fn none(faults: Vec<String>, rule: &str) {
    assert!(faults.is_empty(), "{rule}:\n  {}", faults.join("\n  "));
}

/// The lines in which one of `paths` is named.
fn found<'a>(
    source: &Source,
    lines: impl Iterator<Item = (usize, &'a str)>,
    paths: &[&str],
) -> Vec<String> {
    lines
        .filter_map(|(number, line)| {
            let path = paths.iter().find(|path| names(line, path))?;
            Some(format!("{}:{number}: {path}", source.path))
        })
        .collect()
}

#[test]
fn rooms_use_only_rooms_above_them() {
    let mut faults = Vec::new();
    let mut unused: Vec<(&str, &str)> = Vec::new();
    for (index, (room, edges)) in ROOMS.iter().enumerate() {
        for edge in *edges {
            assert!(
                ROOMS[..index].iter().any(|(above, _)| above == edge),
                "{room} -> {edge} does not point upwards"
            );
            unused.push((room, edge));
        }
    }
    for source in sources(&["src"]) {
        let Some(room) = source.room() else { continue };
        let Some((_, edges)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("{}: the room {room} is not in the table", source.path));
            continue;
        };
        for (line, used) in rooms_named(&source) {
            unused.retain(|edge| *edge != (room, used.as_str()));
            if used != room && !edges.contains(&used.as_str()) {
                faults.push(format!("{}:{line}: {room} -> {used}", source.path));
            }
        }
    }
    none(faults, "edges that the table does not allow");
    assert!(unused.is_empty(), "edges of the table that nobody uses: {unused:?}");
}

#[test]
fn the_library_names_its_rooms_in_the_order_of_the_table() {
    let library = sources(&["src"]).into_iter().find(|source| source.path == "src/lib.rs").unwrap();
    let declared: Vec<&str> = library
        .code()
        .filter_map(|(_, line)| line.split_once("mod ")?.1.strip_suffix(';'))
        .collect();
    let position = |room: &str| declared.iter().position(|declared| *declared == room);
    for (room, edges) in ROOMS {
        for edge in edges {
            assert!(position(edge) < position(room), "{edge} stands below {room}, which uses it");
        }
    }
    assert_eq!(declared.len(), ROOMS.len(), "{declared:?}");
}

#[test]
fn what_a_wall_hides_is_known_behind_it_only() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        let Some(room) = source.room() else { continue };
        for (name, rooms) in CRATES {
            if !rooms.contains(&room) {
                faults.extend(found(&source, source.product(), &[&format!("{name}::")]));
            }
        }
    }
    none(faults, "crates outside their rooms");
}

#[test]
fn what_decides_does_no_io_and_reads_no_clock() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        if PURE.iter().any(|pure| source.path.starts_with(pure)) {
            faults.extend(found(&source, source.product(), &IMPURE));
        }
    }
    none(faults, "pure code that is not");
}

#[test]
fn files_and_functions_are_short() {
    let mut faults = Vec::new();
    let mut lengths = Vec::new();
    for source in sources(&["src", "tests"]) {
        let lines = source.text.lines().count();
        if source.room().is_some() {
            lengths.push(lines);
        }
        if lines > MAX_LINES {
            faults.push(format!("{}: {lines} lines", source.path));
        }
        // A test may hold a table as long as it likes.
        for (line, length) in functions(&source) {
            if length > MAX_FUNCTION_LINES {
                faults.push(format!("{}:{line}: a function of {length} lines", source.path));
            }
        }
    }
    lengths.sort_unstable();
    let at = |percent: usize| lengths[(lengths.len() - 1) * percent / 100];
    println!(
        "{} files of src: median {} lines, 90 % up to {}, 99 % up to {}, the longest {}",
        lengths.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
    none(faults, "too long");
    assert!(at(50) <= MEDIAN_LINES, "half of the files have more than {} lines", at(50));
}

#[test]
fn every_file_says_what_lives_in_it() {
    let mut faults = Vec::new();
    for source in sources(&["src", "tests"]) {
        if source.path.ends_with("/mod.rs") {
            faults.push(format!("{}: a room is room.rs + room/", source.path));
        }
        if !source.text.starts_with("//! ") {
            faults.push(format!("{}: does not begin with a `//!` sentence", source.path));
        }
        let name = source.path.rsplit('/').next().unwrap_or_default();
        if ["util", "utils", "common", "helper", "helpers", "manager", "misc"]
            .iter()
            .any(|word| name.strip_suffix(".rs") == Some(word))
        {
            faults.push(format!("{}: a name that says nothing", source.path));
        }
    }
    none(faults, "files that do not say what they are");
}

#[test]
fn the_product_does_not_unwrap_and_leaves_nothing_undone() {
    let mut faults = Vec::new();
    // Put together here, so that this file does not contain what it looks for.
    let unfinished = ["todo", "dbg", "unimplemented"].map(|name| format!("{name}!("));
    let unfinished: Vec<&str> = unfinished.iter().map(String::as_str).collect();
    for source in sources(&["src", "tests"]) {
        faults.extend(found(&source, source.code(), &unfinished));
        let hits = source.product().filter(|(_, line)| line.contains(".unwrap()"));
        faults.extend(hits.map(|(line, _)| format!("{}:{line}: unwrap", source.path)));
        let hits = source.code().filter(|(_, line)| line.contains("unsafe "));
        for (line, _) in hits.filter(|_| !source.path.contains("/house")) {
            let before = numbered(&source.text).nth(line.saturating_sub(2));
            if !before.is_some_and(|(_, text)| text.trim_start().starts_with("// SAFETY:")) {
                faults.push(format!("{}:{line}: unsafe without its proof", source.path));
            }
        }
    }
    none(faults, "what the product must not contain");
}

#[test]
fn locks_and_globals_stand_where_they_may() {
    let mut faults = Vec::new();
    for source in sources(&["src"]) {
        let Some(room) = source.room() else { continue };
        if room != "store" {
            faults.extend(found(&source, source.product(), &["Mutex", "RwLock"]));
        }
        let globals = ["thread_local!", "OnceLock", "LazyLock", "static mut"];
        faults.extend(found(&source, source.product(), &globals));
    }
    none(faults, "shared state that is not the store's");
}

#[test]
fn no_test_sleeps() {
    let mut faults = Vec::new();
    for source in sources(&["src", "tests"]) {
        let lines = source.tests().filter(|(_, line)| !line.contains('"'));
        faults.extend(found(
            &source,
            lines,
            &["thread::sleep", "time::sleep", "thread::park_timeout"],
        ));
    }
    none(faults, "tests that sleep; wait for an event, or move a clock");
}

#[test]
fn no_text_names_somebodys_machine() {
    let homes = ["/home", "/Users"].map(|folder| format!("{folder}/"));
    let made_up = ["ann", "user"];
    let mut faults = Vec::new();
    for source in sources(&["src", "tests"]) {
        for (number, line) in numbered(&source.text) {
            for home in &homes {
                let mut hits = line.match_indices(home.as_str());
                let is_real = |(at, _): (usize, &str)| {
                    let owner = &line[at + home.len()..];
                    !made_up.iter().any(|name| owner.starts_with(name))
                };
                if hits.any(is_real) {
                    faults.push(format!("{}:{number}: {}", source.path, line.trim()));
                }
            }
        }
    }
    none(faults, "paths of a machine");
}
