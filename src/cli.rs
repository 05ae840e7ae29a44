//! The command line: what is typed, in; text, JSON lines and an exit code, out. Each command is one file and uses the
//! client library or the server as any other program would; nothing is decided here that the API does not offer.

mod admin;
mod args;
mod attach;
pub mod bench;
mod check_config;
mod control;
pub mod demo_agent;
mod doctor;
mod events;
mod failure;
pub mod guard;
mod ls;
mod new;
mod output;
mod pages;
mod restore;
mod send;
mod serve;
mod session_id;
mod show;
mod table;
mod target;
mod token;
mod words;

use args::{Args, Command};
use clap::Parser;
use output::Output;
use std::{ffi::OsString, process::ExitCode};

/// Runs one command line, the program's name first.
pub fn run(args: Vec<OsString>) -> ExitCode {
    // A guard stands before every child: it starts without the cost of building the whole command line.
    match args.get(1).and_then(|arg| arg.to_str()) {
        Some("guard") => return guard::run(),
        Some("demo-agent") => return demo_agent::run(),
        Some("bench-agent") => return bench::agent::run(&args),
        Some("bench-limit") => return bench::agent::limit(),
        _ => {}
    }
    let args = Args::parse_from(args);
    let flag = if matches!(args.command, Command::Admin(_)) { "--admin-url" } else { "--url" };
    match dispatch(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error, flag),
    }
}

fn dispatch(Args { target, json, command }: Args) -> anyhow::Result<()> {
    let output = Output::new(json);
    match command {
        Command::Serve { config } => return serve::run(config.as_deref()),
        Command::CheckConfig { config, print } => {
            return check_config::run(&output, config.as_deref(), print);
        }
        Command::Token(token) => return token::run(&output, &token),
        Command::Bench(bench) => return bench::run(&output, &bench),
        Command::Restore(restore) => return restore::run(&output, &restore),
        Command::Doctor(doctor) => return doctor::run(&output, &doctor),
        Command::Completions { shell } => {
            pages::completions(shell);
            return Ok(());
        }
        Command::Man { folder } => return pages::man(&folder),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Command::Admin(admin) = command {
        let server = target.admin(&admin.url)?;
        return runtime.block_on(admin::run(&server, &output, admin.command));
    }
    let client = target.client()?;
    runtime.block_on(talk(&client, &output, command))
}

/// The commands that talk to a server.
async fn talk(
    client: &crate::client::Client,
    output: &Output,
    command: Command,
) -> anyhow::Result<()> {
    let find = async |text: &str| session_id::find(client, text).await;
    match command {
        Command::New(new) => new::run(client, output, new).await,
        Command::Ls(ls) => ls::run(client, output, &ls).await,
        Command::Show { session } => show::run(client, output, find(&session).await?).await,
        Command::Attach { session, after } => {
            attach::run(client, output, find(&session).await?, after).await
        }
        Command::Send(send) => send::run(client, output, find(&send.session).await?, send).await,
        Command::Events { session, after, follow } => {
            events::run(client, output, find(&session).await?, after, follow).await
        }
        Command::Interrupt { session } => {
            control::interrupt(client, output, find(&session).await?).await
        }
        Command::Stop { session, grace } => {
            control::stop(client, output, find(&session).await?, grace).await
        }
        Command::Resume { session } => control::resume(client, output, find(&session).await?).await,
        Command::Rm { session } => control::remove(client, output, find(&session).await?).await,
        Command::Serve { .. }
        | Command::CheckConfig { .. }
        | Command::Token(_)
        | Command::Bench(_)
        | Command::Restore(_)
        | Command::Doctor(_)
        | Command::Completions { .. }
        | Command::Man { .. }
        | Command::Admin(_) => {
            unreachable!("dispatched without a client")
        }
    }
}
