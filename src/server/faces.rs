//! Where the server is reached: the public listener and the admin one, with what the kernel is told of their connections.
//! What is answered is not known here.

use super::{Certificate, CertificateError, listeners::AdminListener, plain};
use crate::{
    config::{Config, Tls},
    http::{self, App},
};
use actix_web::{App as WebApp, HttpServer, dev::ServerHandle, web::Data};
use futures_util::future::join_all;
use rustix::process::{Resource, getrlimit};
use socket2::{SockRef, TcpKeepalive};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// How long a request's head may take to arrive.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
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
/// How much the kernel takes for a connection beyond what is on its way to the peer.
const UNSENT_BYTES: u32 = 32 * 1024;

pub(super) struct Faces {
    pub(super) public: SocketAddr,
    /// As in the configuration.
    pub(super) admin: String,
    shown: Shown,
    app: Data<App>,
    http: Vec<ServerHandle>,
}

/// What of the listeners can change while they listen.
#[derive(Clone)]
pub(super) struct Shown {
    listener: Arc<TcpListener>,
    /// None: no TLS.
    certificate: Option<Certificate>,
}

impl Shown {
    /// Reads the certificate again, also where its files have the names that they had. A pair that cannot be used changes
    /// nothing.
    pub(super) fn renew(&self, files: Option<&Tls>) -> Result<(), CertificateError> {
        match (&self.certificate, files) {
            (Some(certificate), Some(files)) => certificate.reload(files),
            // To begin with TLS, or to end it, takes a restart.
            _ => Ok(()),
        }
    }

    /// For connections from now on.
    pub(super) fn set_up(&self, config: &Config) {
        set_up_connections(&self.listener, config.streams.stall_timeout);
    }
}

impl Faces {
    /// From here on requests are answered.
    pub(super) fn open(
        app: &Data<App>,
        public: TcpListener,
        admin: AdminListener,
        certificate: Option<Certificate>,
    ) -> io::Result<Self> {
        let shown = Shown { listener: Arc::new(public.try_clone()?), certificate };
        shown.set_up(&app.config.now());
        let (address, admin_listen) = (public.local_addr()?, admin.to_string());
        let http = vec![
            serve_public(app.clone(), public, shown.certificate.as_ref())?,
            serve_admin(app.clone(), admin)?,
        ];
        Ok(Self { public: address, admin: admin_listen, shown, app: app.clone(), http })
    }

    pub(super) fn shown(&self) -> Shown {
        self.shown.clone()
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.shown.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.public)
    }

    /// Lets connections take what was written to them, but not for long.
    pub(super) async fn close(&self) {
        let deadline = Instant::now() + LAST_WORDS;
        // The threads end with the last connection that they know of, and the streams with them.
        let are_cut = timeout_at(deadline, self.app.streams_ended()).await.is_err();
        let stopped = join_all(self.http.iter().map(|http| http.stop(true)));
        if timeout_at(deadline, stopped).await.is_err() || are_cut {
            log::info!("connections that take nothing are cut");
        }
    }
}

fn serve_public(
    app: Data<App>,
    listener: TcpListener,
    certificate: Option<&Certificate>,
) -> io::Result<ServerHandle> {
    let workers = match app.config.now().server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    };
    let server = match certificate.map(Certificate::server_config).transpose() {
        // What is left to the streams' own sockets is not the library's.
        Ok(None) => {
            let connections = connections_max() - sockets_max();
            plain::serve(app, listener, workers, connections / workers)?
        }
        Ok(Some(tls)) => {
            HttpServer::new(move || WebApp::new().app_data(app.clone()).configure(http::configure))
                .workers(workers)
                .disable_signals()
                .client_request_timeout(HEAD_TIMEOUT)
                // A reader that closes is gone at once, and not when the next ping but one cannot be written.
                .h1_allow_half_closed(false)
                .shutdown_timeout(1)
                .tls_handshake_timeout(HANDSHAKE_TIMEOUT)
                .max_connection_rate(HANDSHAKES_MAX)
                .max_connections(connections_max() / workers)
                .listen_rustls_0_23(listener, tls)?
                .run()
        }
        Err(error) => return Err(io::Error::other(error)),
    };
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

/// Of them, how many may be streams that have their socket to themselves.
pub(super) fn sockets_max() -> usize {
    connections_max() / 2
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
