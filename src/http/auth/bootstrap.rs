//! The token of a server that has none configured, so that its first minute needs no set-up. Who may use it is not
//! decided here.

use crate::config::{Role, Token};
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const FILE: &str = "token";
const PREFIX: &str = "swt_";
const SECRET_BYTES: usize = 32;

/// Why there is no first token.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error("{}: others can read it; make a new token by deleting it, or `chmod 600` it", .0.display())]
    Exposed(PathBuf),
    #[error("{}: holds no token; delete it, and a new one is made", .0.display())]
    NotAToken(PathBuf),
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// The token in the file `token` of the data folder, with role `admin`. Where there is no such file, a new token is
/// made and put there, readable by its owner alone. The caller holds the folder's lock.
pub fn bootstrap(data_folder: &Path) -> Result<Token, BootstrapError> {
    let path = data_folder.join(FILE);
    let failed = |error| BootstrapError::Io { path: path.clone(), error };
    let text = match fs::read_to_string(&path) {
        Ok(text) => {
            let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(BootstrapError::Exposed(path));
            }
            text
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path).map_err(failed)?,
        Err(error) => return Err(failed(error)),
    };
    let text = text.trim();
    let secret =
        text.strip_prefix(PREFIX).and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok());
    if secret.is_none_or(|secret| secret.len() != SECRET_BYTES) {
        return Err(BootstrapError::NotAToken(path));
    }
    Ok(Token {
        name: "first".into(),
        role: Role::Admin,
        sha256: Sha256::digest(text).into(),
        agents: None,
    })
}

fn create(path: &Path) -> io::Result<String> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(io::Error::other)?;
    let text = format!("{PREFIX}{}\n", BASE64URL_NOPAD.encode(&secret));
    // Written beside and renamed, so that a crash leaves no half token behind.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_and_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        // What a crash may have left.
        fs::write(folder.path().join("token.new"), "swt_hal").unwrap();
        let first = bootstrap(folder.path()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim().len(), 4 + 43);
        assert_eq!(first.sha256, <[u8; 32]>::from(Sha256::digest(text.trim())));
        assert_eq!((first.role, &first.agents), (Role::Admin, &None));
        assert_eq!(bootstrap(folder.path()).unwrap().sha256, first.sha256);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_token_file_that_others_can_read_or_that_holds_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        bootstrap(folder.path()).unwrap();
        let path = folder.path().join("token");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(bootstrap(folder.path()), Err(BootstrapError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "secret").unwrap();
        let error = bootstrap(folder.path()).unwrap_err();
        assert!(matches!(error, BootstrapError::NotAToken(_)));
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
