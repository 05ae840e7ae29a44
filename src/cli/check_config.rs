//! `seawall check-config`: says what is wrong with a configuration, or shows the one in effect. Starts nothing and
//! writes nowhere.

use super::output::Output;
use crate::config::{self, Config, ConfigErrors};
use std::path::Path;

pub(super) fn run(output: &Output, path: Option<&Path>, print: bool) -> anyhow::Result<()> {
    let config = load(path)?;
    match print {
        true => output.line(config.print().trim_end())?,
        false => output.line("the configuration is sound")?,
    }
    Ok(())
}

/// The configuration from file and environment; every fault of it is one line of the error.
pub(super) fn load(path: Option<&Path>) -> Result<Config, ConfigErrors> {
    Config::load(path, config::environment())
}
