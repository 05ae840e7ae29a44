//! The composition root: makes one server of all rooms, in the contract's order of start, and takes it down again.
//! Two servers may run in one process; a test gives each its clock and its port.

mod heart;
mod listeners;
mod lock;
mod restore;
pub mod systemd;
mod tls;

pub use tls::{Certificate, CertificateError};

pub use crate::store::sqlite::Restored;
pub use listeners::Inherited;
pub use restore::{RefusedRestore, restore};

use crate::{
    clock::Clock,
    config::{Config, Token},
    http::{self, App, auth},
    process::{child::Launcher, sweep::sweep},
    registry::{
        Registry,
        recovery::{self, Recovered},
        retention,
    },
    session::surroundings::Surroundings,
    store::{
        EventLog, StoreError,
        sqlite::{OpenError, SqliteLog, SqliteOptions},
    },
    supervise::pulse::Pulse,
    supervisor::{Arbiters, Supervisor, TakeDown},
};
use actix::{Addr, Arbiter};
use actix_web::{App as WebApp, HttpServer, dev::ServerHandle, web::Data};
use heart::{Asked, Heart};
use listeners::AdminListener;
use lock::DataLock;
use rustix::process::{Resource, getrlimit};
use socket2::{SockRef, TcpKeepalive};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

/// How long a request's head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshakes that may be under way on one thread. Beyond, new connections wait in the backlog: it has to be more
/// than a few peers that never finish theirs can hold.
const HANDSHAKES_MAX: usize = 4096;
/// How long connections have at the end, when all sessions have ended, to take what was written to them. A reader that
/// takes nothing must not keep the log from being closed.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Descriptors that are shared out at most, where the system has more.
const CONNECTIONS_MAX: usize = 1 << 17;
/// Threads that read the store.
const STORE_READERS: usize = 2;
/// Calls that may wait for the store.
const STORE_QUEUE: usize = 16 * 1024;
/// How much the kernel takes for a connection beyond what is on its way to the peer.
const UNSENT_BYTES: u32 = 32 * 1024;

/// What a server is made of.
#[derive(Debug)]
pub struct ServerOptions {
    pub config: Arc<Config>,
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
    public: SocketAddr,
    admin: String,
    certificate: Option<Certificate>,
    registry: Registry,
    log: Arc<dyn EventLog>,
    http: Vec<ServerHandle>,
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
        "{address} ({key}) is not loopback and there is no TLS: tokens would cross the network in the clear; change the socket unit, or put a TLS proxy in front and set server.behind_proxy"
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
        let ServerOptions { config, data, launcher, clock, session_threads, inherited } = options;
        let lock = DataLock::take(&data)?;
        let certificate = config.server.tls.as_ref().map(Certificate::load).transpose()?;
        let (public, admin) = listeners::open(inherited, &config)?;
        let log = open_store(&config, &data)?;
        let first_token = first_token(&config, &data)?;
        let cookie_key = auth::CookieKey::of(&data)?;
        sweep_leftovers(&*log).await;
        let recovered = recovery::recover(&*log, &config, &clock).await?;
        report(&recovered);

        let around = Surroundings::new(log.clone(), clock.clone(), config, launcher);
        let threads: Vec<_> = (0..session_threads).map(|_| Arbiter::new()).collect();
        let arbiters = Arbiters::new(threads.iter().map(Arbiter::handle).collect());
        let registry = Registry::new();
        let (fatal_sender, fatal) = mpsc::channel(1);
        let supervisor =
            Supervisor::start(around.clone(), registry.clone(), arbiters, fatal_sender.clone());
        tell_when_gone(&*log, fatal_sender);

        let retention = retention::keep(log.clone(), around.config.clone(), around.clock.clone());
        let pulse = Arc::new(Pulse::default());
        let asked = Asked {
            supervisor: supervisor.clone(),
            registry: registry.clone(),
            log: log.clone(),
            clock: around.clock.clone(),
            pulse: pulse.clone(),
        };
        let heart = Heart::start(asked).map_err(StartError::Serve)?;
        let app = Data::new(App::new(
            log.clone(),
            registry.clone(),
            around.config.clone(),
            clock,
            pulse,
            around.metrics.clone(),
            first_token,
            cookie_key,
        ));
        let public_address = public.local_addr().map_err(StartError::Serve)?;
        let admin_listen = admin.to_string();
        let http = vec![
            serve_public(app.clone(), public, certificate.as_ref()).map_err(StartError::Serve)?,
            serve_admin(app, admin).map_err(StartError::Serve)?,
        ];
        actix::spawn(retention);
        registry.wake(recovered.resume).await;
        Ok(Self {
            public: public_address,
            admin: admin_listen,
            certificate,
            registry,
            log,
            http,
            supervisor,
            heart,
            threads,
            fatal,
            _lock: lock,
        })
    }

    /// Where clients connect.
    pub fn public_address(&self) -> SocketAddr {
        self.public
    }

    /// The certificate of the public listener, to be read again when it was renewed; None: it has no TLS.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Where clients connect, as a URL.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.public)
    }

    /// Where the admin calls are, unless that is a unix socket.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.parse().ok()
    }

    /// Where the admin calls are, written as in the configuration.
    pub fn admin_listen(&self) -> &str {
        &self.admin
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
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
        self.registry.set_draining(true);
        self.registry.shut_down(grace).await;
        let stopped = futures_util::future::join_all(self.http.iter().map(|http| http.stop(true)));
        if tokio::time::timeout(LAST_WORDS, stopped).await.is_err() {
            log::info!("connections that take nothing are cut");
        }
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
    };
    Ok(Arc::new(SqliteLog::open(&options)?))
}

