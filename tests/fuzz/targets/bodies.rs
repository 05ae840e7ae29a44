//! Any bytes as the body of each call: accepted or refused, never a panic; what is accepted reads the same when it is written again.
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
    if let Some(message) = parse::<SendMessage>(bytes) {
        // What is kept is what was said.
        let kept = serde_json::to_vec(&message).expect("JSON");
        let again = parse::<SendMessage>(&kept).expect("what was taken is taken again");
        assert_eq!(kept, serde_json::to_vec(&again).expect("JSON"));
    }
});
