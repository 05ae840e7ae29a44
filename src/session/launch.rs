//! From a profile and a session's row to the child that is started: what it may be given, and nothing else.

use super::Refusal;
use crate::{
    agent::CodecOptions,
    config::{Agent, Config, Restart},
    domain::{Session, StoreId},
    process::{ChildSpec, Marker},
    session::machine::Policy,
    supervise::restart::RestartPolicy,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What every child gets of the server's own environment, where it is set.
const INHERITED: [&str; 6] = ["PATH", "HOME", "USER", "LANG", "TZ", "TERM"];

/// The child of a session's current run.
///
/// # Errors
/// Its folder is not allowed any more.
pub(crate) fn child_spec(
    agent: &Agent,
    session: &Session,
    store: StoreId,
) -> Result<ChildSpec, String> {
    let options = codec_options(agent, session);
    let arguments = agent.args.iter().cloned().chain(agent.protocol.arguments(&options));
    Ok(ChildSpec {
        command: agent.command.clone(),
        args: arguments.collect(),
        env: environment(agent, session, |key| std::env::var(key).ok()),
        cwd: current_directory(agent, session)?,
        user: agent.user.clone(),
        marker: Marker { store, session: session.id, run: session.run },
        max_line_bytes: agent.max_line_bytes,
    })
}

/// What the profile says goes before what the server has, and what the session says before both.
fn environment(
    agent: &Agent,
    session: &Session,
    own: impl Fn(&str) -> Option<String>,
) -> BTreeMap<String, String> {
    let inherited = INHERITED.iter().filter_map(|key| Some(((*key).to_owned(), own(key)?)));
    let mut env: BTreeMap<_, _> = inherited.collect();
    env.extend(agent.env.iter().map(|(key, value)| (key.clone(), value.clone())));
    // The profile may have been narrowed since the session was made.
    let asked = session.env.iter().filter(|(key, _)| agent.env_allow.contains(key));
    env.extend(asked.map(|(key, value)| (key.clone(), value.clone())));
    env.retain(|key, _| !is_reserved(key));
    env
}

pub(crate) fn codec_options(agent: &Agent, session: &Session) -> CodecOptions {
    let is_remembered = session.has_context || agent.protocol.is_remembered_at_once();
    CodecOptions {
        cwd: session.cwd.clone(),
        resume: session.agent_session_id.clone().filter(|_| is_remembered),
        lost: session.lost,
        session: *session.id.as_uuid(),
        run: session.run,
        escape_newlines: agent.escape_newlines,
    }
}

/// A session whose profile is not configured any more can still be read, renamed and deleted; it gets no child.
pub(crate) fn policy(config: &Config, agent: Option<&Agent>) -> Policy {
    let sessions = &config.sessions;
    let supervision = &config.supervision;
    Policy {
        max_queued_messages: sessions.max_queued_messages,
        start_timeout: sessions.start_timeout,
        detach_after: sessions.detach_after,
        detach_timeout: sessions.detach_timeout,
        close_grace: sessions.close_grace,
        suspend_grace: sessions.suspend_grace,
        permission_timeout: agent
            .and_then(|agent| agent.permission_timeout)
            .unwrap_or(sessions.permission_timeout),
        interrupt_step: sessions.interrupt_step,
        inactivity: agent.and_then(|agent| agent.inactivity),
        inactivity_interrupt: agent.is_some_and(|agent| agent.inactivity_interrupt),
        park_after: agent.and_then(|agent| agent.park_after),
        restarts: RestartPolicy {
            max_restarts: supervision.max_restarts,
            within: supervision.within,
            backoff_min: supervision.backoff_min,
            backoff_max: supervision.backoff_max,
        },
        restart: agent.map_or(Restart::Never, |agent| agent.restart),
        has_turns: agent.is_none_or(|agent| agent.protocol.has_turns()),
    }
}

/// The folder that a new session runs in: the one asked for, if the profile allows it, else the profile's own.
pub(crate) fn working_directory(agent: &Agent, asked: Option<&str>) -> Result<String, Refusal> {
    let invalid = |detail: String| Refusal::Invalid { field: "cwd", detail };
    let own = own_directory(agent);
    let cwd = match asked {
        None => own,
        Some(asked) => allowed_directory(agent, &own, asked).map_err(invalid)?,
    };
    if !cwd.is_dir() {
        return Err(invalid(format!("{} is not a folder on the server", cwd.display())));
    }
    cwd.into_os_string()
        .into_string()
        .map_err(|cwd| invalid(format!("{} is not UTF-8", Path::new(&cwd).display())))
}

/// The folder of a session's next run. Since the session was made the profile may have been narrowed, or what was a
/// folder made a link: what is allowed is decided by where it leads now.
pub(crate) fn current_directory(agent: &Agent, session: &Session) -> Result<PathBuf, String> {
    let own = own_directory(agent);
    // What is not there, or not a folder, is told by the attempt to start there.
    if Path::new(&session.cwd) == own {
        return Ok(own);
    }
    allowed_directory(agent, &own, &session.cwd)
}

/// Where sessions run that name no folder.
fn own_directory(agent: &Agent) -> PathBuf {
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
    agent.cwd.clone().unwrap_or_else(home)
}

fn allowed_directory(agent: &Agent, own: &Path, asked: &str) -> Result<PathBuf, String> {
    let path = Path::new(asked);
    if !path.is_absolute() {
        return Err(format!("`{asked}` is not an absolute path"));
    }
    // Resolved, so that neither `..` nor a link leads out of what is allowed.
    // What does not exist is refused in the same words, so that nobody learns what the server can see.
    let refused = || format!("{asked} is not a folder in the profile's cwd_allow");
    let real = path.canonicalize().map_err(|_| refused())?;
    let is_own = own.canonicalize().is_ok_and(|own| own == real);
    let is_below =
        |allowed: &PathBuf| allowed.canonicalize().is_ok_and(|allowed| real.starts_with(allowed));
    if is_own || agent.cwd_allow.iter().any(is_below) {
        return Ok(real);
    }
    Err(refused())
}

/// The environment that a new session asks for: only keys that the profile allows.
pub(crate) fn check_env(agent: &Agent, env: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let invalid = |detail: String| Err(Refusal::Invalid { field: "env", detail });
    for (key, value) in env {
        if !agent.env_allow.contains(key) || is_reserved(key) {
            return invalid(format!(
                "`{key}` is not among the keys that the profile allows (env_allow)"
            ));
        }
        if value.contains('\0') {
            return invalid(format!("the value of `{key}` has a NUL in it; no variable can"));
        }
    }
    Ok(())
}

/// Ours: what says whose child a process is, and what could configure another server.
fn is_reserved(key: &str) -> bool {
    key.starts_with("SEAWALL")
}

#[cfg(test)]
mod tests;
