//! The public listener without TLS. The HTTP library's own server would do, but that its connections cannot be taken apart:
//! here they are of a type of ours, out of which a stream takes its socket.

use super::faces::HEAD_TIMEOUT;
use crate::http::{self, App, Plain};
use actix_http::{HttpService, Protocol};
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::{
    App as WebApp,
    dev::{AppConfig, Server},
    rt::net::TcpStream,
    web::Data,
};
use std::{io, net::TcpListener, time::Duration};

/// How long a peer may take to close its side of a connection that we close.
const CLOSING: Duration = Duration::from_secs(1);

/// Serves as many connections on each of so many threads.
pub(super) fn serve(
    app: Data<App>,
    listener: TcpListener,
    workers: usize,
    connections: usize,
) -> io::Result<Server> {
    let server = Server::build()
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(1)
        .max_concurrent_connections(connections);
    let stopping = server.graceful_shutdown_signal();
    let server = server.listen("public", listener, move || {
        let stopping = stopping.clone();
        let service = HttpService::build()
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(CLOSING)
            // A reader that closes is gone at once, and not when the next ping but one cannot be written.
            .h1_allow_half_closed(false)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &Plain, data| connection.introduce(data))
            .finish(map_config(
                WebApp::new().app_data(app.clone()).configure(http::configure),
                |()| AppConfig::default(),
            ));
        fn_service(|socket: TcpStream| async {
            let peer = socket.peer_addr().ok();
            Ok((Plain::new(socket), Protocol::Http1, peer))
        })
        .and_then(service)
    })?;
    Ok(server.run())
}
