//! The console's cookie: a token's digest and an end of validity under our signature. Nothing of it is kept, so it lives
//! through restarts, and is worth nothing as soon as its token is not configured any more.

use super::{
    Credential, Tokens,
    secret::{SecretError, random, read_or_make},
};
use crate::{config::Server, domain::Timestamp};
use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time},
    http::header,
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::{path::Path, time::Duration};

const FILE: &str = "cookie.key";
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// What else this key might come to sign begins otherwise.
const PURPOSE: &[u8] = b"seawall login 1";

/// What cookies are signed with. It is shown nowhere.
#[derive(Clone)]
pub struct CookieKey([u8; KEY_BYTES]);

impl CookieKey {
    /// The key in the file `cookie.key` of the data folder, made where there is none. The caller holds the folder's
    /// lock.
    pub fn of(data_folder: &Path) -> Result<Self, SecretError> {
        let path = data_folder.join(FILE);
        let text = read_or_make(&path, || Ok(HEXLOWER.encode(&random::<KEY_BYTES>()?) + "\n"))?;
        let key = HEXLOWER.decode(text.trim().as_bytes()).ok();
        let key = key.and_then(|key| key.try_into().ok());
        key.map(Self).ok_or(SecretError::Unusable { path, what: "key" })
    }

    fn mac(&self, end: [u8; 8], token: &[u8; 32]) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        mac.chain_update(PURPOSE).chain_update(end).chain_update(token)
    }
}

#[cfg(test)]
impl CookieKey {
    /// For tests to which it does not matter.
    pub(crate) const ANY: Self = Self([7; KEY_BYTES]);
}

pub(crate) struct Cookies {
    key: CookieKey,
    /// Browsers are to send it over TLS only.
    is_secure: bool,
}

impl Cookies {
    pub(crate) fn new(key: CookieKey, server: &Server) -> Self {
        // Without either, the configuration allows a loopback address only.
        Self { key, is_secure: server.tls.is_some() || server.behind_proxy }
    }

    /// With this prefix a browser takes it from this very host alone and over TLS alone, not from a neighbour's name.
    const fn name(&self) -> &'static str {
        if self.is_secure { "__Host-seawall" } else { "seawall" }
    }

    /// What a browser is to keep for the token of this digest.
    pub(crate) fn issue(&self, token: &[u8; 32], now: Timestamp) -> Cookie<'static> {
        let end = (now + LIFE).as_millis().to_be_bytes();
        let tag = self.key.mac(end, token).finalize().into_bytes();
        self.cookie(BASE64URL_NOPAD.encode(&[&end[..], &tag[..]].concat()), LIFE)
    }

    /// What makes a browser forget it.
    pub(crate) fn cleared(&self) -> Cookie<'static> {
        self.cookie(String::new(), Duration::ZERO)
    }

    fn cookie(&self, value: String, life: Duration) -> Cookie<'static> {
        let life = time::Duration::seconds(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
        Cookie::build(self.name(), value)
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(self.is_secure)
            .max_age(life)
            .finish()
    }

    /// The credential of the request's cookie. Two cookies of our name are none: one of them is somebody else's.
    pub(super) fn find<'t>(
        &self,
        request: &HttpRequest,
        tokens: &'t Tokens,
        now: Timestamp,
    ) -> Option<&'t Credential> {
        let headers = request.headers().get_all(header::COOKIE);
        let mut ours = headers
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(name, _)| *name == self.name());
        let (first, second) = (ours.next(), ours.next());
        let (_, value) = first.filter(|_| second.is_none())?;
        self.check(value, tokens, now)
    }

    fn check<'t>(&self, value: &str, tokens: &'t Tokens, now: Timestamp) -> Option<&'t Credential> {
        let bytes = BASE64URL_NOPAD.decode(value.as_bytes()).ok()?;
        let (end, tag) = bytes.split_first_chunk::<8>()?;
        if tag.len() != TAG_BYTES || i64::from_be_bytes(*end) <= now.as_millis() {
            return None;
        }
        // The token is found by its signature: the cookie does not say which one it is of.
        tokens.find_by(|token| self.key.mac(*end, token).verify_slice(tag).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Role, Token};
    use sha2::Digest;

    fn digest(secret: &str) -> [u8; 32] {
        Sha256::digest(secret).into()
    }

    fn tokens(secrets: &[&str]) -> Tokens {
        let token = |secret: &&str| Token {
            name: (*secret).into(),
            role: Role::Viewer,
            sha256: digest(secret),
            agents: None,
        };
        Tokens::new(secrets.iter().map(token))
    }

    fn cookies(key: u8) -> Cookies {
        Cookies::new(CookieKey([key; KEY_BYTES]), &Config::default().server)
    }

    #[test]
    fn a_cookie_opens_what_its_token_opens_until_its_end() {
        let now = Timestamp::from_millis(1000);
        let cookies = cookies(1);
        let cookie = cookies.issue(&digest("b"), now);
        let found = |tokens: &Tokens, now| {
            cookies.check(cookie.value(), tokens, now).map(|found| found.name.to_string())
        };
        assert_eq!(found(&tokens(&["a", "b"]), now), Some("b".into()));
        assert_eq!(found(&tokens(&["a"]), now), None, "its token is not configured");
        let last = now + (LIFE - Duration::from_millis(1));
        assert_eq!(found(&tokens(&["b"]), last), Some("b".into()));
        assert_eq!(found(&tokens(&["b"]), now + LIFE), None, "it is over");
    }

    #[test]
    fn what_was_changed_or_signed_elsewhere_opens_nothing() {
        let now = Timestamp::from_millis(0);
        let tokens = tokens(&["a"]);
        let mine = cookies(1);
        let theirs = cookies(2).issue(&digest("a"), now);
        assert!(mine.check(theirs.value(), &tokens, now).is_none());
        let good =
            BASE64URL_NOPAD.decode(mine.issue(&digest("a"), now).value().as_bytes()).unwrap();
        let value = BASE64URL_NOPAD.encode(&good);
        assert!(mine.check(&value, &tokens, now).is_some());
        for index in 0..good.len() {
            let mut changed = good.clone();
            changed[index] ^= 1;
            let value = BASE64URL_NOPAD.encode(&changed);
            assert!(mine.check(&value, &tokens, now).is_none(), "byte {index}");
        }
        for length in 0..good.len() {
            let value = BASE64URL_NOPAD.encode(&good[..length]);
            assert!(mine.check(&value, &tokens, now).is_none(), "{length} bytes");
        }
        for value in ["", "x", "==", &format!("{value}AAAA")] {
            assert!(mine.check(value, &tokens, now).is_none(), "{value}");
        }
    }

    #[test]
    fn the_key_stays_the_same_and_is_for_its_owner_alone() {
        use std::{fs, os::unix::fs::PermissionsExt};
        let folder = tempfile::tempdir().unwrap();
        let first = CookieKey::of(folder.path()).ok().unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(CookieKey::of(folder.path()).ok().unwrap().0, first.0);
        assert_ne!(first.0, [0; KEY_BYTES]);
        fs::write(&path, "short").unwrap();
        let error = CookieKey::of(folder.path()).err().unwrap().to_string();
        assert!(error.contains("holds no key") && !error.contains("short"), "{error}");
    }
}
