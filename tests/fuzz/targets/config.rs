//! Any text as a configuration: accepted or refused with a place, and what is accepted can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::config::Config;
use std::path::Path;

fuzz_target!(|input: (&str, Option<(&str, &str)>)| {
    let (text, variable) = input;
    let env = variable.map(|(name, value)| (format!("SEAWALL__{name}"), value.to_owned()));
    match Config::from_texts(Some((Path::new("fuzz.toml"), text)), env) {
        Ok(config) => assert!(config.print().contains("[server]")),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
});
