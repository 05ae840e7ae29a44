//! How long a connection goes on. The HTTP library gives a time to the first head of a connection alone, and reads an
//! unread body in chunks to its end, if it has one: both are for whoever showed a credential, and not for strangers.

use actix_web::{
    HttpMessage, HttpRequest,
    body::{BodySize, BoxBody, EitherBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::{ConnectionType, header},
    web::Bytes,
};
use futures_util::Stream;
use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

/// On a request that came with a credential that is known.
struct Known;

/// The connection may be used for another request. Of one that this is not said, it ends with the answer.
pub(super) fn is_known(request: &HttpRequest) {
    request.extensions_mut().insert(Known);
}

/// A body in chunks, which the handler and the answer both have.
#[derive(Clone)]
pub(super) struct Unread(Rc<RefCell<Payload>>);

impl Unread {
    /// None: the request's length is known, or it has no body.
    pub(super) fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(header::TRANSFER_ENCODING) {
            return None;
        }
        let unread = Self(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream { payload: Box::pin(unread.clone()) });
        Some(unread)
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// An answer that holds what was not read of its request. When it has been written and something is left, the
/// connection is closed; would it be let go before, the rest would be waited for.
pub(super) struct Holding {
    body: BoxBody,
    _unread: Unread,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

pub(super) fn finish<B: MessageBody + 'static>(
    mut response: ServiceResponse<B>,
    unread: Option<Unread>,
) -> ServiceResponse<EitherBody<B, Holding>> {
    if !response.request().extensions().contains::<Known>() {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    match unread {
        None => response.map_into_left_body(),
        Some(unread) => response
            .map_body(|_, body| Holding { body: body.boxed(), _unread: unread })
            .map_into_right_body(),
    }
}
