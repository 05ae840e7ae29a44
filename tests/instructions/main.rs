//! How many instructions the hot paths take, counted by callgrind and held against the limits beside this file.
//! Times differ from run to run and from machine to machine; these do not. Run by `scripts/instructions`.
//!
//! A path is run twice, the second time with twice the operations: what the second run took beyond the first is the
//! operations alone, on whichever thread, and what starting up takes plays no part.

mod limits;
mod paths;

use limits::{Counts, Limits};
use paths::{PATHS, Path};
use std::{
    env, fs,
    process::{Child, Command, ExitCode, Stdio},
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions/limits.toml");

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => check(),
        ["--record"] => record(),
        ["run", name, operations] => run(name, operations),
        _ => {
            eprintln!("scripts/instructions: takes nothing, or --record");
            ExitCode::FAILURE
        }
    }
}

fn check() -> ExitCode {
    let limits: Limits = match fs::read_to_string(FILE).map(|text| toml::from_str(&text)) {
        Ok(Ok(limits)) => limits,
        Ok(Err(error)) => panic!("{FILE}: {error}"),
        Err(error) => panic!("{FILE}: {error}; make it with `scripts/instructions --record`"),
    };
    let counts = count();
    print!("{}", limits.table(&counts));
    let faults = limits.faults(&counts, &compiler());
    for fault in &faults {
        eprintln!("scripts/instructions: {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn record() -> ExitCode {
    let limits = Limits { compiler: compiler(), counts: count() };
    fs::write(FILE, limits.file()).expect("the limits can be written");
    print!("{}", limits.table(&limits.counts));
    ExitCode::SUCCESS
}

/// What one run of a path does, under callgrind.
fn run(name: &str, operations: &str) -> ExitCode {
    let path = PATHS.iter().find(|path| path.name == name).expect("a path that is in the list");
    (path.run)(operations.parse().expect("a number of operations"));
    ExitCode::SUCCESS
}

fn count() -> Counts {
    PATHS.iter().map(|path| (path.name.to_owned(), count_path(path))).collect()
}

fn count_path(path: &Path) -> u64 {
    // Side by side: there are two cores or more, and counts do not mind.
    let [once, twice] = [1, 2].map(|times| start(path, times * path.operations));
    let (once, twice) = (collected(once), collected(twice));
    twice.saturating_sub(once) / path.operations
}

fn start(path: &Path, operations: u64) -> Child {
    Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--fair-sched=yes"])
        .arg(env::current_exe().expect("a program knows its file"))
        .args(["run", path.name, &operations.to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("valgrind runs; scripts/setup installs it")
}

/// The instructions of a run by callgrind's own last words.
fn collected(run: Child) -> u64 {
    let output = run.wait_with_output().expect("a child can be waited for");
    let said = String::from_utf8_lossy(&output.stderr);
    let count =
        said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    match count {
        Some(count) if output.status.success() => count,
        _ => panic!("a path failed under callgrind:\n{said}"),
    }
}

/// Another compiler makes other instructions.
fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc tells its version");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