fn first_token(config: &Config, data: &Path) -> Result<Option<Token>, StartError> {
    if !config.auth.tokens.is_empty() {
        return Ok(None);
    }
    let token = auth::bootstrap(data)?;
    log::info!(
        "no token is configured; the one in {} is valid until one is",
        data.join("token").display()
    );
    Ok(Some(token))
}

/// Ends what an earlier server of this store left running, before anything of it is started again.
async fn sweep_leftovers(log: &dyn EventLog) {
    let store = log.store_id();
    let swept = tokio::task::spawn_blocking(move || sweep(store)).await;
    for process in swept.unwrap_or_default() {
        log::warn!(pid = process.pid, name = process.name; "a process of an earlier run was still there and was killed");
    }
}

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

// HTTP

fn serve_public(
    app: Data<App>,
    listener: TcpListener,
    certificate: Option<&Certificate>,
) -> io::Result<ServerHandle> {
    let workers = match app.config.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    set_up_connections(&listener, app.config.streams.stall_timeout);
    let grace = app.config.server.shutdown_grace;
    let server =
        HttpServer::new(move || WebApp::new().app_data(app.clone()).configure(http::configure))
            .workers(workers)
            .disable_signals()
            .client_request_timeout(HEAD_TIMEOUT)
            // A reader that closes is gone at once, and not when the next ping but one cannot be written.
            .h1_allow_half_closed(false)
            .shutdown_timeout(grace.as_secs().max(1))
            .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
            .max_connection_rate(HANDSHAKES_MAX)
            .max_connections(connections_max() / workers);
    let server = match certificate.map(Certificate::server_config).transpose() {
        Ok(None) => server.listen(listener)?,
        Ok(Some(tls)) => server.listen_rustls_0_23(listener, tls)?,
        Err(error) => return Err(io::Error::other(error)),
    };
    let server = server.run();
    let handle = server.handle();
    actix::spawn(server);
    Ok(handle)
}

fn serve_admin(app: Data<App>, listener: AdminListener) -> io::Result<ServerHandle> {
    let server = HttpServer::new(move || {
        WebApp::new().app_data(app.clone()).configure(http::admin::configure)
    })
    .workers(1)
    .disable_signals()
    .client_request_timeout(HEAD_TIMEOUT)
    .shutdown_timeout(1);
    let server = match listener {
        AdminListener::Tcp(listener) => server.listen(listener)?,
        AdminListener::Unix(listener) => server.listen_uds(listener)?,
    };
    let server = server.run();
    let handle = server.handle();
    actix::spawn(server);
    Ok(handle)
}

/// Connections that may be open. They leave descriptors for agents, each of which takes several, and for the store:
/// whoever only opens connections must not keep sessions from starting. Those that come then wait in the backlog.
fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    limit.unwrap_or(CONNECTIONS_MAX).min(CONNECTIONS_MAX) / 4 * 3
}

/// Frames are small and wanted at once; a peer that takes nothing for the stall limit is cut by the kernel, also while
/// nobody polls the connection for it has a full buffer; and of what a slow peer does not take yet the kernel holds little,
/// so that the stream sees it go on, and memory does not grow with such peers. A peer that vanished while nothing was to
/// be written is found by asking. Connections inherit all this from the listener, those with TLS as well.
fn set_up_connections(listener: &TcpListener, stall: Duration) {
    let millis = u32::try_from(stall.as_millis()).unwrap_or(u32::MAX);
    // Without these options connections work too, only less well.
    let _ = rustix::net::sockopt::set_tcp_nodelay(listener, true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(listener, millis);
    let socket = SockRef::from(listener);
    let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(stall).with_interval(stall));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::{tcp_nodelay, tcp_user_timeout};
    use std::net::TcpStream;

    #[test]
    fn a_connection_has_the_options_that_its_listener_was_given() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_up_connections(&listener, Duration::from_secs(7));
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (connection, _) = listener.accept().unwrap();
        assert!(tcp_nodelay(&connection).unwrap());
        assert_eq!(tcp_user_timeout(&connection).unwrap(), 7000);
        let socket = SockRef::from(&connection);
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(7));
    }
}
