//! A file of the data folder that holds a secret: made once, for its owner alone. What the secret opens is not known
//! here.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{}: others can read it; make a new one by deleting it, or `chmod 600` it", .0.display())]
    Exposed(PathBuf),
    #[error("{}: holds no {what}; delete it, and a new one is made", path.display())]
    Unusable { path: PathBuf, what: &'static str },
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// What the file holds. Where there is none, it is made of `fresh`, readable by its owner alone. The caller holds the
/// data folder's lock.
pub(super) fn read_or_make(
    path: &Path,
    fresh: impl FnOnce() -> io::Result<String>,
) -> Result<String, SecretError> {
    let failed = |error| SecretError::Io { path: path.to_owned(), error };
    match fs::read_to_string(path) {
        Ok(text) => {
            let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
            match mode & 0o077 {
                0 => Ok(text),
                _ => Err(SecretError::Exposed(path.to_owned())),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fresh().and_then(|text| make(path, text)).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn make(path: &Path, text: String) -> io::Result<String> {
    // Written beside and renamed, so that a crash leaves no half secret behind.
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(text)
}

/// So many bytes that nobody can guess.
pub(super) fn random<const LENGTH: usize>() -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}
