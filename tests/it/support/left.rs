//! What a server of a folder may have left in the process table: children by their working directory, guards by the store
//! that is named in their environment. Nothing is ended here.

use super::{copied_database, eventually};
use std::{fs, path::Path};

/// Nothing of the server is left that ran in this folder and has ended: no child, no grandchild, no guard.
#[track_caller]
pub(crate) fn assert_nothing_left_of(folder: &Path) {
    assert_no_process_in(folder);
    if let Some(store) = store_of(folder) {
        eventually("no guard of the server is left", || guards_of(&store).is_empty());
    }
}

/// All children of test servers run below their server's folder.
#[track_caller]
pub(crate) fn assert_no_process_in(folder: &Path) {
    eventually("no process of the server is left", || processes_in(folder).is_empty());
}

/// The processes whose working directory is `folder` or below it.
pub(crate) fn processes_in(folder: &Path) -> Vec<u32> {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let is_there = |pid: &u32| {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&folder))
    };
    processes().filter(is_there).collect()
}

/// The guards of this store's children; their working directory is the root.
pub(crate) fn guards_of(store: &str) -> Vec<u32> {
    let marker = format!("SEAWALL_CHILD={store}/");
    let is_theirs = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry.starts_with(marker.as_bytes()))
    };
    processes().filter(is_theirs).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("/proc");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The id of the store in this folder; None where no server has come so far as to make one.
fn store_of(folder: &Path) -> Option<String> {
    let (_copy, conn) = copied_database(folder)?;
    let query = "SELECT value FROM meta WHERE name = 'store_id'";
    let id: [u8; 16] = conn.query_row(query, [], |row| row.get(0)).ok()?;
    Some(uuid::Uuid::from_bytes(id).to_string())
}
