//! Secrets: those that stand in files of their own, such as systemd's credentials, and what is shown in a secret's place.
//! What a secret is for is not known here, and what it says is in no message.

use std::{collections::BTreeMap, fmt, io::Read, ops::Deref, path::Path, path::PathBuf};

/// The largest file that is taken for a secret.
const FILE_MAX: u64 = 64 << 10;
/// Shown in the place of what is not.
pub(super) const HIDDEN: &str = "<hidden>";

/// What takes part in a comparison and is shown to nobody.
#[derive(Clone, PartialEq)]
pub(super) struct Hidden(pub(super) toml::Value);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Variables of an agent's environment. Their names are no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl From<BTreeMap<String, String>> for Variables {
    fn from(variables: BTreeMap<String, String>) -> Self {
        Self(variables)
    }
}

impl Deref for Variables {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.keys().map(|name| (name, HIDDEN))).finish()
    }
}

/// Where files are looked for that are named without their folder.
#[derive(Debug, Default)]
pub(super) struct SecretFiles {
    folder: Option<PathBuf>,
}

impl SecretFiles {
    /// `$CREDENTIALS_DIRECTORY` where systemd has set it, else the folder of the configuration's file.
    pub(super) fn new(env: &BTreeMap<String, String>, file: Option<&Path>) -> Self {
        let credentials = env.get("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
        let beside = || file.and_then(Path::parent).map(Path::to_owned);
        Self { folder: credentials.map(PathBuf::from).or_else(beside) }
    }

    /// The text of a file without the line end behind it. The error names the file.
    pub(super) fn read(&self, name: &str) -> Result<String, String> {
        let path = match &self.folder {
            Some(folder) => folder.join(name),
            None => PathBuf::from(name),
        };
        let failed = |error: &dyn fmt::Display| format!("cannot read {}: {error}", path.display());
        // A pipe would be waited for, and be empty at the next reload.
        match std::fs::metadata(&path) {
            Ok(file) if !file.is_file() => return Err(failed(&"it is not a plain file")),
            Ok(file) if file.len() > FILE_MAX => {
                return Err(failed(&"it is too large for a secret"));
            }
            Ok(_) => {}
            Err(error) => return Err(failed(&error)),
        }
        let mut text = String::new();
        let file = std::fs::File::open(&path).map_err(|error| failed(&error))?;
        file.take(FILE_MAX).read_to_string(&mut text).map_err(|error| failed(&error))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_looked_for_among_the_credentials_or_else_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        for (place, text) in [("beside", "one\n"), ("credentials", "two\r\n")] {
            fs::create_dir(folder.path().join(place)).unwrap();
            fs::write(folder.path().join(place).join("key"), text).unwrap();
        }
        let file = folder.path().join("beside/seawall.toml");
        let credentials = folder.path().join("credentials").display().to_string();
        let env = BTreeMap::from([("CREDENTIALS_DIRECTORY".to_owned(), credentials)]);
        let [beside, credentials] =
            [BTreeMap::new(), env].map(|env| SecretFiles::new(&env, Some(&file)));
        assert_eq!(beside.read("key"), Ok("one".into()));
        assert_eq!(credentials.read("key"), Ok("two".into()));
        let absolute = folder.path().join("beside/key");
        assert_eq!(credentials.read(absolute.to_str().unwrap()), Ok("one".into()));
    }

    #[test]
    fn what_is_no_readable_file_is_named_without_what_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("binary"), b"s3cret\xff").unwrap();
        fs::write(path("large"), "x".repeat(70_000)).unwrap();
        for (name, expected) in [
            ("missing", "No such file"),
            ("", "not a plain file"),
            ("large", "too large"),
            ("binary", "UTF-8"),
        ] {
            let error = SecretFiles::default().read(&path(name)).unwrap_err();
            assert!(error.starts_with(&format!("cannot read {}", path(name))), "{error}");
            assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
        }
    }
}
