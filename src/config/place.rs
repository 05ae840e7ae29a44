//! Where the configuration file and the data folder are. Reads names from the environment it is handed, never the
//! process's own.

use super::Config;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Read where neither `--config` nor `$SEAWALL_CONFIG` names a file, if it exists.
const SYSTEM_FILE: &str = "/etc/seawall/seawall.toml";
const DATABASE: &str = "seawall.db";

/// There is no place to keep data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no place for data: set store.path, or $HOME, to an absolute path")]
pub struct NoDataFolder;

/// The file to read; None: the built-in defaults alone.
pub(super) fn file(named: Option<&Path>, env: &BTreeMap<String, String>) -> Option<PathBuf> {
    let variable = env.get("SEAWALL_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let system = || Some(PathBuf::from(SYSTEM_FILE)).filter(|path| path.exists());
    named.map(Path::to_owned).or(variable).or_else(system)
}

impl Config {
    /// The folder of the database, the lock and the first token: `store.path`'s, else `$STATE_DIRECTORY`, else
    /// `$XDG_STATE_HOME/seawall`, else `~/.local/state/seawall`. It may not exist yet.
    pub fn data_folder(
        &self,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<PathBuf, NoDataFolder> {
        if let Some(folder) = self.store.path.as_deref().and_then(Path::parent) {
            return Ok(folder.to_owned());
        }
        let env: BTreeMap<_, _> = env.into_iter().collect();
        // systemd names several folders with colons between them; the first one is ours.
        let first = |name: &str| env.get(name).and_then(|value| value.split(':').next());
        let folder = |name| first(name).map(PathBuf::from).filter(|path| path.is_absolute());
        folder("STATE_DIRECTORY")
            .or_else(|| folder("XDG_STATE_HOME").map(|state| state.join("seawall")))
            .or_else(|| folder("HOME").map(|home| home.join(".local/state/seawall")))
            .ok_or(NoDataFolder)
    }

    /// The database's file: `store.path`, else `seawall.db` in the data folder.
    pub fn database(&self, data_folder: &Path) -> PathBuf {
        self.store.path.clone().unwrap_or_else(|| data_folder.join(DATABASE))
    }
}

/// The process's environment in the form that [`Config::load`] and [`Config::data_folder`] take. What is not UTF-8 has
/// its bad bytes replaced, so that it is refused and not overlooked.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (lossy(name), lossy(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn the_command_line_wins_over_the_variable() {
        let variable = env(&[("SEAWALL_CONFIG", "/a.toml")]);
        assert_eq!(file(Some(Path::new("b.toml")), &variable), Some("b.toml".into()));
        assert_eq!(file(None, &variable), Some("/a.toml".into()));
    }

    #[test]
    fn the_data_folder_is_the_first_that_is_named() {
        let all = [("STATE_DIRECTORY", "/s:/t"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        let mut config = Config::default();
        for (skip, expected) in [(0, "/s"), (1, "/x/seawall"), (2, "/h/.local/state/seawall")] {
            assert_eq!(config.data_folder(env(&all[skip..])), Ok(expected.into()));
        }
        assert_eq!(config.data_folder(env(&[("HOME", "relative")])), Err(NoDataFolder));
        assert_eq!(config.database(Path::new("/s")), Path::new("/s/seawall.db"));

        config.store.path = Some("/p/log.db".into());
        assert_eq!(config.data_folder(env(&all)), Ok("/p".into()));
        assert_eq!(config.database(Path::new("/p")), Path::new("/p/log.db"));
    }
}
