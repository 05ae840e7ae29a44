//! Where what is typed is kept until the server has it: a file per server and session in the state folder. Several
//! terminals may be attached to one session; each has a file of its own, and what a dead one left is taken over.

use crate::{
    client::{Client, FileError, OUTBOX_MAX, Outbox, StateFile},
    domain::SessionId,
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::{
    env,
    path::{Path, PathBuf},
};

/// Terminals that are attached to one session and keep what is typed.
const TERMINALS: usize = 16;

pub(super) struct Kept {
    pub(super) outbox: Outbox,
    /// What a person must know: of a file that cannot be used, or that there is none.
    pub(super) fault: Option<String>,
}

pub(super) fn open(client: &Client, session: SessionId) -> anyhow::Result<Kept> {
    let (file, fault) = match file(client.url(), session) {
        Ok((file, damaged)) => (Some(file), damaged.map(|error| error.to_string())),
        Err(why) => (None, Some(format!("what is typed does not outlive this program: {why}"))),
    };
    Ok(Kept { outbox: Outbox::open(client.clone(), session, file)?, fault })
}

type Taken = (StateFile, Option<FileError>);

fn file(url: &str, session: SessionId) -> Result<Taken, String> {
    let folder = folder(&|name| env::var_os(name).map(PathBuf::from))
        .ok_or("there is no home folder; set $XDG_STATE_HOME")?;
    // The server by what it is called here: two of them may have one session after a restore.
    let server = HEXLOWER.encode(&Sha256::digest(url.trim_end_matches('/'))[..8]);
    take(&folder.join(server), session).map_err(|error| error.to_string())
}

/// The first file that nobody uses, with what lies in all the others that nobody uses. One that is damaged or foreign is
/// passed over, and told.
fn take(folder: &Path, session: SessionId) -> Result<Taken, FileError> {
    let mut mine: Option<StateFile> = None;
    let (mut locked, mut damaged) = (None, None);
    for terminal in 1..=TERMINALS {
        let name = match terminal {
            1 => format!("{session}.json"),
            _ => format!("{session}.{terminal}.json"),
        };
        let path = folder.join(name);
        // Files are made in this order: behind one that was never there, there is none.
        if mine.is_some() && !path.with_extension("json.lock").exists() {
            break;
        }
        match (StateFile::open(&path, session), &mut mine) {
            (Ok(file), None) => mine = Some(file),
            (Ok(other), Some(mine)) => adopt(mine, other)?,
            (Err(error @ FileError::Locked { .. }), _) => locked = Some(error),
            (Err(error @ FileError::Foreign { .. }), _) => damaged = Some(error),
            (Err(error), _) => return Err(error),
        }
    }
    match (mine, locked.or(damaged.clone())) {
        (Some(file), _) => Ok((file, damaged)),
        (None, Some(error)) => Err(error),
        (None, None) => unreachable!("each file was opened, or there is an error"),
    }
}

/// Twice on disk for a moment rather than never: the server knows what it has by its id.
fn adopt(mine: &mut StateFile, mut other: StateFile) -> Result<(), FileError> {
    let mut entries = mine.entries().to_vec();
    for entry in other.entries() {
        if !entries.iter().any(|known| known.id() == entry.id()) {
            entries.push(entry.clone());
        }
    }
    if other.entries().is_empty() || entries.len() > OUTBOX_MAX {
        return Ok(());
    }
    mine.save(entries)?;
    other.save(Vec::new())
}

/// Below the state folder of this account; a home that does not exist is not made.
fn folder(env: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |name| env(name).filter(|path| path.is_absolute());
    let home =
        || absolute("HOME").filter(|home| home.is_dir()).map(|home| home.join(".local/state"));
    absolute("XDG_STATE_HOME").or_else(home).map(|state| state.join("seawall/outbox"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::new::message, client::Entry};

    fn session() -> SessionId {
        SessionId::from_uuid(uuid::Uuid::from_u128(1))
    }

    fn entry(text: &str) -> Entry {
        Entry::pending(message(text.into(), None))
    }

    fn texts(file: &StateFile) -> Vec<&str> {
        file.entries().iter().filter_map(|entry| entry.message.text.as_deref()).collect()
    }

    #[test]
    fn two_terminals_keep_apart_and_what_dead_ones_left_is_taken_over_once() {
        let folder = tempfile::tempdir().unwrap();
        let open = || take(folder.path(), session()).unwrap().0;
        let (mut one, mut two) = (open(), open());
        assert_ne!(one.path(), two.path());
        one.save(vec![entry("a")]).unwrap();
        two.save(vec![entry("b")]).unwrap();
        // The second is killed: the first still has its own file, a third takes over the rest.
        drop(two);
        let three = open();
        assert_eq!(texts(&three), ["b"]);
        drop((one, three));
        let four = open();
        assert_eq!(texts(&four), ["a", "b"]);
        let five = open();
        assert_eq!(texts(&five), [""; 0]);
    }

    #[test]
    fn a_damaged_file_is_told_and_left_and_another_one_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("{}.json", session()));
        std::fs::write(&path, "my notes").unwrap();
        let (mut file, damaged) = take(folder.path(), session()).unwrap();
        assert!(matches!(damaged, Some(FileError::Foreign { .. })), "{damaged:?}");
        file.save(vec![entry("a")]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"my notes");
        drop(file);
        assert_eq!(texts(&take(folder.path(), session()).unwrap().0), ["a"]);
    }

    #[test]
    fn the_folder_is_the_accounts_state_folder_and_a_missing_home_is_not_made() {
        let named = |name: &'static str, path: &'static str| {
            folder(&move |asked| (asked == name).then(|| path.into()))
        };
        assert_eq!(named("XDG_STATE_HOME", "/x"), Some("/x/seawall/outbox".into()));
        assert_eq!(named("XDG_STATE_HOME", "x"), None);
        assert_eq!(named("HOME", "/nonexistent"), None);
        assert_eq!(named("HOME", "/"), Some("/.local/state/seawall/outbox".into()));
    }
}
