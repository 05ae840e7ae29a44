//! `seawall serve`: reads the configuration and runs the server until it is told to end. What a server is made of is
//! not known here.

use super::{check_config, failure::Usage};
use crate::{
    clock::Clock,
    config::{Source, environment},
    logging::Logger,
    process::child::Launcher,
    server::{Inherited, Server, ServerOptions},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::{io::IsTerminal, path::Path, sync::Arc, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

pub(super) fn run(path: Option<&Path>) -> anyhow::Result<()> {
    let path = path.map(Path::to_owned);
    let source = Source::new(move || check_config::load(path.as_deref()));
    let config = source.read()?;
    // While this is the only thread: the environment is changed.
    let inherited = Inherited::from_environment()?;
    let data = config.data_folder(environment()).map_err(|error| Usage(error.to_string()))?;
    let logger = Logger::install(&config.log)?;
    raise_descriptor_limit();
    let _points = crate::fault::points_of_environment();
    let options = ServerOptions {
        config: Arc::new(config),
        source,
        logger: Some(logger),
        data,
        launcher: Launcher::default(),
        clock: Clock::system(),
        session_threads: std::thread::available_parallelism().map_or(1, usize::from),
        inherited,
    };
    actix::System::new().block_on(serve(options))
}

async fn serve(options: ServerOptions) -> anyhow::Result<()> {
    // Before the server starts: a signal during the start ends it cleanly as well.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut server = Server::start(options).await?;
    announce(&server);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            // What came of it is logged where it is done. Signals that come meanwhile are one.
            _ = hang_up.recv() => drop(server.reload().await),
            cause = server.failed() => {
                log::error!(cause; "the server cannot go on");
                anyhow::bail!("the server cannot go on: {cause}");
            }
        }
    }
    log::info!("stopping");
    let grace = server.config().server.shutdown_grace;
    tokio::select! {
        () = server.stop(grace) => {}
        // A second signal: the guards take the children down with us, and the log closes what is open at the next start.
        _ = terminate.recv() => log::warn!("stopping at once"),
        _ = interrupt.recv() => log::warn!("stopping at once"),
        // The ladder of each child keeps to its own deadlines; this is for what does not.
        () = tokio::time::sleep(grace + Duration::from_secs(1)) => {
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
        eprintln!("\n  The console:     {public}/\n  Make a session:  seawall new demo --attach\n");
    }
}

/// Every stream and every child takes descriptors, and the usual soft limit of 1024 is soon reached.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        log::warn!(error:%, limit:? = limit.current; "the limit of open files cannot be raised");
    }
}
