//! Cursor tokens: what stands in the `id:` of a frame, so that a cut anywhere resumes every session of a stream.
//! A token grants nothing and proves nothing about its bearer; who may read what is decided elsewhere.
//!
//! ```text
//!  version 1 | store 8 | (key delta, seq) ... as LEB128, ascending keys | check 4      -> base64url, no padding
//! ```

use super::{Seq, StoreId};
use data_encoding::{BASE64URL_NOPAD, Encoding};
use sha2::{Digest, Sha256};

/// The longest token, in characters. 64 cursors below 2^49 always fit.
pub const TOKEN_MAX: usize = 1024;

/// A session's short number in its store: given once, never reused, so that a token needs no 16-byte id per session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub u32);

/// How far a stream is in each of its sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Hashed once, not for every frame.
    store: Fingerprint,
    /// Ascending by key, each key once.
    cursors: Vec<(SessionKey, Seq)>,
}

/// Why a text is not a token of this store. To a client both are `unknown_cursor`; a log may tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the cursor token is cut, edited or of another version; begin without it")]
    Malformed,
    #[error("the cursor token belongs to another store; begin without it")]
    ForeignStore,
}

type Fingerprint = [u8; 8];
type Check = [u8; 4];

static ALPHABET: Encoding = BASE64URL_NOPAD;
const VERSION: u8 = 1;
const HEAD: usize = 1 + size_of::<Fingerprint>();
const CHECK: usize = size_of::<Check>();
/// The most bytes of a session's key and seq.
const CURSOR_MAX: usize = 15;

impl Token {
    pub fn new(store: StoreId) -> Self {
        Self { store: fingerprint(store), cursors: Vec::new() }
    }

    /// The highest contiguous seq handed over of this session; None where the token does not know it.
    pub fn get(&self, key: SessionKey) -> Option<Seq> {
        let at = self.cursors.binary_search_by_key(&key, |cursor| cursor.0).ok()?;
        Some(self.cursors[at].1)
    }

    pub fn set(&mut self, key: SessionKey, seq: Seq) {
        match self.cursors.binary_search_by_key(&key, |cursor| cursor.0) {
            Ok(at) => self.cursors[at].1 = seq,
            Err(at) => {
                // A stream of one session has no room for others.
                self.cursors.reserve_exact(1);
                self.cursors.insert(at, (key, seq));
            }
        }
    }

    pub fn remove(&mut self, key: SessionKey) {
        self.cursors.retain(|cursor| cursor.0 != key);
    }

    /// Ascending by key.
    pub fn cursors(&self) -> &[(SessionKey, Seq)] {
        &self.cursors
    }

    /// Appends the token's text to `out`.
    pub fn encode(&self, out: &mut String) {
        let mut raw = Vec::with_capacity(HEAD + self.cursors.len() * CURSOR_MAX + CHECK);
        raw.push(VERSION);
        raw.extend(self.store);
        let mut last = 0;
        for (key, seq) in &self.cursors {
            write_varint(u64::from(key.0 - last), &mut raw);
            write_varint(seq.0, &mut raw);
            last = key.0;
        }
        // In one pass each: it runs for every frame.
        raw.extend(checksum(Sha256::digest(&raw)));
        ALPHABET.encode_append(&raw, out);
    }

    /// Reads any text at all; what [`Token::encode`] did not write for `store` is an error.
    pub fn decode(text: &str, store: StoreId) -> Result<Self, TokenError> {
        if text.len() > TOKEN_MAX {
            return Err(TokenError::Malformed);
        }
        let raw = ALPHABET.decode(text.as_bytes()).map_err(|_| TokenError::Malformed)?;
        let (body, check) = raw.split_last_chunk::<CHECK>().ok_or(TokenError::Malformed)?;
        if body.len() < HEAD || body[0] != VERSION || *check != checksum(Sha256::digest(body)) {
            return Err(TokenError::Malformed);
        }
        let store = fingerprint(store);
        if body[1..HEAD] != store {
            return Err(TokenError::ForeignStore);
        }
        let cursors = read_cursors(&body[HEAD..]).ok_or(TokenError::Malformed)?;
        Ok(Self { store, cursors })
    }
}

fn fingerprint(store: StoreId) -> Fingerprint {
    let digest = Sha256::digest(store.as_uuid().as_bytes());
    *digest.first_chunk().expect("a SHA-256 has 32 bytes")
}

fn checksum(digest: impl AsRef<[u8]>) -> Check {
    *digest.as_ref().first_chunk().expect("a SHA-256 has 32 bytes")
}

