//! The configuration of a server in this process: in a file, which it reads again when it is told to.

use super::{Answer, Driven, SEAWALL, configure};
use seawall::config::{Config, ConfigErrors, Source};
use serde_json::Value;
use std::{fs, path::Path};

/// As the binary reads its file, but that the running program is the test and not seawall.
pub(super) fn source(folder: &Path) -> Source {
    let path = folder.join("seawall.toml");
    Source::new(move || read(&path))
}

fn read(path: &Path) -> Result<Config, ConfigErrors> {
    let text = fs::read_to_string(path).expect("a file").replace("seawall:self", SEAWALL);
    let mut config = Config::from_texts(Some((path, &text)), [])?;
    if let Some(demo) = config.agents.get_mut("demo") {
        demo.command = SEAWALL.into();
    }
    Ok(config)
}

impl Driven {
    /// Has the server read its file again, with `extra` lines in the place of those before.
    pub(crate) async fn try_reload(&self, extra: &str) -> Answer {
        configure(self.folder.path(), extra);
        self.admin().post("/admin/reload", Value::Null).await
    }

    pub(crate) async fn reload(&self, extra: &str) -> Value {
        self.try_reload(extra).await.expect(200)
    }
}
