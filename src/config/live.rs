//! The configuration in effect while the server runs, and what a reload changes of it. When it is read again, and who
//! has to be told, is not decided here.

use super::{Config, ConfigErrors, read::Entry};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};
use tokio::sync::{mpsc, oneshot, watch};

/// What acts at the start and never again: sockets and their threads, and the database.
const AT_START: [&str; 5] =
    ["server.listen", "server.workers", "admin.listen", "store.path", "store.durability"];
/// Whether there is TLS acts at the start; which certificate it shows does not.
const TLS: [&str; 2] = ["server.tls_cert", "server.tls_key"];
/// Reloads that may wait for the one under way.
const WAITING_RELOADS: usize = 16;

/// The configuration in effect. Cheap to clone; all clones are one. It is looked at when a value is used and not before,
/// so that a reload acts everywhere.
#[derive(Clone, Debug)]
pub struct Live {
    current: Arc<watch::Sender<Arc<Config>>>,
    orders: mpsc::Sender<Order>,
}

/// Where the configuration is read from, at each reload again.
#[derive(Clone)]
pub struct Source(Arc<dyn Fn() -> Result<Config, ConfigErrors> + Send + Sync>);

impl Source {
    pub fn new(read: impl Fn() -> Result<Config, ConfigErrors> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    pub fn read(&self) -> Result<Config, ConfigErrors> {
        (self.0)()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// A reload that was asked for, with the place for what came of it.
pub type Order = oneshot::Sender<Result<Reloaded, Refused>>;
/// Who receives them reads the configuration again, one after the other.
pub type Orders = mpsc::Receiver<Order>;

/// What a reload did. Keys by their full paths; `auth.tokens` for all tokens, `agents.NAME` for a profile that came or went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Acts now.
    pub changed: Vec<String>,
    /// Differs from what acts, and goes on to do so until the server is started again.
    pub needs_restart: Vec<String>,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Each fault of the configuration.
    #[error("{}", .0.join("\n"))]
    Faults(Vec<String>),
    #[error("the server is on its way out")]
    Stopping,
}

impl Live {
    pub fn new(config: Arc<Config>) -> (Self, Orders) {
        let (orders, receiver) = mpsc::channel(WAITING_RELOADS);
        (Self { current: Arc::new(watch::Sender::new(config)), orders }, receiver)
    }

    /// The configuration as it is now.
    pub fn now(&self) -> Arc<Config> {
        self.current.borrow().clone()
    }

    /// One value of it, for what runs too often to take hold of all.
    pub fn value<T>(&self, of: impl FnOnce(&Config) -> T) -> T {
        of(&self.current.borrow())
    }

    /// Changes at each reload.
    pub fn changes(&self) -> watch::Receiver<Arc<Config>> {
        self.current.subscribe()
    }

    /// Has the configuration read again, and waits until it acts.
    pub async fn reload(&self) -> Result<Reloaded, Refused> {
        let (order, outcome) = oneshot::channel();
        self.orders.send(order).await.map_err(|_| Refused::Stopping)?;
        outcome.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Puts `next` into effect, but for what acts at the start only.
    pub fn replace(&self, mut next: Config) -> Reloaded {
        let running = self.now();
        let at_start = next.acts_at_start(&running);
        let (at_start, changed): (Vec<_>, Vec<_>) =
            differences(&running, &next).into_iter().partition(|key| at_start.contains(&&**key));
        next.keep_what_acts_at_start(&running);
        self.current.send_replace(Arc::new(next));
        Reloaded { changed, needs_restart: at_start }
    }
}

impl Config {
    /// The keys that act at the start only, where `running` acts now.
    fn acts_at_start(&self, running: &Config) -> Vec<&'static str> {
        let begins_or_ends = self.server.tls.is_some() != running.server.tls.is_some();
        AT_START.into_iter().chain(TLS.into_iter().filter(|_| begins_or_ends)).collect()
    }

    fn keep_what_acts_at_start(&mut self, running: &Config) {
        let keys = self.acts_at_start(running);
        if keys.contains(&TLS[0]) {
            self.server.tls.clone_from(&running.server.tls);
        }
        self.server.listen.clone_from(&running.server.listen);
        self.server.workers = running.server.workers;
        self.admin.listen.clone_from(&running.admin.listen);
        self.store.path.clone_from(&running.store.path);
        self.store.durability = running.store.durability;
        for key in keys {
            let acts = running.entries.iter().find(|entry| entry.path() == key);
            let place = self.entries.iter().position(|entry| entry.path() == key);
            match (acts, place) {
                (Some(acts), Some(place)) => self.entries[place] = acts.clone(),
                (None, Some(place)) => drop(self.entries.remove(place)),
                (Some(acts), None) => {
                    let section = self.entries.iter().position(|entry| entry.table == acts.table);
                    self.entries.insert(section.unwrap_or(0), acts.clone());
                }
                (None, None) => {}
            }
        }
    }
}

/// The keys whose values are not the same.
fn differences(one: &Config, other: &Config) -> BTreeSet<String> {
    let [before, after] = [one, other].map(by_key);
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differs = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    let named = differs.map(|key| {
        let profile = key.strip_prefix("agents.").and_then(|rest| rest.split_once('.'));
        match profile.map(|(profile, _)| profile) {
            // Of a profile that came or went, each key would be one line too many.
            Some(profile)
                if one.agents.contains_key(profile) != other.agents.contains_key(profile) =>
            {
                format!("agents.{profile}")
            }
            _ => key.clone(),
        }
    });
    named.collect()
}

/// The values by their keys, those of all tokens under one: where they came from makes no difference.
fn by_key(config: &Config) -> BTreeMap<String, Vec<impl PartialEq + use<'_>>> {
    let mut by_key: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in &config.entries {
        let Entry { table, key, value, hidden, .. } = entry;
        let path = match table.split_once('[') {
            Some((list, _)) => list.to_owned(),
            None => entry.path(),
        };
        by_key.entry(path).or_default().push((table, key, value, hidden));
    }
    by_key
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(text: &str) -> Config {
        Config::from_texts(Some((Path::new("seawall.toml"), text)), []).unwrap()
    }

    #[track_caller]
    fn check(before: &str, after: &str, changed: &[&str], needs_restart: &[&str]) -> Live {
        let (live, _orders) = Live::new(Arc::new(config(before)));
        let reloaded = live.replace(config(after));
        assert_eq!(reloaded.changed, changed);
        assert_eq!(reloaded.needs_restart, needs_restart);
        live
    }

    #[test]
    fn what_differs_is_named_by_its_key_wherever_it_is_written() {
        let ann = "[[auth.tokens]]\nname = \"ann\"\nrole = \"admin\"\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n";
        let cat = "[agents.cat]\nprotocol = \"lines\"\ncommand = \"cat\"\n";
        check("", "# nothing\n\n[streams]\nheartbeat = \"20s\"\n", &[], &[]);
        check("", "[streams]\nheartbeat = \"9s\"\n", &["streams.heartbeat"], &[]);
        check("", ann, &["auth.tokens"], &[]);
        check(ann, "", &["auth.tokens"], &[]);
        check(ann, &ann.replace("9f86", "9f87"), &["auth.tokens"], &[]);
        check("", cat, &["agents.cat"], &[]);
        check(cat, "", &["agents.cat"], &[]);
        check(cat, &format!("{cat}env = {{ A = \"1\" }}\n"), &["agents.cat.env"], &[]);
        check("", "store.retention_age = \"1h\"\n", &["store.retention_age"], &[]);
        check("", "agents.\"*\".restart = \"never\"\n", &["agents.demo.restart"], &[]);
    }

    #[test]
    fn what_acts_at_the_start_goes_on_as_it_was_until_then() {
        let live = check(
            "server.listen = \"127.0.0.1:1\"\n",
            "server.listen = \"127.0.0.1:2\"\nstore.path = \"/p/q.db\"\nstreams.sync_batch = 7\n",
            &["streams.sync_batch"],
            &["server.listen", "store.path"],
        );
        let acts = live.now();
        assert_eq!((&*acts.server.listen, &acts.store.path), ("127.0.0.1:1", &None));
        assert_eq!(acts.streams.sync_batch, 7);
        let listen = acts.settings().find(|setting| setting.key == "server.listen").unwrap();
        assert_eq!(listen.value.as_str(), Some("127.0.0.1:1"));
        assert!(acts.settings().all(|setting| setting.key != "store.path"));
        // And it is told again, until it acts.
        let again = live.replace(config("server.listen = \"127.0.0.1:2\"\n"));
        assert_eq!(again.needs_restart, ["server.listen"]);
    }
}
