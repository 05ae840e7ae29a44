//! What must not stand together in one configuration. Values that are wrong by themselves are refused before.

use super::{
    Config, Role,
    fault::{Fault, Origin},
    read::Entry,
};
use std::{collections::BTreeMap, collections::BTreeSet, net::SocketAddr};

/// Checks a configuration that was read as `entries`, and adds what contradicts to `faults`.
pub(super) fn check(config: &Config, entries: &[Entry], faults: &mut Vec<Fault>) {
    let origins =
        entries.iter().map(|entry| (format!("{}.{}", entry.table, entry.key), &entry.origin));
    let faulty = faults.iter().map(|fault| fault.key.clone()).collect();
    let mut rules = Rules { origins: origins.collect(), faulty, faults };
    rules.listeners(config);
    rules.tokens(config);
    rules.times(config);
    rules.agents(config);
    rules.variables(config, entries);
}

struct Rules<'a> {
    origins: BTreeMap<String, &'a Origin>,
    faulty: BTreeSet<String>,
    faults: &'a mut Vec<Fault>,
}

impl Rules<'_> {
    /// Notes a contradiction at the first of `keys`, unless one of them is wrong by itself: then nobody knows yet
    /// what it will say.
    fn refuse(&mut self, keys: &[&str], message: String) {
        if keys.iter().any(|key| self.faulty.contains(*key)) {
            return;
        }
        // The key to name is the one that somebody wrote, not the default that it contradicts.
        let origin =
            |key: &str| self.origins.get(key).map_or(Origin::Default, |origin| (*origin).clone());
        let written = keys.iter().find(|key| origin(key) != Origin::Default).unwrap_or(&keys[0]);
        self.faults.push(Fault::new(&origin(written), *written, message));
    }

    fn listeners(&mut self, config: &Config) {
        let server = &config.server;
        for (key, listen) in
            [("server.listen", &server.listen), ("admin.listen", &config.admin.listen)]
        {
            if let Some(path) = listen.strip_prefix("unix:").filter(|_| key == "admin.listen") {
                if !path.starts_with('/') {
                    self.refuse(
                        &[key],
                        format!("expected an absolute path after `unix:`, got {path:?}"),
                    );
                }
                continue;
            }
            match is_loopback(listen) {
                None => self.refuse(
                    &[key],
                    format!("expected an address with a port like \"127.0.0.1:7878\", got {listen:?}"),
                ),
                Some(false) if !config.may_cross_networks(key) && key == "server.listen" => self.refuse(
                    &[key, "server.behind_proxy", "server.tls_cert", "server.tls_key"],
                    format!("{listen} is not loopback and there is no TLS: tokens would cross the network in the \
                             clear; set server.tls_cert and server.tls_key, or listen on 127.0.0.1, or put a TLS \
                             proxy in front and set server.behind_proxy"),
                ),
                Some(false) if !config.may_cross_networks(key) => self.refuse(
                    &[key, "server.behind_proxy"],
                    format!("{listen} is not loopback, and this listener has no TLS of its own: listen on 127.0.0.1 \
                             or a unix socket, or put a TLS proxy in front and set server.behind_proxy"),
                ),
                Some(_) => {}
            }
        }
        let is_any_port = server.listen.ends_with(":0");
        if server.listen == config.admin.listen && !is_any_port {
            let message =
                format!("server.listen and admin.listen are both {}; choose two", server.listen);
            self.refuse(&["admin.listen", "server.listen"], message);
        }
        for host in &server.hosts {
            let has_port = host
                .rsplit_once(':')
                .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
                && !host.ends_with(']');
            if host.is_empty() || host.contains(['/', ' ']) || has_port {
                let message =
                    format!("expected bare names like \"seawall.example.org\", got {host:?}");
                self.refuse(&["server.hosts"], message);
            }
        }
    }

    fn tokens(&mut self, config: &Config) {
        let tokens = &config.auth.tokens;
        for (index, token) in tokens.iter().enumerate() {
            let key = |name: &str| format!("auth.tokens[{index}].{name}");
            if token.name.is_empty()
                || token.name.len() > 64
                || token.name.contains(char::is_control)
            {
                self.refuse(&[&key("name")], "expected a name of 1 to 64 bytes".into());
            }
            if let Some(first) = tokens[..index].iter().position(|other| other.name == token.name) {
                let message =
                    format!("{:?} is already the name of auth.tokens[{first}]", token.name);
                self.refuse(&[&key("name")], message);
            }
            if let Some(first) =
                tokens[..index].iter().position(|other| other.sha256 == token.sha256)
            {
                let keys = [key("sha256"), format!("auth.tokens[{first}].sha256")];
                self.refuse(
                    &[&keys[0], &keys[1]],
                    format!("is the token of auth.tokens[{first}] again"),
                );
            }
            let Some(agents) = &token.agents else {
                continue;
            };
            if token.role == Role::Admin {
                self.refuse(
                    &[&key("agents"), &key("role")],
                    "an admin sees all profiles; remove this key".into(),
                );
            }
            if agents.is_empty() {
                self.refuse(
                    &[&key("agents")],
                    "names no profile; remove the key to allow all".into(),
                );
            }
            for agent in agents.iter().filter(|agent| !config.agents.contains_key(*agent)) {
                self.refuse(&[&key("agents")], format!("there is no profile [agents.{agent}]"));
            }
        }
    }

    fn times(&mut self, config: &Config) {
        let supervision = &config.supervision;
        if supervision.backoff_min > supervision.backoff_max {
            let [min, max] =
                [supervision.backoff_min, supervision.backoff_max].map(humantime::format_duration);
            let keys = ["supervision.backoff_min", "supervision.backoff_max"];
            self.refuse(&keys, format!("backoff_min ({min}) is longer than backoff_max ({max})"));
        }
    }

    fn agents(&mut self, config: &Config) {
        for (name, agent) in &config.agents {
            let key = |key: &str| format!("agents.{name}.{key}");
            if agent.command.trim().is_empty() {
                self.refuse(
                    &[&key("command"), &format!("agents.{name}")],
                    "names no program".into(),
                );
            }
            if agent.user.as_ref().is_some_and(String::is_empty) {
                self.refuse(
                    &[&key("user")],
                    "names no account; remove the key for the server's own".into(),
                );
            }
            if let Some(argument) = agent.protocol.reserved_argument(&agent.args) {
                let message = format!("{argument} is for the server to say; remove it");
                self.refuse(&[&key("args")], message);
            }
            let longest = config.sessions.permission_timeout;
            if let Some(time) = agent.permission_timeout.filter(|time| *time > longest) {
                let [time, longest] = [time, longest].map(humantime::format_duration);
                let message =
                    format!("{time} is longer than sessions.permission_timeout ({longest})");
                self.refuse(&[&key("permission_timeout"), "sessions.permission_timeout"], message);
            }
        }
    }

    /// What a profile calls the variables of its agents.
    fn variables(&mut self, config: &Config, entries: &[Entry]) {
        let of_tables = entries.iter().filter(|entry| ["env", "env_file"].contains(&entry.key));
        let mut named: Vec<_> = of_tables
            .filter_map(|entry| Some((entry.path(), entry.value.as_table()?)))
            .flat_map(|(key, table)| table.keys().map(move |name| (key.clone(), name)))
            .collect();
        for (agent, profile) in &config.agents {
            let key = format!("agents.{agent}.env_allow");
            named.extend(profile.env_allow.iter().map(|name| (key.clone(), name)));
        }
        for (key, variable) in named {
            if !is_variable_name(variable) {
                self.refuse(&[&key], format!("{variable:?} is no name of a variable"));
            } else if variable.starts_with("SEAWALL") {
                let message =
                    format!("{variable} is reserved: agents do not get SEAWALL variables");
                self.refuse(&[&key], message);
            }
        }
    }
}

/// Whether this machine alone can connect; None where it is no address with a port.
fn is_loopback(listen: &str) -> Option<bool> {
    if let Ok(address) = listen.parse::<SocketAddr>() {
        return Some(address.ip().is_loopback());
    }
    let (host, port) = listen.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let is_name = !host.is_empty()
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    is_name.then(|| host.eq_ignore_ascii_case("localhost"))
}

/// Whether the environment can hold a variable of this name.
fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 256 && !name.contains(['=', '\0'])
}
