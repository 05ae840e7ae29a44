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

use super::{App, connection, error::Failure, gate};
use crate::{
    config::{Role, Token},
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
}

impl Credential {
    pub fn sees(&self, agent: &str) -> bool {
        self.agents.as_ref().is_none_or(|agents| agents.iter().any(|name| name == agent))
    }
}

/// The tokens that are valid, by their digests.
#[derive(Clone, Debug)]
pub(crate) struct Tokens(Vec<([u8; 32], Credential)>);

impl Tokens {
    pub(super) fn new(tokens: impl Iterator<Item = Token>) -> Self {
        let credential = |token: Token| {
            let agents = token.agents.map(Arc::from);
            (token.sha256, Credential { name: token.name.into(), role: token.role, agents })
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
            |found, (known, credential)| {
                if matches(known) { Some(credential) } else { found }
            },
        )
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
    // The header wins: who sends one means it, whatever a browser adds by itself.
    let credential = match request.headers().contains_key(header::AUTHORIZATION) {
        true => by_header(app, request),
        false => by_cookie(app, request),
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

fn by_header<'a>(app: &'a App, request: &HttpRequest) -> Result<&'a Credential, Failure> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (first, second) = (headers.next(), headers.next());
    let token = first.filter(|_| second.is_none()).and_then(|value| bearer(value.to_str().ok()?));
    let found = token.and_then(|token| app.tokens.find(token));
    found.ok_or_else(|| app.failures.note(request, unauthorized()))
}

/// The console's cookie, which the public listener alone takes: the other one has no Host check.
fn by_cookie<'a>(app: &'a App, request: &HttpRequest) -> Result<&'a Credential, Failure> {
    let found = gate::is_public(request)
        .then(|| app.cookies.find(request, &app.tokens, app.clock.now()))
        .flatten()
        .ok_or_else(unauthorized)?;
    // A browser sends it for whichever page of this host asks, that of another port too.
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_safe || request.headers().contains_key(header::ORIGIN) {
        app.hosts.check_origin(request.headers())?;
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
