//! The token of a server that has none configured, so that its first minute needs no set-up. Who may use it is not
//! decided here.

use super::secret::{SecretError, random, read_or_make};
use crate::config::{Role, Token};
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use std::path::Path;

const FILE: &str = "token";
const PREFIX: &str = "swt_";
const SECRET_BYTES: usize = 32;

/// The token in the file `token` of the data folder, with role `admin`. Where there is no such file, a new token is
/// made and put there, readable by its owner alone. The caller holds the folder's lock.
pub fn bootstrap(data_folder: &Path) -> Result<Token, SecretError> {
    let path = data_folder.join(FILE);
    let text = read_or_make(&path, || {
        let secret = random::<SECRET_BYTES>()?;
        Ok(format!("{PREFIX}{}\n", BASE64URL_NOPAD.encode(&secret)))
    })?;
    let text = text.trim();
    let secret =
        text.strip_prefix(PREFIX).and_then(|text| BASE64URL_NOPAD.decode(text.as_bytes()).ok());
    if secret.is_none_or(|secret| secret.len() != SECRET_BYTES) {
        return Err(SecretError::Unusable { path, what: "token" });
    }
    Ok(Token {
        name: "first".into(),
        role: Role::Admin,
        sha256: Sha256::digest(text).into(),
        agents: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

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
        assert!(matches!(bootstrap(folder.path()), Err(SecretError::Exposed(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "secret").unwrap();
        let error = bootstrap(folder.path()).unwrap_err();
        assert!(matches!(error, SecretError::Unusable { .. }));
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
