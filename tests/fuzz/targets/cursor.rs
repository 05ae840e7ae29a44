//! Tokens: what was encoded comes back, what was edited or is of another store does not, and no text is a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::domain::{
    Seq, StoreId,
    cursor::{SessionKey, Token},
};
use uuid::Uuid;

fuzz_target!(|input: (u128, Vec<(u32, u64)>, usize, u8, &str)| {
    let (store, cursors, place, byte, text) = input;
    let id = StoreId::from_uuid(Uuid::from_u128(store));
    let _ = Token::decode(text, id);

    let mut token = Token::new(id);
    for (key, seq) in cursors.into_iter().take(64) {
        token.set(SessionKey(key), Seq(seq));
    }
    let mut encoded = String::new();
    token.encode(&mut encoded);
    assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
    let Ok(decoded) = Token::decode(&encoded, id) else {
        // Only where so many large numbers do not fit.
        assert!(encoded.len() > 1024, "{encoded}");
        return;
    };
    assert_eq!(decoded.cursors(), token.cursors());
    let other = StoreId::from_uuid(Uuid::from_u128(store.wrapping_add(1)));
    assert!(Token::decode(&encoded, other).is_err());

    let mut edited = encoded.clone().into_bytes();
    let place = place % edited.len();
    edited[place] = byte;
    if let Ok(edited) = std::str::from_utf8(&edited)
        && edited != encoded
    {
        assert!(Token::decode(edited, id).is_err(), "{edited} for {encoded}");
    }
});
