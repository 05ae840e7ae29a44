//! Which server is meant, and with which credential. Finds the token that the local server made for its owner, and
//! never hands that one to a server elsewhere.

use super::failure::Usage;
use crate::client::{self, Admin, Client};
use anyhow::Context;
use std::{
    env, io,
    path::{Path, PathBuf},
};

#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The server's root.
    #[arg(
        long,
        global = true,
        env = "SEAWALL_URL",
        default_value = "http://127.0.0.1:7878",
        help_heading = "Server"
    )]
    pub(super) url: String,

    /// The token to show [else the local server's own, from its data folder]. Better given in the variable than
    /// here, where others on this machine can see it.
    #[arg(
        long,
        global = true,
        env = "SEAWALL_TOKEN",
        hide_env_values = true,
        allow_hyphen_values = true,
        help_heading = "Server"
    )]
    token: Option<String>,
}

impl Target {
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&self.url, self.token_for(&self.url)?.as_deref())?)
    }

    /// The way to the admin listener at `url`.
    pub(super) fn admin(&self, url: &str) -> anyhow::Result<Admin> {
        Ok(Admin::new(url, self.token_for(url)?.as_deref())?)
    }

    fn token_for(&self, url: &str) -> anyhow::Result<Option<String>> {
        match self.token.as_deref().map(str::trim).filter(|token| !token.is_empty()) {
            Some(token) => Ok(Some(token.to_owned())),
            None if is_local(url) => local_token(&|name| env::var_os(name).map(PathBuf::from)),
            None => Ok(None),
        }
    }
}

fn is_local(url: &str) -> bool {
    url.starts_with("unix:") || reqwest::Url::parse(url).is_ok_and(|url| client::is_loopback(&url))
}

/// The content of the file `token` in the data folder, if there is one.
fn local_token(env: &dyn Fn(&str) -> Option<PathBuf>) -> anyhow::Result<Option<String>> {
    let Some(path) = data_folder(env).map(|folder| folder.join("token")) else {
        return Ok(None);
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // Another account's server: its owner keeps the token to itself.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error)
            .with_context(|| format!("cannot read {}", path.display()))
            .context(Usage("give the token in $SEAWALL_TOKEN".into())),
    }
}

/// Where a server started by this account without further words keeps its data.
fn data_folder(env: &dyn Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let folder = |name| env(name).map(|path| first_of(&path)).filter(|path| path.is_absolute());
    folder("STATE_DIRECTORY")
        .or_else(|| folder("XDG_STATE_HOME").map(|state| state.join("seawall")))
        .or_else(|| folder("HOME").map(|home| home.join(".local/state/seawall")))
}

/// systemd names several folders with colons between them; the first one is ours.
fn first_of(path: &Path) -> PathBuf {
    path.to_str()
        .and_then(|text| text.split(':').next())
        .map_or_else(|| path.to_owned(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_is_the_first_that_is_named() {
        let all = [("STATE_DIRECTORY", "/s:/t"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        for (skip, expected) in [
            (0, Some("/s")),
            (1, Some("/x/seawall")),
            (2, Some("/h/.local/state/seawall")),
            (3, None),
        ] {
            let env = |name: &str| {
                let pair = all[skip..].iter().find(|pair| pair.0 == name)?;
                Some(PathBuf::from(pair.1))
            };
            assert_eq!(data_folder(&env), expected.map(PathBuf::from));
        }
    }

    #[test]
    fn the_local_token_is_read_without_its_line_end_and_may_be_missing() {
        let folder = tempfile::tempdir().unwrap();
        let env = |name: &str| (name == "STATE_DIRECTORY").then(|| folder.path().to_owned());
        assert_eq!(local_token(&env).unwrap(), None);
        std::fs::write(folder.path().join("token"), "abc\n").unwrap();
        assert_eq!(local_token(&env).unwrap(), Some("abc".into()));
    }

    #[test]
    fn the_local_token_is_for_this_machine_only() {
        assert!(is_local("http://127.0.0.1:7878"));
        assert!(is_local("unix:/run/seawall/admin.sock"));
        assert!(!is_local("http://example.org"));
        assert!(!is_local("nonsense"));
    }
}
