//! The Host check: a page of another site whose name was bent to our address (DNS rebinding) is turned away. It says
//! nothing of who asks.

use super::error::Failure;
use crate::{config::Server, wire::problem::ErrorCode};
use actix_web::{dev::ServiceRequest, http::header};

/// The names that this server answers to, in lower case, without port.
#[derive(Clone, Debug)]
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    pub(super) fn new(server: &Server) -> Self {
        let own = [server.listen.as_str(), "localhost", "127.0.0.1", "[::1]"];
        let names: Vec<&str> = match server.hosts.is_empty() {
            true => own.to_vec(),
            false => server.hosts.iter().map(String::as_str).collect(),
        };
        Self(names.into_iter().map(name_of).collect())
    }

    pub(super) fn check(&self, request: &ServiceRequest) -> Result<(), Failure> {
        let mut headers = request.headers().get_all(header::HOST);
        let (first, second) = (headers.next(), headers.next());
        let header = first.and_then(|host| host.to_str().ok()).filter(|_| second.is_none());
        // A request line with a whole URL names the host a second time.
        let in_line = request.uri().authority().map(|authority| authority.as_str());
        let knows = |host: &str| self.0.contains(&name_of(host));
        if header.is_some_and(knows) && in_line.is_none_or(knows) {
            return Ok(());
        }
        let detail = "the Host header must be a name of this server; a name that is missing goes into server.hosts";
        Err(Failure::new(ErrorCode::ForeignHost, detail))
    }
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
