//! The session that a path names, together with the power over it. What is done with it is the handler's.

use super::{
    App,
    auth::{Power, authorize},
    error::Failure,
};
use crate::{domain::SessionId, store::StoreError};
use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use futures_util::{FutureExt, future::LocalBoxFuture};

/// A session that the credential `by` may see. Extracted before any body is read, so that refusals come in the
/// contract's order: 401, 403, 404, then the rest.
///
/// Whether the session exists is known here for limited credentials only: what they may not see has to look like what
/// is not there. For the others the registry or the log answers, without a second look.
#[derive(Debug)]
pub(super) struct On<P> {
    pub(super) id: SessionId,
    pub(super) by: P,
}

impl<P> On<P> {
    /// Why a request is refused that has a fault of its own: that there is no such session comes before it.
    pub(super) async fn refusal(&self, app: &App, fault: Failure) -> Failure {
        match app.log.session(self.id).await {
            Err(error @ (StoreError::Unknown | StoreError::Deleted)) => error.into(),
            _ => fault,
        }
    }
}

impl<P: Power> FromRequest for On<P> {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let app = request.app_data::<web::Data<App>>().cloned();
        let by = authorize::<P>(request);
        let id = request.match_info().get("id").and_then(|id| id.parse::<SessionId>().ok());
        async move {
            crate::fault::point!("http::target");
            let by = by?;
            let id = id.ok_or_else(Failure::no_session)?;
            let app = app.ok_or_else(|| Failure::internal("the application's data is missing"))?;
            if by.agents.is_some() && !by.sees(&app.log.session(id).await?.session.agent) {
                return Err(Failure::no_session());
            }
            Ok(Self { id, by })
        }
        .boxed_local()
    }
}
