//! What a load is put on: a server that takes lines for topics and hands each to the topic's readers. Ours is one, and
//! whatever it is to be compared with is another; the load knows no more of them than stands here.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    os::fd::AsFd,
    time::{Duration, Instant},
};

/// Where one kind of server comes from. Each round starts a fresh one, so that none pays for an earlier round.
pub struct Subject {
    pub name: &'static str,
    /// What was handed to a reader is on disk.
    pub durable: bool,
    pub start: Box<Start>,
}

/// Starts a server.
pub type Start = dyn Fn(&Setup) -> anyhow::Result<Box<dyn Target>>;

/// What a server is started with.
pub struct Setup {
    /// The `seawall` under measurement.
    pub program: std::path::PathBuf,
    /// On the disk that is measured; the server may keep there what it likes.
    pub folder: std::path::PathBuf,
}

/// A server that runs. Dropping it ends it.
pub trait Target {
    /// The processes whose processor time and memory count as the server's.
    fn processes(&self) -> Vec<u32>;
    /// Makes topics `0..topics`, with nothing in them.
    fn prepare(&mut self, topics: usize) -> anyhow::Result<()>;
    /// How a reader of a topic's new lines asks for them.
    fn subscription(&self, topic: usize) -> Subscription;
    /// The same from the topic's first line; None where a topic has no past.
    fn replay(&self, _topic: usize) -> Option<Subscription> {
        None
    }
    /// Ways to publish: one for each of so many producers, or one for each topic where `by_topic`.
    fn publishers(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>>;
    fn by_topic(&self) -> bool {
        false
    }
    /// Waits until each topic has so many lines, where publishing does not say so.
    fn settled(&mut self, _lines: u64) -> anyhow::Result<()> {
        Ok(())
    }
    /// Ways to publish that are acknowledged, where the others are not.
    fn posters(&mut self, producers: usize) -> anyhow::Result<Vec<Publisher>> {
        self.publishers(producers)
    }
}

/// A request that opens a stream.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub address: SocketAddr,
    pub request: Vec<u8>,
    /// The stream is live when this has come so often.
    pub ready: (&'static [u8], usize),
    /// There is a head, and chunks if it says so.
    pub http: bool,
}

pub trait Pipe: Read + Write + AsFd + Send {}

impl<T: Read + Write + AsFd + Send> Pipe for T {}

/// How a line for a topic is written down; appended to the last argument. The number is the line's own.
pub type Encode = Box<dyn Fn(usize, &[u8], &mut Vec<u8>) + Send>;

/// One connection over which lines are published.
pub struct Publisher {
    /// It does not block.
    pub pipe: Box<dyn Pipe>,
    pub encode: Encode,
    /// What stands once in each acknowledgement; None: there are none.
    pub ack: Option<&'static [u8]>,
    /// How many lines may wait for their acknowledgement.
    pub pipelined: usize,
}

/// A connection to a server on loopback, that does not block and does not wait to fill packets.
pub fn connect(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

/// A port of loopback that nobody listens at.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(loopback(0))?.local_addr()?.port())
}

/// Waits until a server that was just started accepts connections.
pub fn until_listening(port: u16) -> anyhow::Result<()> {
    let start = Instant::now();
    while TcpStream::connect(loopback(port)).is_err() {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(20), "nobody listens at {port}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A POST over a connection that is kept, with a JSON or a plain body.
pub fn post(path: &str, fields: &str, body: &[u8], out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = write!(
        out,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(body);
}

/// What acknowledges a POST.
pub const HTTP_OK: &[u8] = b"HTTP/1.1 2";
