//! Connections of the plain listener, out of which a response can take the socket: the HTTP library has parsed the request
//! and written the head of the answer, and what follows is written by others. The library sees the end of a connection.

use actix_web::{
    body::{BodySize, MessageBody},
    dev::Extensions,
    rt::net::TcpStream,
    web::Bytes,
};
use std::{
    cell::RefCell,
    convert::Infallible,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

type Taker = Box<dyn FnOnce(TcpStream)>;

/// A connection without TLS.
pub struct Plain(Rc<Shared>);

/// The way from a request to the socket that it came through.
#[derive(Clone)]
pub(super) struct Handle(Rc<Shared>);

struct Shared {
    /// None: it was taken.
    socket: RefCell<Option<TcpStream>>,
    /// Takes it as soon as all is written that was written before.
    taker: RefCell<Option<Taker>>,
}

impl Plain {
    pub fn new(socket: TcpStream) -> Self {
        let shared = Shared { socket: RefCell::new(Some(socket)), taker: RefCell::new(None) };
        Self(Rc::new(shared))
    }

    /// For the requests of this connection.
    pub fn introduce(&self, data: &mut Extensions) {
        data.insert(Handle(self.0.clone()));
    }

    fn with<T>(&self, act: impl FnOnce(Pin<&mut TcpStream>) -> T) -> Option<T> {
        self.0.socket.borrow_mut().as_mut().map(|socket| act(Pin::new(socket)))
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Without a socket: the peer says nothing more.
        self.with(|socket| socket.poll_read(cx, buf)).unwrap_or(Poll::Ready(Ok(())))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Without a socket there is no answer that could come here.
        self.with(|socket| socket.poll_write(cx, bytes)).unwrap_or(Poll::Ready(Ok(bytes.len())))
    }

    /// The HTTP library calls this where its buffer is empty, and not before.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let taker = self.0.taker.borrow_mut().take();
        if let Some(taker) = taker
            && let Some(socket) = self.0.socket.borrow_mut().take()
        {
            taker(socket);
            // It is to look, and finds the connection at its end.
            cx.waker().wake_by_ref();
        }
        self.with(|socket| socket.poll_flush(cx)).unwrap_or(Poll::Ready(Ok(())))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| socket.poll_shutdown(cx)).unwrap_or(Poll::Ready(Ok(())))
    }
}

/// The body of an answer whose socket is taken as soon as its head is written. It never has a byte itself.
pub(super) struct HandOver {
    handle: Handle,
    taker: Option<Taker>,
}

impl HandOver {
    pub(super) fn new(handle: Handle, taker: impl FnOnce(TcpStream) + 'static) -> Self {
        Self { handle, taker: Some(Box::new(taker)) }
    }
}

impl MessageBody for HandOver {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        // The head is in the library's buffer by now; it flushes that next, and again when the peer takes more.
        if let Some(taker) = self.taker.take() {
            *self.handle.0.taker.borrow_mut() = Some(taker);
        }
        Poll::Pending
    }
}
