//! The account that a child runs as, if it is not the server's own. It only looks accounts up; the guard changes to them.

use serde::{Deserialize, Serialize};
use std::{fs, io};

/// Numbers of an account; it is given no supplementary groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error(
        "cannot run as `{0}`: the server is not root, and only root can change to another account; \
         remove `user` from the profile or run the server as root"
    )]
    NotRoot(String),
    #[error("cannot run as `{0}`: there is no such account in /etc/passwd")]
    Unknown(String),
    #[error("cannot run as `{name}`: cannot read /etc/passwd: {source}")]
    Unreadable { name: String, source: io::Error },
}

/// The account of a profile's `user`; None where that is the server's own.
pub(super) fn look_up(name: &str) -> Result<Option<Account>, AccountError> {
    let passwd = fs::read("/etc/passwd")
        .map_err(|source| AccountError::Unreadable { name: name.to_owned(), source })?;
    let account = parse(&String::from_utf8_lossy(&passwd), name)
        .ok_or_else(|| AccountError::Unknown(name.to_owned()))?;
    let own = rustix::process::geteuid();
    if account.uid == own.as_raw() {
        return Ok(None);
    }
    // The capability to set uids alone would leave the server's supplementary groups to the child.
    if !own.is_root() {
        return Err(AccountError::NotRoot(name.to_owned()));
    }
    Ok(Some(account))
}

/// `name:password:uid:gid:…`
fn parse(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        Some(Account { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n# no\nbobby:x:7:8::/:\nbob:x:5:6::/:\nbad:x:y:z\n";
        assert_eq!(parse(passwd, "bob"), Some(Account { uid: 5, gid: 6 }));
        assert_eq!(parse(passwd, "root"), Some(Account { uid: 0, gid: 0 }));
        for unknown in ["bo", "", "bad", "x"] {
            assert_eq!(parse(passwd, unknown), None, "{unknown}");
        }
    }

    #[test]
    fn an_unknown_account_is_named() {
        let error = look_up("no-such-account").unwrap_err().to_string();
        assert!(error.contains("`no-such-account`"), "{error}");
    }
}
