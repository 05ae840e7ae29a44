//! Reloads: the configuration is read again and put into effect, one reload after the other, for SIGHUP and for the admin
//! call alike. What a value does is known where it is used.

use super::{StartError, faces::Shown, first_token, systemd::Status};
use crate::{
    config::{Config, Order, Orders, Refused, Reloaded, Source, Token},
    http::App,
};
use actix_web::web::Data;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) struct Reloading {
    pub(super) source: Source,
    pub(super) app: Data<App>,
    pub(super) status: Arc<Status>,
    pub(super) data: PathBuf,
    pub(super) faces: Shown,
}

impl Reloading {
    /// Goes on until the log is closed.
    pub(super) async fn serve(self, mut orders: Orders) {
        loop {
            tokio::select! {
                Some(order) = orders.recv() => self.reload(order).await,
                () = self.app.log.closed() => return,
            }
        }
    }

    async fn reload(&self, order: Order) {
        self.status.reloading();
        let outcome = self.read_and_apply().await;
        self.status.reloaded();
        match &outcome {
            Ok(Reloaded { changed, needs_restart }) => {
                let (changed, needs_restart) = (changed.join(","), needs_restart.join(","));
                log::info!(changed, needs_restart; "the configuration was read again");
            }
            Err(refused) => {
                for fault in refused.to_string().lines() {
                    log::error!(fault; "the configuration is refused; the one in effect stays");
                }
            }
        }
        // Who asked may have gone.
        let _ = order.send(outcome);
    }

    async fn read_and_apply(&self) -> Result<Reloaded, Refused> {
        let (source, data, faces) = (self.source.clone(), self.data.clone(), self.faces.clone());
        let read = tokio::task::spawn_blocking(move || read(&source, &data, &faces)).await;
        let (next, first_token) = read.map_err(|panic| refused(&panic))??;
        let had_tokens = !self.app.config.now().auth.tokens.is_empty();
        let reloaded = self.app.config.replace(next);
        if had_tokens && first_token.is_some() {
            super::tell_of_the_first_token(&self.data);
        }
        // What is made out of the configuration, and not looked up in it, is made anew here.
        self.app.reconfigured(first_token);
        self.faces.set_up(&self.app.config.now());
        // There may be places now for sessions that wait for one.
        self.app.registry.wake(Vec::new()).await;
        Ok(reloaded)
    }
}

/// Everything that can be refused, before anything is changed; the certificate, which replaces itself, last.
fn read(source: &Source, data: &Path, faces: &Shown) -> Result<(Config, Option<Token>), Refused> {
    let config = source.read().map_err(|errors| Refused::Faults(errors.lines()))?;
    let token = first_token(&config, data).map_err(|error: StartError| refused(&error))?;
    faces.renew(config.server.tls.as_ref()).map_err(|error| refused(&error))?;
    Ok((config, token))
}

fn refused(error: &dyn std::fmt::Display) -> Refused {
    Refused::Faults(vec![error.to_string()])
}
