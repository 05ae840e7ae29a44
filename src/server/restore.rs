//! Bringing a backup back, while no server runs on the data folder.

use super::{StartError, database_path, lock::DataLock};
use crate::{
    clock::Clock,
    config::Config,
    store::sqlite::{self, RestoreError, Restored},
};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RefusedRestore {
    /// Among others: a server runs.
    #[error(transparent)]
    Folder(#[from] StartError),
    #[error("{} belongs to another account, whose server could not open what is restored; run this as that account, as by `sudo -u seawall`", path.display())]
    Account { path: PathBuf },
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

/// Puts a copy of `backup` into the place of the database of `config`, whose path comes back too.
pub fn restore(
    config: &Config,
    data: &Path,
    backup: &Path,
) -> Result<(PathBuf, Restored), RefusedRestore> {
    let is_ours = |folder: fs::Metadata| folder.uid() == rustix::process::geteuid().as_raw();
    match fs::metadata(data).map(is_ours) {
        Ok(false) => return Err(RefusedRestore::Account { path: data.into() }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(StartError::DataFolder { path: data.into(), error }.into());
        }
        _ => {}
    }
    let _lock = DataLock::take(data)?;
    let database = database_path(config, data);
    let restored = sqlite::restore(backup, &database, Clock::system().now())?;
    Ok((database, restored))
}