/// Every list of cursors has one spelling only: keys ascend, and a number has no needless bytes.
fn read_cursors(mut rest: &[u8]) -> Option<Vec<(SessionKey, Seq)>> {
    let mut cursors: Vec<(SessionKey, Seq)> = Vec::new();
    while !rest.is_empty() {
        let delta = u32::try_from(read_varint(&mut rest)?).ok()?;
        let seq = Seq(read_varint(&mut rest)?);
        let key = match cursors.last() {
            Some(_) if delta == 0 => return None,
            Some((last, _)) => last.0.checked_add(delta)?,
            None => delta,
        };
        cursors.push((SessionKey(key), seq));
    }
    Some(cursors)
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        value |= bits.checked_shl(shift).filter(|shifted| shifted >> shift == bits)?;
        if byte & 0x80 == 0 {
            return (byte != 0 || shift == 0).then_some(value);
        }
    }
    None
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn store(number: u128) -> StoreId {
        StoreId::from_uuid(Uuid::from_u128(number))
    }

    fn token(cursors: &[(u32, u64)]) -> Token {
        let mut token = Token::new(store(1));
        for (key, seq) in cursors {
            token.set(SessionKey(*key), Seq(*seq));
        }
        token
    }

    fn text(token: &Token) -> String {
        let mut text = String::new();
        token.encode(&mut text);
        text
    }

    fn cursors() -> impl Strategy<Value = Vec<(u32, u64)>> {
        proptest::collection::vec((any::<u32>(), 0u64..1 << 49), 0..=64)
    }

    #[test]
    fn a_cursor_can_be_set_moved_read_and_removed() {
        let mut token = token(&[(9, 1), (3, 7), (9, 2)]);
        assert_eq!(token.cursors(), [(SessionKey(3), Seq(7)), (SessionKey(9), Seq(2))]);
        assert_eq!(token.get(SessionKey(9)), Some(Seq(2)));
        token.remove(SessionKey(9));
        assert_eq!(token.get(SessionKey(9)), None);
    }

    #[test]
    fn a_token_of_another_store_is_recognised() {
        let text = text(&token(&[(1, 1)]));
        assert_eq!(Token::decode(&text, store(2)), Err(TokenError::ForeignStore));
    }

    #[test]
    fn the_token_of_one_session_is_short() {
        assert!(text(&token(&[(1000, 100_000)])).len() <= 24);
    }

    #[test]
    fn a_list_with_a_repeated_key_or_a_padded_number_is_refused() {
        for body in [&[5, 1, 0, 2][..], &[0x85, 0, 1], &[5], &[0xff; 11]] {
            assert_eq!(read_cursors(body), None, "{body:?}");
        }
        assert_eq!(read_cursors(&[0, 0]), Some(vec![(SessionKey(0), Seq(0))]));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back_and_fits(cursors in cursors()) {
            let token = token(&cursors);
            let text = text(&token);
            prop_assert!(text.len() <= TOKEN_MAX, "{}", text.len());
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(Token::decode(&text, store(1)), Ok(token));
        }

        #[test]
        fn every_seq_is_read_back(seq in any::<u64>()) {
            let token = token(&[(1, seq)]);
            prop_assert_eq!(Token::decode(&text(&token), store(1)), Ok(token));
        }

        #[test]
        fn a_cut_token_is_refused(cursors in cursors(), cut in any::<proptest::sample::Index>()) {
            let text = text(&token(&cursors));
            let cut = &text[..cut.index(text.len())];
            prop_assert_eq!(Token::decode(cut, store(1)), Err(TokenError::Malformed));
        }

        #[test]
        fn an_edited_token_is_refused(
            cursors in cursors(),
            at in any::<proptest::sample::Index>(),
            with in "[A-Za-z0-9_-]",
        ) {
            let text = text(&token(&cursors));
            let at = at.index(text.len());
            let edited = format!("{}{with}{}", &text[..at], &text[at + 1..]);
            prop_assume!(edited != text);
            prop_assert_eq!(Token::decode(&edited, store(1)), Err(TokenError::Malformed));
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in any::<String>()) {
            prop_assert!(Token::decode(&text, store(1)).is_err());
        }

        #[test]
        fn any_list_that_is_understood_is_spelled_the_only_way(
            body in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Some(cursors) = read_cursors(&body) {
                let text = text(&Token { store: fingerprint(store(1)), cursors });
                let raw = ALPHABET.decode(text.as_bytes()).unwrap();
                prop_assert_eq!(&raw[HEAD..raw.len() - CHECK], &body[..]);
            }
        }
    }
}
