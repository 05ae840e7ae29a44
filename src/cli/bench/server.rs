//! The server under measurement: our own binary in a process of its own, its folder, and what the kernel says of it.

use crate::{
    cli::new::message,
    client::{self, Client, ClientError},
    domain::SessionId,
    wire::{admin::Status, api::CreateSession},
};
use anyhow::{Context, bail};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// Linux counts processor time in hundredths of a second, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) struct BenchServer {
    process: Child,
    folder: PathBuf,
    pub(super) client: Client,
    pub(super) address: String,
    pub(super) token: String,
    admin_url: String,
    http: reqwest::Client,
}

impl BenchServer {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("seawall-bench-{}", Uuid::new_v4()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let config = folder.join("seawall.toml");
        fs::write(&config, config_text(&folder))?;
        let (process, public, admin) = serve(&config)?;
        let token = fs::read_to_string(folder.join("token"))?.trim().to_owned();
        let client = Client::new(&format!("http://{public}"), Some(&token))?;
        let (admin_url, http) = (format!("http://{admin}"), client::http().build()?);
        Ok(Self { process, folder, client, address: public, token, admin_url, http })
    }

    /// Kills the server and starts another in its folder; how long that one takes until it listens.
    pub(super) fn crash_and_start(&mut self) -> anyhow::Result<Duration> {
        self.process.kill()?;
        self.process.wait()?;
        let start = Instant::now();
        let (process, public, admin) = serve(&self.folder.join("seawall.toml"))?;
        let took = start.elapsed();
        self.process = process;
        self.client = Client::new(&format!("http://{public}"), Some(&self.token))?;
        (self.address, self.admin_url) = (public, format!("http://{admin}"));
        Ok(took)
    }

    /// Where streams are opened, and with which token.
    pub(super) fn access(&self) -> (&str, &str) {
        (&self.address, &self.token)
    }

    pub(super) async fn create(&self, agent: &str) -> Result<SessionId, ClientError> {
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

    pub(super) async fn send(&self, session: SessionId, text: &str) -> anyhow::Result<()> {
        self.client.post_message(session, &message(text.to_owned(), None)).await?;
        Ok(())
    }

    /// Has the demo agent of a session say so many chunks; the head when they are in the log.
    pub(super) async fn flood(&self, session: SessionId, chunks: u64) -> anyhow::Result<u64> {
        let before = self.client.session(session).await?.head_seq.0;
        self.send(session, &format!("flood {chunks}")).await?;
        self.until(session, |head, is_idle| is_idle && head > before + chunks).await
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

    /// Resident bytes of the server alone, now and at their highest.
    pub(super) fn memory(&self) -> anyhow::Result<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        };
        let (now, highest) = (kib("VmRSS:"), kib("VmHWM:"));
        let bytes = |kib: Option<u64>| kib.map(|kib| kib * 1024).context("no memory in /proc");
        Ok((bytes(now)?, bytes(highest)?))
    }

    /// Seconds of processor time so far, of the server alone.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after_name = stat.rsplit_once(')').context("no name in /proc")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<f64>().ok());
        let (user, system) = (ticks(11), ticks(12));
        Ok((user.context("no time in /proc")? + system.unwrap_or_default()) / TICKS_PER_SECOND)
    }
}

impl Drop for BenchServer {
    fn drop(&mut self) {
        // Its guards take the children down when it is gone; what is left of the folder is the system's to clean.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A server's process, with its public and its admin address.
fn serve(config: &Path) -> anyhow::Result<(Child, String, String)> {
    let mut process = Command::new(std::env::current_exe()?)
        .args(["serve", "--config"])
        .arg(config)
        .env("RUST_LOG", "warn,seawall::cli=info")
        .stderr(Stdio::piped())
        .spawn()?;
    let (public, admin) = addresses(&mut process)?;
    Ok((process, public, admin))
}

/// The public and the admin address, from the line in which the server says so.
fn addresses(process: &mut Child) -> anyhow::Result<(String, String)> {
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
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| eprintln!("{line}"))
        });
        return Ok(addresses);
    }
    bail!("the server did not start")
}

fn config_text(folder: &Path) -> String {
    let folder = folder.display();
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
[streams]
max_streams = 100000
[agents.cat]
protocol = "lines"
command = "cat"
cwd = "{folder}"
[agents.ghost]
protocol = "lines"
command = "no-such-program"
cwd = "{folder}"
"#
    )
}
