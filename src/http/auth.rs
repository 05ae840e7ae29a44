//! Who asks, and what that allows: a handler that takes an [`Operator`] cannot run without one. Which session a
//! credential may see is asked by `target`.

mod bootstrap;
mod cookie;
mod failures;
mod secret;

pub use bootstrap::bootstrap;
pub use cookie::CookieKey;
pub(super) use cookie::Cookies;
pub(super) use failures::Failures;
pub use secret::SecretError;

use super::{Access, App, connection, error::Failure, gate};
use crate::{
    config::{Role, Token},
    domain::Timestamp,
    wire::problem::ErrorCode,
};
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{Method, header},
    web,
};
use sha2::{Digest, Sha256};
use std::{
    future::{Ready, ready},
    ops::Deref,
    sync::Arc,
};
use subtle::ConstantTimeEq;

/// A credential that was checked.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Unique; the author in events.
    pub name: Arc<str>,
    pub role: Role,
    /// The profiles it may see; None: all.
    pub agents: Option<Arc<[String]>>,
    /// Of its token: the same name may have another one after a reload.
    digest: [u8; 32],
}

impl Credential {
    pub fn sees(&self, agent: &str) -> bool {
        self.agents.as_ref().is_none_or(|agents| agents.iter().any(|name| name == agent))
    }
}

/// The tokens that are valid, by their digests.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(Vec<Credential>);

impl Tokens {
    pub(super) fn new(tokens: impl Iterator<Item = Token>) -> Self {
        let credential = |token: Token| {
            let agents = token.agents.map(Arc::from);
            let digest = token.sha256;
            Credential { name: token.name.into(), role: token.role, agents, digest }
        };
        Self(tokens.map(credential).collect())
    }

    /// The credential of a token.
    pub(crate) fn find(&self, token: &str) -> Option<&Credential> {
        let digest = digest(token);
        self.find_by(|known| bool::from(known.ct_eq(&digest)))
    }

    /// The credential whose token's digest `matches`. All digests are compared, each in the same time, so that the time
    /// taken tells nothing about how near a guess was.
    fn find_by(&self, matches: impl Fn(&[u8; 32]) -> bool) -> Option<&Credential> {
        self.0.iter().fold(
            None,
            |found, credential| {
                if matches(&credential.digest) { Some(credential) } else { found }
            },
        )
    }

    /// Whether what was granted to `credential` still is: its token is valid, and may see all that it could.
    pub(super) fn still_hold(&self, credential: &Credential) -> bool {
        let now = self.0.iter().find(|known| known.digest == credential.digest);
        now.is_some_and(|now| match (&now.agents, &credential.agents) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(now), Some(then)) => then.iter().all(|agent| now.contains(agent)),
        })
    }
}

/// All that the server keeps of a token.
pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A role that was asked for and is held. Every power is the credential that has it.
pub trait Power: Deref<Target = Credential> + Sized + 'static {
    const ROLE: Role;

    fn held_by(credential: Credential) -> Self;
}

/// The power `P` of the request's credential.
///
/// # Errors
/// 401 without a valid credential (429 after too many), 403 without the role.
pub(super) fn authorize<P: Power>(request: &HttpRequest) -> Result<P, Failure> {
    let app = request.app_data::<web::Data<App>>();
    let app = app.ok_or_else(|| Failure::internal("the application's data is missing"))?;
    let access = app.access();
    // The header wins: who sends one means it, whatever a browser adds by itself.
    let credential = match request.headers().contains_key(header::AUTHORIZATION) {
        true => by_header(&access, request),
        false => by_cookie(&access, request, app.clock.now()),
    }?;
    connection::is_known(request);
    if credential.role < P::ROLE {
        let detail = format!(
            "the call needs the role {:?}, the credential has {:?}",
            P::ROLE,
            credential.role
        );
        return Err(Failure::new(ErrorCode::Forbidden, detail.to_lowercase()));
    }
    Ok(P::held_by(credential.clone()))
}

