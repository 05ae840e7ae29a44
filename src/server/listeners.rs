//! The two sockets that the server listens on: bound by itself, or handed over by whoever started it (socket activation).

use super::StartError;
use crate::config::Config;
use listenfd::ListenFd;
use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
};

/// Connections that may wait to be accepted: with a short queue, a storm of reconnects meets SYN retransmits of 1 s
/// (measured: 1,000 connects at once take 0.1 s with 4096 places and 1.1 s with 128).
const BACKLOG: i32 = 4096;
/// The admin socket is for its owner and the owner's group.
const ADMIN_SOCKET_MODE: u32 = 0o660;

#[derive(Debug)]
pub(super) enum AdminListener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// As in the configuration.
impl fmt::Display for AdminListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(socket) => write!(f, "{}", socket.local_addr().map_err(|_| fmt::Error)?),
            Self::Unix(socket) => {
                let address = socket.local_addr().map_err(|_| fmt::Error)?;
                let path = address.as_pathname().unwrap_or(Path::new("(unnamed)"));
                write!(f, "unix:{}", path.display())
            }
        }
    }
}

/// Sockets that listen already when the server starts. What is missing the server binds itself.
#[derive(Debug, Default)]
pub struct Inherited {
    public: Option<TcpListener>,
    admin: Option<AdminListener>,
}

impl Inherited {
    /// What systemd handed over (`sd_listen_fds(3)`): first the public socket, then the admin one. The variables that
    /// say so are taken out of the environment.
    ///
    /// # Errors
    /// A socket that the server cannot use, or one too many.
    pub fn from_environment() -> Result<Self, StartError> {
        let mut passed = ListenFd::from_env();
        let refused = |error: io::Error| StartError::Inherited(error.to_string());
        if passed.len() > 2 {
            let count = passed.len();
            return Err(StartError::Inherited(format!("{count} were handed over")));
        }
        let public = passed.take_tcp_listener(0).map_err(refused)?;
        // A socket that is no TCP socket stays in its place and can be asked for as what it is.
        let admin = match passed.take_tcp_listener(1) {
            Ok(tcp) => tcp.map(AdminListener::Tcp),
            Err(_) => passed.take_unix_listener(1).map_err(refused)?.map(AdminListener::Unix),
        };
        Ok(Self { public, admin })
    }
}

/// Both sockets, listening.
pub(super) fn open(
    inherited: Inherited,
    config: &Config,
) -> Result<(TcpListener, AdminListener), StartError> {
    let public = match inherited.public {
        Some(socket) => handed_over("server.listen", socket, config)?,
        None => bind("server.listen", &config.server.listen)?,
    };
    let admin = match inherited.admin {
        Some(AdminListener::Tcp(socket)) => {
            AdminListener::Tcp(handed_over("admin.listen", socket, config)?)
        }
        Some(unix @ AdminListener::Unix(_)) => unix,
        None => bind_admin(&config.admin.listen)?,
    };
    Ok((public, admin))
}

/// The configuration's rule about addresses holds for the address that somebody else bound, too.
fn handed_over(
    key: &'static str,
    socket: TcpListener,
    config: &Config,
) -> Result<TcpListener, StartError> {
    let address: SocketAddr = socket.local_addr().map_err(StartError::Serve)?;
    if !config.may_listen(key, address.ip()) {
        return Err(StartError::Unsafe { key, address });
    }
    rustix::net::listen(&socket, BACKLOG).map_err(|error| StartError::Serve(error.into()))?;
    Ok(socket)
}

fn bind(key: &'static str, address: &str) -> Result<TcpListener, StartError> {
    let refused = |error| StartError::Listen { key, address: address.into(), error };
    let listener = TcpListener::bind(address).map_err(refused)?;
    rustix::net::listen(&listener, BACKLOG).map_err(|error| refused(error.into()))?;
    Ok(listener)
}

fn bind_admin(address: &str) -> Result<AdminListener, StartError> {
    let Some(path) = address.strip_prefix("unix:") else {
        return bind("admin.listen", address).map(AdminListener::Tcp);
    };
    let refused =
        |error| StartError::Listen { key: "admin.listen", address: address.into(), error };
    // A socket that nobody answers is left over from a crash; the lock tells that it was ours.
    if std::os::unix::net::UnixStream::connect(path).is_err() {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
    }
    let listener = UnixListener::bind(path).map_err(refused)?;
    fs::set_permissions(path, fs::Permissions::from_mode(ADMIN_SOCKET_MODE)).map_err(refused)?;
    Ok(AdminListener::Unix(listener))
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};

    /// Bound to this address; nobody listens.
    fn bound(address: &str) -> TcpListener {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.into()
    }

    fn local() -> Config {
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".into();
        config.admin.listen = "127.0.0.1:0".into();
        config
    }

    #[test]
    fn a_socket_that_was_handed_over_is_used_and_what_is_missing_is_bound() {
        let socket = bound("127.0.0.1:0");
        let address = socket.local_addr().unwrap();
        let inherited = Inherited { public: Some(socket), admin: None };
        let (public, admin) = open(inherited, &local()).unwrap();
        assert_eq!(public.local_addr().unwrap(), address);
        assert!(matches!(admin, AdminListener::Tcp(_)));
        // It listens now, whoever made it.
        std::net::TcpStream::connect(address).unwrap();
    }

    /// More than a short queue would hold, where 1 s is lost for each that finds no place.
    #[test]
    fn many_connections_can_wait_to_be_accepted() {
        const WAITING: usize = 400;
        let (public, _) = open(Inherited::default(), &local()).unwrap();
        let address = public.local_addr().unwrap().into();
        let connect = |_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.connect_timeout(&address, std::time::Duration::from_millis(900)).unwrap();
            socket
        };
        assert_eq!((0..WAITING).map(connect).collect::<Vec<_>>().len(), WAITING);
    }

    #[test]
    fn a_socket_that_others_can_reach_is_refused_like_such_an_address() {
        let open_to_all = || Some(bound("0.0.0.0:0"));
        let inherited = || Inherited { public: open_to_all(), admin: None };
        let refused = open(inherited(), &local()).unwrap_err();
        assert!(matches!(refused, StartError::Unsafe { key: "server.listen", .. }), "{refused}");
        let admin = open_to_all().map(AdminListener::Tcp);
        let refused = open(Inherited { public: None, admin }, &local()).unwrap_err();
        assert!(matches!(refused, StartError::Unsafe { key: "admin.listen", .. }), "{refused}");
        let mut proxied = local();
        proxied.server.behind_proxy = true;
        assert!(proxied.may_listen("server.listen", [192, 0, 2, 1].into()));
    }
}
