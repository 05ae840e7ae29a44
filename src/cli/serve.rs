//! `seawall serve`: reads the configuration and runs the server until it is told to end. What a server is made of is
//! not known here.

use super::{check_config, failure::Usage};
use crate::{
    clock::Clock,
    config::environment,
    process::child::Launcher,
    server::{Inherited, Server, ServerOptions, systemd},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{io::IsTerminal, path::Path, sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(config: Option<&Path>) -> anyhow::Result<()> {
    let config = check_config::load(config)?;
    // While this is the only thread: the environment is changed.
    let inherited = Inherited::from_environment()?;
    let data = config.data_folder(environment()).map_err(|error| Usage(error.to_string()))?;
    env_logger::Builder::from_env(
        env_logger::Env::default().default_filter_or("info,actix_server=warn"),
    )
    .init();
    raise_descriptor_limit();
    let _points = crate::fault::points_of_environment();
    let options = ServerOptions {
        config: Arc::new(config),
        data,
        launcher: Launcher::default(),
        clock: Clock::system(),
        session_threads: std::thread::available_parallelism().map_or(1, usize::from),
        inherited,
    };
    actix::System::new().block_on(serve(options))
}

async fn serve(options: ServerOptions) -> anyhow::Result<()> {
    let config = options.config.clone();
    // Before the server starts: a signal during the start ends it cleanly as well.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut server = Server::start(options).await?;
    announce(&server);
    systemd::ready(&format!("serving on {}", server.url()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        cause = server.failed() => {
            log::error!(cause; "the server cannot go on");
            anyhow::bail!("the server cannot go on: {cause}");
        }
    }
    log::info!("stopping");
    systemd::stopping();
    tokio::select! {
        () = server.stop(config.server.shutdown_grace) => {}
        // A second signal: the guards take the children down with us, and the log closes what is open at the next start.
        _ = terminate.recv() => log::warn!("stopping at once"),
        _ = interrupt.recv() => log::warn!("stopping at once"),
        // The ladder of each child keeps to its own deadlines; this is for what does not.
        () = tokio::time::sleep(config.server.shutdown_grace + Duration::from_secs(1)) => {
            log::warn!("shutdown_grace is over; stopping at once");
        }
    }
    log::info!("stopped");
    Ok(())
}

fn announce(server: &Server) {
    let (public, admin) = (server.url(), server.admin_listen());
    log::info!("seawall {} serves on {public}, admin on {admin}", env!("CARGO_PKG_VERSION"));
    if std::io::stderr().is_terminal() {
        eprintln!("\n  Make a session:  seawall new demo --attach\n");
    }
}

/// Every stream and every child takes descriptors, and the usual soft limit of 1024 is soon reached.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::warn!(error:%; "the limit of open files stays at {:?}", limit.current);
    }
}