fn unauthorized() -> Failure {
    let detail = "the call needs `Authorization: Bearer TOKEN` with a token that this server knows";
    Failure::new(ErrorCode::Unauthorized, detail)
}

fn by_header<'a>(access: &'a Access, request: &HttpRequest) -> Result<&'a Credential, Failure> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (first, second) = (headers.next(), headers.next());
    let token = first.filter(|_| second.is_none()).and_then(|value| bearer(value.to_str().ok()?));
    let found = token.and_then(|token| access.tokens.find(token));
    found.ok_or_else(|| access.failures.note(request, unauthorized()))
}

/// The console's cookie, which the public listener alone takes: the other one has no Host check.
fn by_cookie<'a>(
    access: &'a Access,
    request: &HttpRequest,
    now: Timestamp,
) -> Result<&'a Credential, Failure> {
    let found = gate::is_public(request)
        .then(|| access.cookies.find(request, &access.tokens, now))
        .flatten()
        .ok_or_else(unauthorized)?;
    // A browser sends it for whichever page of this host asks, that of another port too.
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_safe || request.headers().contains_key(header::ORIGIN) {
        access.hosts.check_origin(request.headers())?;
    }
    Ok(found)
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

macro_rules! power {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name(Credential);

        impl Power for $name {
            const ROLE: Role = Role::$name;

            fn held_by(credential: Credential) -> Self {
                Self(credential)
            }
        }

        impl Deref for $name {
            type Target = Credential;

            fn deref(&self) -> &Credential {
                &self.0
            }
        }

        impl FromRequest for $name {
            type Error = Failure;
            type Future = Ready<Result<Self, Failure>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready(authorize(request))
            }
        }
    };
}

power!(
    /// May read and follow.
    Viewer
);
power!(
    /// May also create, send, withdraw, interrupt, stop, answer, resume, rename and delete.
    Operator
);
power!(
    /// May do everything.
    Admin
);

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, secret: &str, agents: Option<&[&str]>) -> Token {
        Token {
            name: name.into(),
            role: Role::Viewer,
            sha256: Sha256::digest(secret).into(),
            agents: agents.map(|agents| agents.iter().map(|agent| (*agent).into()).collect()),
        }
    }

    #[test]
    fn a_token_is_found_by_its_digest_alone() {
        let tokens = Tokens::new([token("ann", "a", None), token("bob", "b", None)].into_iter());
        assert_eq!(tokens.find("a").map(|found| &*found.name), Some("ann"));
        assert_eq!(tokens.find("b").map(|found| &*found.name), Some("bob"));
        assert!(tokens.find("c").is_none());
        assert!(tokens.find("").is_none());
    }

    #[test]
    fn a_limited_credential_sees_its_profiles_only() {
        let tokens =
            Tokens::new([token("ann", "a", Some(&["demo"])), token("bob", "b", None)].into_iter());
        let [ann, bob] = ["a", "b"].map(|secret| tokens.find(secret).unwrap());
        assert!(ann.sees("demo") && !ann.sees("demo2"));
        assert!(bob.sees("demo2"));
    }

    #[test]
    fn a_credential_holds_while_its_token_is_valid_and_sees_no_less() {
        let hold = |now: Token, then: Token| {
            let then = Tokens::new([then].into_iter());
            Tokens::new([now].into_iter()).still_hold(&then.0[0])
        };
        let (all, two, one) = (None, Some(&["a", "b"][..]), Some(&["a"][..]));
        assert!(hold(token("renamed", "a", two), token("ann", "a", two)));
        assert!(hold(token("ann", "a", two), token("ann", "a", one)));
        assert!(hold(token("ann", "a", all), token("ann", "a", one)));
        assert!(!hold(token("ann", "a", one), token("ann", "a", two)));
        assert!(!hold(token("ann", "a", one), token("ann", "a", all)));
        assert!(!hold(token("ann", "b", two), token("ann", "a", two)));
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        for (header, expected) in [
            ("Bearer x", Some("x")),
            ("bearer  x ", Some("x")),
            ("Basic x", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("x", None),
        ] {
            assert_eq!(bearer(header), expected, "{header}");
        }
    }
}
