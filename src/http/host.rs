//! The Host check: a page of another site whose name was bent to our address (DNS rebinding) is turned away. The Origin
//! check: so is a page of another site, or of another port, that uses a browser's cookie. They say nothing of who asks.

use super::error::Failure;
use crate::{config::Server, wire::problem::ErrorCode};
use actix_web::{
    dev::ServiceRequest,
    http::header::{self, HeaderMap, HeaderName},
};

#[derive(Clone, Debug)]
pub(super) struct Hosts {
    /// The names that this server answers to, in lower case, without port.
    names: Vec<String>,
    /// What browsers reach it by.
    scheme: &'static str,
}

impl Hosts {
    pub(super) fn new(server: &Server) -> Self {
        let own = [server.listen.as_str(), "localhost", "127.0.0.1", "[::1]"];
        let names: Vec<&str> = match server.hosts.is_empty() {
            true => own.to_vec(),
            false => server.hosts.iter().map(String::as_str).collect(),
        };
        let has_tls = server.tls.is_some() || server.behind_proxy;
        Self {
            names: names.into_iter().map(name_of).collect(),
            scheme: if has_tls { "https" } else { "http" },
        }
    }

    pub(super) fn check(&self, request: &ServiceRequest) -> Result<(), Failure> {
        let header = only(request.headers(), header::HOST);
        // A request line with a whole URL names the host a second time.
        let in_line = request.uri().authority().map(|authority| authority.as_str());
        let knows = |host: &str| self.names.contains(&name_of(host));
        if header.is_some_and(knows) && in_line.is_none_or(knows) {
            return Ok(());
        }
        let detail = "the Host header must be a name of this server; a name that is missing goes into server.hosts";
        Err(Failure::new(ErrorCode::ForeignHost, detail))
    }

    /// Whether a page of ours asks: one that came from where this request goes. That this is a host of ours was
    /// checked before; the port counts as well, for cookies and SameSite do not know ports.
    pub(super) fn check_origin(&self, headers: &HeaderMap) -> Result<(), Failure> {
        let host = only(headers, header::HOST).unwrap_or_default();
        let origin = only(headers, header::ORIGIN);
        let is_ours = origin.and_then(|origin| origin.split_once("://")).is_some_and(
            |(scheme, authority)| {
                scheme == self.scheme && self.place_of(authority) == self.place_of(host)
            },
        );
        if is_ours {
            return Ok(());
        }
        let own = format!("{}://{host}", self.scheme);
        let detail = match origin {
            None => format!(
                "with a cookie this call needs the header `Origin: {own}`, as browsers send it"
            ),
            Some(_) => format!(
                "the Origin header must be {own}; behind a TLS proxy set server.behind_proxy and pass Host on unchanged"
            ),
        };
        Err(Failure::new(ErrorCode::ForeignOrigin, detail))
    }

    /// Name and port, where the scheme's own port may be left out.
    fn place_of(&self, authority: &str) -> (String, String) {
        let usual = if self.scheme == "https" { "443" } else { "80" };
        let port = authority.rsplit_once(':').map(|(_, port)| port);
        let port = port.filter(|port| !port.ends_with(']') && !port.is_empty());
        (name_of(authority), port.unwrap_or(usual).to_owned())
    }
}

/// The header's one value.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name);
    let (first, second) = (values.next(), values.next());
    first.filter(|_| second.is_none())?.to_str().ok()
}

/// The name without its port, in the one spelling that is compared.
fn name_of(host: &str) -> String {
    let name = match host.rsplit_once(':') {
        // A colon within brackets belongs to the address.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use actix_web::test::TestRequest;

    fn answers(hosts: &[&str], header: Option<&str>) -> bool {
        let mut server = Config::default().server;
        server.listen = "[fe80::1]:7878".into();
        server.hosts = hosts.iter().map(|host| (*host).into()).collect();
        let request = TestRequest::get().uri("/");
        let request = match header {
            Some(host) => request.insert_header((header::HOST, host)),
            None => request,
        };
        Hosts::new(&server).check(&request.to_srv_request()).is_ok()
    }

    #[test]
    fn without_configured_names_the_server_answers_to_its_own() {
        for host in [
            "localhost",
            "LOCALHOST:7878",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "[fe80::1]:7878",
            "localhost.",
        ] {
            assert!(answers(&[], Some(host)), "{host}");
        }
        for host in ["", "evil.org", "localhost.evil.org", "127.0.0.1.evil.org", "::1", "127.0.0.2"]
        {
            assert!(!answers(&[], Some(host)), "{host}");
        }
        assert!(!answers(&[], None));
    }

    #[test]
    fn configured_names_are_the_only_ones() {
        assert!(answers(&["Seawall.example.org"], Some("seawall.example.org:443")));
        assert!(!answers(&["seawall.example.org"], Some("localhost")));
    }

    #[test]
    fn a_page_is_ours_by_scheme_name_and_port() {
        let check = |behind_proxy: bool, host: &str, origins: &[&str]| {
            let mut server = Config::default().server;
            server.behind_proxy = behind_proxy;
            let request = TestRequest::get().insert_header((header::HOST, host));
            let request = origins
                .iter()
                .fold(request, |request, origin| request.append_header((header::ORIGIN, *origin)));
            Hosts::new(&server).check_origin(request.to_srv_request().headers()).is_ok()
        };
        for (host, origin) in [
            ("localhost:7878", "http://localhost:7878"),
            ("LOCALHOST:7878", "http://localhost:7878"),
            ("localhost", "http://localhost"),
            ("localhost:80", "http://localhost"),
            ("[::1]:7878", "http://[::1]:7878"),
            ("[::1]", "http://[::1]"),
        ] {
            assert!(check(false, host, &[origin]), "{origin} at {host}");
        }
        assert!(check(true, "box.example", &["https://box.example"]));
        assert!(check(true, "box.example:443", &["https://box.example"]));
        assert!(check(true, "box.example:8443", &["https://box.example:8443"]));
        for origin in [
            "http://localhost:3000",
            "http://localhost",
            "https://localhost:7878",
            "http://127.0.0.1:7878",
            "http://localhost:7878.evil.org",
            "http://evil.org",
            "http://evil.org:7878",
            "http://localhost:7878/x",
            "localhost:7878",
            "null",
            "",
        ] {
            assert!(!check(false, "localhost:7878", &[origin]), "{origin}");
        }
        assert!(!check(true, "box.example", &["http://box.example"]), "not over TLS");
        assert!(!check(false, "localhost", &[]));
        assert!(!check(false, "localhost", &["http://localhost", "http://localhost"]));
    }

    #[test]
    fn two_hosts_in_one_request_are_refused() {
        let hosts = Hosts::new(&Config::default().server);
        let twice = TestRequest::get()
            .append_header((header::HOST, "localhost"))
            .append_header((header::HOST, "localhost"));
        assert!(hosts.check(&twice.to_srv_request()).is_err());
        let line =
            TestRequest::get().uri("http://evil.org/").insert_header((header::HOST, "localhost"));
        assert!(hosts.check(&line.to_srv_request()).is_err());
    }
}
