//! Any bytes as the body of each call: accepted or refused, never a panic; content that is accepted has one digest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::wire::{
    admin::MakeBackup,
    api::{
        AnswerPermission, AnswerQuestion, CreateSession, Empty, RenameSession, SendMessage,
        StopSession,
    },
};
use serde_json::Deserializer;

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    // As the server reads a body.
    let mut json = Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize(&mut json) {
        Ok(value) => json.end().is_ok().then_some(value),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            None
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    parse::<CreateSession>(bytes);
    parse::<RenameSession>(bytes);
    parse::<AnswerPermission>(bytes);
    parse::<AnswerQuestion>(bytes);
    parse::<StopSession>(bytes);
    parse::<MakeBackup>(bytes);
    parse::<Empty>(bytes);
    parse::<SendMessage>(bytes);
});
