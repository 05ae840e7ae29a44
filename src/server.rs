//! The composition root: makes one server of all rooms, in the contract's order of start, and takes it down again.
//! Two servers may run in one process; a test gives each its clock and its port.

mod faces;
mod heart;
mod listeners;
mod lock;
mod plain;
mod reload;
mod restore;
mod systemd;
mod tls;

pub use crate::store::sqlite::Restored;
pub use listeners::Inherited;
pub use restore::{RefusedRestore, restore};
pub use tls::{Certificate, CertificateError};

use crate::{
    clock::Clock,
    config::{Config, Live, Refused, Reloaded, Source, Token},
    domain::SessionId,
    http::{App, Parts, admin, auth},
    logging::Logger,
    process::{child::Launcher, sweep::sweep},
    registry::{
        Registry,
        recovery::{self, Recovered},
        retention,
    },
    session::surroundings::Surroundings,
    store::{
        EventLog, StoreError,
        sqlite::{OpenError, RECENT_BYTES, SqliteLog, SqliteOptions},
    },
    supervise::pulse::Pulse,
    supervisor::{Arbiters, Supervisor, TakeDown},
};
use actix::{Addr, Arbiter};
use actix_web::web::Data;
use faces::Faces;
use heart::{Asked, Heart};
use lock::DataLock;
use reload::Reloading;
use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use systemd::Status;
use tokio::sync::mpsc;

/// Threads that read the store.
const STORE_READERS: usize = 2;
/// Calls that may wait for the store.
const STORE_QUEUE: usize = 16 * 1024;
/// What a server is made of.
#[derive(Debug)]
pub struct ServerOptions {
    pub config: Arc<Config>,
    /// Where `config` came from, for reloads.
    pub source: Source,
    /// Of the process, where this server may change what it writes.
    pub logger: Option<Logger>,
    /// Where database, lock and first token are; made if it is not there.
    pub data: PathBuf,
    pub launcher: Launcher,
    pub clock: Clock,
    /// Threads for sessions; 0: the caller's, so that one thread owns the order of things.
    pub session_threads: usize,
    /// Sockets that somebody else bound for this server.
    pub inherited: Inherited,
}

/// A server that runs. Dropped without [`Server::stop`], it is gone as by a crash.
pub struct Server {
    faces: Faces,
    config: Live,
    registry: Registry,
    log: Arc<dyn EventLog>,
    status: Arc<Status>,
    supervisor: Addr<Supervisor>,
    heart: Heart,
    threads: Vec<Arbiter>,
    fatal: mpsc::Receiver<String>,
    _lock: DataLock,
}

