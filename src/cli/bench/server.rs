//! The server under measurement: our own program in a process of its own, in a folder that goes with it.

use super::{meter, place::fresh_folder, target::Setup};
use crate::{
    client::{self, Client, ClientError},
    domain::SessionId,
    wire::{admin::Status, api::CreateSession},
};
use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Requests under way at a time.
pub(super) const AT_A_TIME: usize = 16;
/// Of a session whose agent runs and has said nothing.
pub(super) const HEAD_AT_START: u64 = 4;

/// How long the guards of a server that was killed have.
const LEAVING: Duration = Duration::from_secs(20);

/// Where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Disk,
    /// A file system in memory, on which fdatasync does nothing.
    Memory,
}

pub(super) struct BenchServer {
    process: Child,
    /// What it says is shown, until it is killed: then its guards say what they find.
    said: Arc<AtomicBool>,
    program: PathBuf,
    folder: PathBuf,
    pub(super) client: Client,
    pub(super) address: String,
    pub(super) token: String,
    admin_url: String,
    http: reqwest::Client,
}

impl BenchServer {
    pub(super) async fn start(setup: &Setup, place: Place) -> anyhow::Result<Self> {
        let parent = match place {
            Place::Disk => &setup.folder,
            Place::Memory => Path::new("/dev/shm"),
        };
        Self::start_in(setup, fresh_folder(parent)?).await
    }

    /// Starts one in a folder that may have a log already; the folder goes with it.
    pub(super) async fn start_in(setup: &Setup, folder: PathBuf) -> anyhow::Result<Self> {
        let config = folder.join("seawall.toml");
        fs::write(&config, config_text(&setup.program, &folder))?;
        let program = setup.program.clone();
        let said = Arc::new(AtomicBool::new(true));
        let (process, public, admin) = serve(&program, &config, &said)?;
        let token = fs::read_to_string(folder.join("token"))?.trim().to_owned();
        let client = Client::new(&format!("http://{public}"), Some(&token))?;
        let (admin_url, http) = (format!("http://{admin}"), client::http().build()?);
        Ok(Self { process, said, program, folder, client, address: public, token, admin_url, http })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Where the children of its sessions get their lines.
    pub(super) fn socket(&self) -> PathBuf {
        socket(&self.folder)
    }

    /// Kills the server and starts another in its folder; how long that one takes until it listens.
    pub(super) fn crash_and_start(&mut self) -> anyhow::Result<Duration> {
        self.kill()?;
        self.said = Arc::new(AtomicBool::new(true));
        let start = Instant::now();
        let config = self.folder.join("seawall.toml");
        let (process, public, admin) = serve(&self.program, &config, &self.said)?;
        let took = start.elapsed();
        self.process = process;
        self.client = Client::new(&format!("http://{public}"), Some(&self.token))?;
        (self.address, self.admin_url) = (public, format!("http://{admin}"));
        Ok(took)
    }

    async fn create(&self, agent: &str) -> Result<SessionId, ClientError> {
        let body = CreateSession {
            agent: agent.into(),
            cwd: None,
            title: None,
            env: Default::default(),
            message: None,
            session_id: None,
        };
        Ok(self.client.create_session(&body).await?.session.id)
    }

    /// Makes sessions with a child that waits, and waits until each has it.
    pub(super) async fn create_many(&self, agent: &str, count: usize) -> anyhow::Result<()> {
        let made = stream::iter(0..count).map(|_| self.create(agent)).buffer_unordered(AT_A_TIME);
        let sessions: Vec<SessionId> = made.try_collect().await?;
        for session in sessions {
            self.until(session, |head, _| head >= HEAD_AT_START).await?;
        }
        Ok(())
    }

    /// Waits until the head and the idleness of a session fit; the head.
    pub(super) async fn until(
        &self,
        session: SessionId,
        fits: impl Fn(u64, bool) -> bool,
    ) -> anyhow::Result<u64> {
        let start = Instant::now();
        loop {
            let view = self.client.session(session).await?;
            let is_idle = view.client_state == crate::domain::ClientState::Idle;
            if fits(view.head_seq.0, is_idle) {
                return Ok(view.head_seq.0);
            }
            if start.elapsed() > Duration::from_secs(120) {
                bail!("session {session} does not get on: {view:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn status(&self) -> anyhow::Result<Status> {
        let url = format!("{}/admin/status", self.admin_url);
        let response = self.http.get(url).bearer_auth(&self.token).send().await?;
        Ok(response.error_for_status()?.json().await?)
    }

    /// MiB of the server alone, now.
    pub(super) fn memory(&self) -> anyhow::Result<f64> {
        Ok(meter::memory(&[self.pid()])?.0)
    }

    /// Seconds of processor time so far, of the server alone.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        meter::cpu(&[self.pid()])
    }
}

impl BenchServer {
    /// Kills the server, and waits until its guards have taken down all that it started: what they do is work, too, and
    /// not that of what is measured next.
    fn kill(&mut self) -> anyhow::Result<()> {
        self.said.store(false, Ordering::Relaxed);
        let tree = meter::tree(self.pid());
        self.process.kill()?;
        self.process.wait()?;
        let start = Instant::now();
        // What has ended and was not waited for by whoever it was left to has no command line any more.
        let line = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_there = |pid: &u32| !line(pid).is_empty();
        while tree.iter().any(is_there) && start.elapsed() < LEAVING {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for BenchServer {
    fn drop(&mut self) {
        // What is left of the folder is the system's to clean.
        let _ = self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A server's process, with its public and its admin address.
fn serve(
    program: &Path,
    config: &Path,
    said: &Arc<AtomicBool>,
) -> anyhow::Result<(Child, String, String)> {
    let mut process = Command::new(program)
        .args(["serve", "--config"])
        .arg(config)
        .env("RUST_LOG", "warn,seawall::cli=info")
        .stderr(Stdio::piped())
        .spawn()?;
    let (public, admin) = addresses(&mut process, said)?;
    Ok((process, public, admin))
}

/// The public and the admin address, from the line in which the server says so.
fn addresses(process: &mut Child, said: &Arc<AtomicBool>) -> anyhow::Result<(String, String)> {
    let stderr = process.stderr.take().context("its stderr is a pipe")?;
    let mut lines = BufReader::new(stderr).lines();
    for line in &mut lines {
        let line = line?;
        let Some((_, rest)) = line.split_once("serves on http://") else {
            eprintln!("{line}");
            continue;
        };
        let (public, admin) = rest.split_once(", admin on ").context("no admin address")?;
        let addresses = (public.to_owned(), admin.to_owned());
        // Warnings go on to be shown; a pipe that nobody reads would hold the server up.
        let said = said.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if said.load(Ordering::Relaxed) {
                    eprintln!("{line}");
                }
            }
        });
        return Ok(addresses);
    }
    bail!("the server did not start")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("lines")
}

/// Limits that stand for good manners are out of the way; what bounds memory and replays is as it is by default.
fn config_text(program: &Path, folder: &Path) -> String {
    let (program, socket) = (program.display(), socket(folder).display().to_string());
    let folder = folder.display();
    let variable = super::agent::TOPIC_VARIABLE;
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[store]
path = "{folder}/seawall.db"
[sessions]
max_live = 100000
max_queued_messages = 1000000
detach_after = "1h"
[streams]
max_streams = 100000
[agents.bench]
protocol = "lines"
command = "{program}"
args = ["bench-agent", "{socket}"]
env_allow = ["{variable}"]
cwd = "{folder}"
restart = "never"
[agents.cat]
protocol = "lines"
command = "cat"
cwd = "{folder}"
"#
    )
}
