//! A network that breaks on demand: a TCP proxy on loopback, between a client and a server of a test, which cuts, holds,
//! delays, throttles, splits, joins and loses what passes as it is told. It knows nothing of sessions.

mod head;
mod pump;
mod rules;

pub(crate) use rules::{End, Flow, Rules, Spot, Write};

use super::{Api, PATIENCE};
use pump::{Connection, Ended};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{mpsc, oneshot, watch},
};

/// What a proxy's own sockets hold towards the server, in bytes, so that a server notices soon that nobody reads.
const NARROW: u32 = 16 * 1024;

/// Runs on a thread of its own: a test may block. Dropped, it closes all its connections.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    server: SocketAddr,
    /// The rules of the next connection, by its number.
    each: Box<dyn FnMut(usize) -> Rules + Send>,
    links: Vec<Link>,
    /// How many answers are still to be lost.
    to_swallow: usize,
    /// How many connections ended because a rule said so.
    cuts: watch::Sender<usize>,
    pages: BTreeMap<String, Page>,
    posted: Option<mpsc::UnboundedSender<String>>,
}

/// Something that the proxy serves itself, so that a page and the server have one origin.
#[derive(Clone)]
struct Page {
    content_type: &'static str,
    body: Vec<u8>,
}

/// One connection through the proxy. It can be changed while it is open.
#[derive(Clone)]
pub(crate) struct Link(Arc<watch::Sender<Rules>>);

impl Link {
    pub(crate) fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.0.send_modify(change);
    }

    /// Half-open: the peers can write as long as there is room, and neither hears of the other, not even its end.
    pub(crate) fn hold(&self, held: bool) {
        self.change(|rules| (rules.up.held, rules.down.held) = (held, held));
    }

    pub(crate) fn end(&self, end: End) {
        self.change(|rules| rules.end = Some(end));
    }

    /// Waits until the proxy has closed its sockets.
    pub(crate) async fn over(&self) {
        super::within("the connection's end", self.0.closed()).await;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}

impl Proxy {
    /// A proxy in front of a server.
    pub(crate) fn to(api: &Api) -> Self {
        let address = api.url.strip_prefix("http://").expect("a plain address");
        Self::to_address(address.parse().expect("an address"))
    }

    pub(crate) fn to_address(server: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State {
            server,
            each: Box::new(|_| Rules::default()),
            links: Vec::new(),
            to_swallow: 0,
            cuts: watch::Sender::new(0),
            pages: BTreeMap::new(),
            posted: None,
        }));
        let (stop, stopped) = oneshot::channel();
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, state, stop: Some(stop), thread: Some(thread) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same server through this proxy.
    pub(crate) fn through(&self, api: &Api) -> Api {
        Api { url: self.url(), ..api.clone() }
    }

    /// Connections to come get these rules; they are numbered from 0.
    pub(crate) fn each(&self, rules: impl FnMut(usize) -> Rules + Send + 'static) {
        self.lock().each = Box::new(rules);
    }

    /// The next answer is lost: its request is served, and the client's connection is closed without it.
    pub(crate) fn swallow_next(&self) {
        self.lock().to_swallow += 1;
    }

    /// Answers that were to be lost and did not come yet.
    pub(crate) fn to_swallow(&self) -> usize {
        self.lock().to_swallow
    }

    /// All connections so far, the oldest first.
    pub(crate) fn links(&self) -> Vec<Link> {
        self.lock().links.clone()
    }

    /// The newest connection.
    pub(crate) fn last(&self) -> Link {
        self.lock().links.last().expect("a connection").clone()
    }

    pub(crate) fn cuts(&self) -> usize {
        *self.lock().cuts.borrow()
    }

    /// Waits until so many connections were ended by a rule.
    pub(crate) async fn cuts_reach(&self, count: usize) {
        let mut cuts = self.lock().cuts.subscribe();
        // Clients take a second each before they come back.
        let patience = PATIENCE + Duration::from_secs(5) * u32::try_from(count).expect("a few");
        let reached = tokio::time::timeout(patience, cuts.wait_for(|cuts| *cuts >= count)).await;
        assert!(reached.is_ok(), "{} cuts of {count}", self.cuts());
    }

    /// Serves this under a path, instead of the server.
    pub(crate) fn serve(&self, path: &str, content_type: &'static str, body: impl Into<Vec<u8>>) {
        self.lock().pages.insert(path.into(), Page { content_type, body: body.into() });
    }

    /// Takes bodies that are posted to `/posted`, instead of the server.
    pub(crate) fn posted(&self) -> mpsc::UnboundedReceiver<String> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().posted = Some(sender);
        receiver
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the proxy panicked");
        }
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let client = tokio::select! {
            accepted = listener.accept() => accepted.expect("a connection").0,
            Some(ended) = connections.join_next() => {
                ended.expect("a connection that does not panic");
                continue;
            }
        };
        let (connection, server) = {
            let mut state = state.lock().expect("not poisoned");
            let number = state.links.len();
            let rules = (state.each)(number);
            let (sender, receiver) = watch::channel(rules);
            state.links.push(Link(Arc::new(sender)));
            (receiver, state.server)
        };
        connections.spawn(serve(client, server, connection, state.clone()));
    }
}

async fn serve(
    client: TcpStream,
    server: SocketAddr,
    rules: watch::Receiver<Rules>,
    state: Arc<Mutex<State>>,
) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(NARROW).expect("a small buffer");
    // A server that is not there is a connection that ends at once.
    let Ok(server) = socket.connect(server).await else { return };
    let mut connection = Connection::new(client, server, rules, state.clone());
    let ended = connection.run().await;
    if let Ended::Cut(_) = ended {
        state.lock().expect("not poisoned").cuts.send_modify(|cuts| *cuts += 1);
    }
    connection.close(ended).await;
}