/// Why a server does not start. Each says what, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the data folder {}: {error}; make it writable for the server, or set store.path to another place", path.display())]
    DataFolder { path: PathBuf, error: io::Error },
    #[error("the data folder {} is in use by the server with process id {pid}; stop that one, or set store.path to another place", path.display())]
    InUse { path: PathBuf, pid: String },
    #[error(
        "cannot listen on {address} ({key}): {error}; choose another address or stop what listens there"
    )]
    Listen { key: &'static str, address: String, error: io::Error },
    #[error(
        "the sockets that were handed over cannot be used: {0}; give the address of the API first, then that of the admin calls, or none"
    )]
    Inherited(String),
    #[error(
        "{address} ({key}) is not loopback and there is no TLS: tokens would cross the network in the clear; change the socket unit, set server.tls_cert and server.tls_key (for the API's socket), or put a TLS proxy in front and set server.behind_proxy"
    )]
    Unsafe { key: &'static str, address: SocketAddr },
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the store cannot be read: {0}")]
    Recovery(#[from] StoreError),
    #[error(transparent)]
    Secret(#[from] auth::SecretError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("cannot serve: {0}")]
    Serve(io::Error),
}

impl Server {
    /// Starts a server within the caller's actix system. When this returns it accepts requests.
    pub async fn start(options: ServerOptions) -> Result<Self, StartError> {
        let ServerOptions { config, source, logger, data, launcher, clock, .. } = options;
        let status = Arc::new(Status::new());
        let lock = DataLock::take(&data)?;
        let certificate = config.server.tls.as_ref().map(Certificate::load).transpose()?;
        let (public, admin) = listeners::open(options.inherited, &config)?;
        status.starting("opening the store");
        let log = open_store(&config, &data)?;
        let first_token = first_token(&config, &data)?;
        if first_token.is_some() {
            tell_of_the_first_token(&data);
        }
        let cookie_key = auth::CookieKey::of(&data)?;
        let to_resume = take_over(&*log, &config, &clock, &status).await?;

        let (config, reloads) = Live::new(config);
        let around = Surroundings::new(log.clone(), clock.clone(), config.clone(), launcher);
        let metrics = around.metrics.clone();
        let registry = Registry::new();
        let (fatal_sender, fatal) = mpsc::channel(1);
        let (supervisor, threads) =
            start_tree(around, registry.clone(), options.session_threads, fatal_sender.clone());
        tell_when_gone(&*log, fatal_sender);

        let pulse = Arc::new(Pulse::default());
        let asked = Asked {
            supervisor: supervisor.clone(),
            registry: registry.clone(),
            log: log.clone(),
            clock: clock.clone(),
            pulse: pulse.clone(),
            status: status.clone(),
        };
        let heart = Heart::start(asked).map_err(StartError::Serve)?;
        let app = Data::new(App::new(Parts {
            log: log.clone(),
            registry: registry.clone(),
            config: config.clone(),
            clock: clock.clone(),
            pulse,
            metrics,
            first_token,
            cookie_key,
            sockets: faces::sockets_max(),
            logger,
        }));
        let faces = Faces::open(&app, public, admin, certificate).map_err(StartError::Serve)?;
        actix::spawn(retention::keep(log.clone(), config.clone(), clock));
        actix::spawn(admin::history::keep(app.clone()));
        let (status_of_reloads, shown) = (status.clone(), faces.shown());
        let reloading = Reloading { source, app, status: status_of_reloads, data, faces: shown };
        actix::spawn(reloading.serve(reloads));
        registry.wake(to_resume).await;
        status.serving(faces.url());
        Ok(Self {
            faces,
            config,
            registry,
            log,
            status,
            supervisor,
            heart,
            threads,
            fatal,
            _lock: lock,
        })
    }

    /// Where clients connect.
    pub fn public_address(&self) -> SocketAddr {
        self.faces.public
    }

    /// Where clients connect, as a URL.
    pub fn url(&self) -> String {
        self.faces.url()
    }

    /// Where the admin calls are, unless that is a unix socket.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.faces.admin.parse().ok()
    }

    /// Where the admin calls are, written as in the configuration.
    pub fn admin_listen(&self) -> &str {
        &self.faces.admin
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// The configuration in effect.
    pub fn config(&self) -> Arc<Config> {
        self.config.now()
    }

    /// Reads the configuration again, and says what that changed.
    pub async fn reload(&self) -> Result<Reloaded, Refused> {
        self.config.reload().await
    }

    /// Waits for a failure that the server cannot live with, and says which.
    pub async fn failed(&mut self) -> String {
        match self.fatal.recv().await {
            Some(cause) => cause,
            None => std::future::pending().await,
        }
    }

    /// Takes no new work, says goodbye to streams, gives running turns and children `grace`, and ends.
    pub async fn stop(self, grace: Duration) {
        self.status.stopping();
        self.registry.set_draining(true);
        self.status.refresh(&self.registry).await;
        self.registry.shut_down(grace).await;
        self.faces.close().await;
        // From here on silence is no alarm.
        drop(self.heart);
        self.supervisor.do_send(TakeDown);
        if let Err(error) = self.log.close().await {
            log::error!(error:%; "the log does not close");
        }
        for thread in self.threads {
            thread.stop();
        }
    }
}

fn database_path(config: &Config, data: &Path) -> PathBuf {
    config.store.path.clone().unwrap_or_else(|| data.join("seawall.db"))
}

fn open_store(config: &Config, data: &Path) -> Result<Arc<dyn EventLog>, StartError> {
    let options = SqliteOptions {
        path: database_path(config, data),
        durability: config.store.durability,
        readers: STORE_READERS,
        queue: STORE_QUEUE,
        recent_bytes: RECENT_BYTES,
    };
    Ok(Arc::new(SqliteLog::open(&options)?))
}

fn first_token(config: &Config, data: &Path) -> Result<Option<Token>, StartError> {
    if !config.auth.tokens.is_empty() {
        return Ok(None);
    }
    Ok(Some(auth::bootstrap(data)?))
}

fn tell_of_the_first_token(data: &Path) {
    let file = data.join("token");
    log::info!(file:% = file.display(); "no token is configured; the first one is valid until one is");
}

/// Ends what an earlier server of this store left, in its processes and in the log. Gives the sessions that go on.
async fn take_over(
    log: &dyn EventLog,
    config: &Config,
    clock: &Clock,
    status: &Status,
) -> Result<Vec<SessionId>, StartError> {
    status.starting("ending what an earlier run left");
    sweep_leftovers(log).await;
    let unfinished = log.unfinished().await?;
    status.starting(&format!("recovering {} sessions", unfinished.sessions.len()));
    let recovered = recovery::recover(log, unfinished, config, clock).await;
    report(&recovered);
    Ok(recovered.resume)
}

/// The actors, sessions on so many threads of their own.
fn start_tree(
    around: Arc<Surroundings>,
    registry: Registry,
    session_threads: usize,
    fatal: mpsc::Sender<String>,
) -> (Addr<Supervisor>, Vec<Arbiter>) {
    let threads: Vec<_> = (0..session_threads).map(|_| Arbiter::new()).collect();
    let arbiters = Arbiters::new(threads.iter().map(Arbiter::handle).collect());
    (Supervisor::start(around, registry, arbiters, fatal), threads)
}

/// Ends what an earlier server of this store left running, before anything of it is started again.
async fn sweep_leftovers(log: &dyn EventLog) {
    let store = log.store_id();
    let swept = tokio::task::spawn_blocking(move || sweep(store)).await;
    for process in swept.unwrap_or_default() {
        log::warn!(pid = process.pid, name = process.name; "a process of an earlier run was still there and was killed");
    }
}

/// Without its writer the server cannot live.
fn tell_when_gone(log: &dyn EventLog, fatal: mpsc::Sender<String>) {
    let gone = log.closed();
    tokio::spawn(async move {
        gone.await;
        // Full means that another cause was told before.
        let _ = fatal.try_send("the log's writer ended".into());
    });
}

fn report(recovered: &Recovered) {
    if recovered.closed > 0 {
        log::info!(closed = recovered.closed, resumed = recovered.resume.len(); "sessions of an earlier run were closed in the log");
    }
    for (session, error) in &recovered.failed {
        log::error!(session:%, error:%; "a session of an earlier run cannot be closed in the log; the others go on");
    }
}
