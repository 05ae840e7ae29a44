//! Any text as a configuration: accepted or refused with a place, and what is accepted can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::config::Config;
use std::path::Path;

// A file, and behind a NUL a variable that overrides it.
fuzz_target!(|input: &str| {
    let (text, variable) = input.split_once('\0').unwrap_or((input, ""));
    let variable = variable.split_once('=');
    let env = variable.map(|(name, value)| (format!("SEAWALL__{name}"), value.to_owned()));
    match Config::from_texts(Some((Path::new("fuzz.toml"), text)), env) {
        Ok(config) => assert!(config.print().contains("[server]")),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
