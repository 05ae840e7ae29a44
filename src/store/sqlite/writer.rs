//! The writer's thread: takes jobs in groups, commits each group in one transaction, publishes, answers.
//! It knows no table; what a job writes is staged elsewhere.

use super::{
    super::{Answer, Pruned, Reader, StoreError, Watch, feed::Feeds},
    Durability, SqliteOptions, compact,
    file::Identity,
    gate::{Gate, Job, Write},
    open::set_durability,
    pace::Pace,
    pack::{self, Packing},
    prune::{Portion, Pruning},
    read,
    recent::{Recent, View},
    stage::{Change, Places, Stage, Stop},
    sweep,
    wal::WriteAheadLog,
};
use crate::{domain::SessionId, metrics::StoreMetrics};
use rusqlite::{Connection, Transaction, TransactionBehavior, wal::CheckpointMode};
use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc, Weak,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How many jobs share one commit, and after how many bytes no more are added to it.
const GROUP_JOBS: usize = 1024;
const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// So many groups in a row are served before a chore that waits has its turn: under a load without a pause, too.
const GROUPS_PER_CHORE: u32 = 16;
/// And for so many bytes that were appended a chore is owed: packing moves and then removes what came, each in portions of
/// four times as much, and so keeps up.
const BYTES_PER_CHORE: u64 = pack::PORTION_BYTES as u64 / 4;
/// So many chores at a time, so that what comes meanwhile waits for some milliseconds at most. What is owed stays owed.
const CHORES_AT_A_TIME: u32 = 4;
/// Quiet for so long, the writer copies the write-ahead log into the database: later commits then need not.
const IDLE: Duration = Duration::from_secs(1);

/// How many damaged sessions are remembered; beyond it all are forgotten, and found again.
const DAMAGED_MAX: usize = 1024;

pub(super) struct Writer {
    conn: Connection,
    log: WriteAheadLog,
    durability: Durability,
    /// Whether a commit waits for the disk as `durability` says.
    is_synced: bool,
    file: Identity,
    jobs: Receiver<Job>,
    feeds: Arc<Feeds>,
    metrics: Arc<StoreMetrics>,
    places: Places,
    recent: Arc<Recent>,
    /// So many bytes of lines may wait to be packed.
    recent_bytes: u64,
    /// What is being packed.
    packing: Option<Packing>,
    /// It failed, and nothing was committed since.
    is_packing_refused: bool,
    /// Deleted sessions may have left events behind.
    sweep_due: bool,
    /// Walks of retention over all sessions, one after the other.
    prunings: VecDeque<(Pruning, Answer<Pruned>)>,
    /// Something was removed: the file may be larger than it must be.
    compaction_due: bool,
    groups_since_chore: u32,
    /// For so many of the bytes that were ever appended chores were done.
    bytes_with_chores: u64,
    pace: Pace,
    checkpoint_due: bool,
    is_failing: bool,
    /// Sessions in whose writes something damaged was met: they are committed by themselves, so that they fail alone.
    damaged: HashSet<SessionId>,
}

/// What the writer shares with others.
#[derive(Clone, Default)]
pub(super) struct Shared {
    pub(super) feeds: Arc<Feeds>,
    pub(super) metrics: Arc<StoreMetrics>,
    pub(super) recent: Arc<Recent>,
}

/// Tells a job's caller how the group's commit went, or why the job was refused.
type Settle = Box<dyn FnOnce(&Result<(), StoreError>)>;

/// The thread's body. However it ends, by a panic too, those who wait for the writer learn of it.
pub(super) fn run(mut writer: Writer, gate: Weak<Gate>, running: watch::Sender<()>) {
    let mut end = End { gate, result: Err(StoreError::closed()), _running: running };
    while let Some(job) = writer.next_job() {
        let group = writer.gather(job, &end.gate);
        writer.serve(group);
    }
    writer.finish();
    end.result = Ok(());
}

/// Tells of the writer's end when it is dropped.
struct End {
    gate: Weak<Gate>,
    result: Result<(), StoreError>,
    _running: watch::Sender<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.upgrade() {
            gate.ended(self.result.clone());
        }
    }
}

impl Writer {
    pub(super) fn new(
        mut conn: Connection,
        file: Identity,
        jobs: Receiver<Job>,
        shared: Shared,
        options: &SqliteOptions,
    ) -> rusqlite::Result<Self> {
        let Shared { feeds, metrics, recent } = shared;
        let log = WriteAheadLog::follow(&mut conn, &options.path)?;
        Ok(Self {
            conn,
            log,
            durability: options.durability,
            is_synced: true,
            file,
            jobs,
            feeds,
            metrics,
            places: Places::default(),
            recent,
            recent_bytes: options.recent_bytes,
            packing: None,
            is_packing_refused: false,
            sweep_due: true,
            prunings: VecDeque::new(),
            compaction_due: true,
            groups_since_chore: 0,
            bytes_with_chores: 0,
            pace: Pace::default(),
            checkpoint_due: false,
            is_failing: false,
            damaged: HashSet::new(),
        })
    }

    /// The next job; chores are done while there is none, and now and then in between. None once the gate is closed and
    /// the queue is empty.
    fn next_job(&mut self) -> Option<Job> {
        self.chores_owed();
        loop {
            match self.jobs.try_recv() {
                Ok(job) => return Some(job),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) if self.has_chore() => self.chore(),
                Err(TryRecvError::Empty) if self.checkpoint_due => {
                    match self.jobs.recv_timeout(IDLE) {
                        Ok(job) => return Some(job),
                        Err(RecvTimeoutError::Disconnected) => return None,
                        Err(RecvTimeoutError::Timeout) => self.checkpoint(CheckpointMode::PASSIVE),
                    }
                }
                Err(TryRecvError::Empty) => return self.jobs.recv().ok(),
            }
        }
    }

    /// Chores that have waited for long enough, as many as are owed.
    fn chores_owed(&mut self) {
        let mut done = 0;
        loop {
            let size = self.recent.size();
            let is_owed = self.groups_since_chore >= GROUPS_PER_CHORE
                || size.written - self.bytes_with_chores >= BYTES_PER_CHORE;
            let is_behind = pack::is_behind(size, self.recent_bytes);
            if !self.has_chore() {
                self.bytes_with_chores = size.written;
                return;
            }
            if !is_behind && (!is_owed || done >= CHORES_AT_A_TIME) {
                return;
            }
            self.chore();
            self.bytes_with_chores = size.written.min(self.bytes_with_chores + BYTES_PER_CHORE);
            done += 1;
        }
    }

    /// What queued up while the last group was committed, and what comes while nobody waits for it.
    fn gather(&mut self, first: Job, gate: &Weak<Gate>) -> Vec<Job> {
        let mut bytes = first.bytes();
        self.pace.joined(first.quiet());
        let mut group = vec![first];
        while group.len() < GROUP_JOBS && bytes < GROUP_BYTES {
            let job = self.jobs.try_recv().ok().or_else(|| {
                let wait = self.pace.wait(Instant::now());
                (!wait.is_zero()).then(|| self.jobs.recv_timeout(wait).ok()).flatten()
            });
            let Some(job) = job else { break };
            bytes += job.bytes();
            self.pace.joined(job.quiet());
            group.push(job);
        }
        self.pace.begin(Instant::now(), group.iter().filter_map(Job::quiet));
        self.groups_since_chore += 1;
        if let Some(gate) = gate.upgrade() {
            gate.taken(group.len(), bytes);
        }
        group
    }

    fn serve(&mut self, group: Vec<Job>) {
        let (mut writes, mut watches) = (Vec::with_capacity(group.len()), Vec::new());
        let mut settled = Vec::new();
        for job in group {
            match job {
                Job::Write(write) => writes.push(write),
                Job::Watch(session, reader, answer) => watches.push((session, reader, answer)),
                Job::Settled(answer) => settled.push(answer),
                Job::Prune(retention, answer) => {
                    self.prunings.push_back((Pruning::new(retention), answer));
                }
            }
        }
        let (alone, together): (Vec<_>, Vec<_>) = writes
            .into_iter()
            .partition(|write| write.session().is_some_and(|id| self.damaged.contains(&id)));
        if !together.is_empty() {
            self.commit(together);
        }
        for write in alone {
            self.commit(vec![write]);
        }
        // After the commit: a feed may only be opened at what is committed and published.
        for (session, reader, answer) in watches {
            self.watch(session, &reader, answer);
        }
        for answer in settled {
            // Whoever asked may have gone away.
            let _ = answer.send(Ok(()));
        }
        // After the answers: they need not wait for it.
        self.log.after_group(&self.conn);
    }

    fn commit(&mut self, jobs: Vec<Write>) {
        let (mut changes, mut settles) = (Vec::new(), Vec::with_capacity(jobs.len()));
        let mut jobs = jobs.into_iter();
        let begun = Instant::now();
        let result = self.transact(&mut jobs, &mut changes, &mut settles);
        match &result {
            Ok(()) => {
                self.recent.commit();
                self.count(&changes, begun.elapsed());
                self.publish(changes);
            }
            Err(_) => {
                self.metrics.failed_commits.add(1);
                // Rolled back: the heads are those of the disk again.
                self.recent.rollback();
                self.places.forget_all();
            }
        }
        self.report(&result);
        // Whose damage it was has been told so by its own answer.
        let result = result.map_err(|error| match error {
            StoreError::Damaged(_) => StoreError::Unavailable(
                "what was to be committed together with it met something damaged; try again".into(),
            ),
            other => other,
        });
        for settle in settles {
            settle(&result);
        }
        if let Err(error) = result {
            jobs.for_each(|job| job.refuse(error.clone()));
        }
    }

    fn transact(
        &mut self,
        jobs: &mut impl Iterator<Item = Write>,
        changes: &mut Vec<Change>,
        settles: &mut Vec<Settle>,
    ) -> Result<(), StoreError> {
        self.file.check()?;
        crate::fault::point!("log::commit", |_| Err(StoreError::Unavailable("by a test".into())));
        self.sync(true)?;
        let tx = Transaction::new_unchecked(&self.conn, TransactionBehavior::Immediate)?;
        let mut stage = Stage::new(&tx, &self.recent, &mut self.places, changes);
        for write in jobs {
            let session = write.session();
            stage_write(&mut stage, write, settles).inspect_err(|error| {
                if let (StoreError::Damaged(_), Some(session)) = (error, session) {
                    if self.damaged.len() >= DAMAGED_MAX {
                        self.damaged.clear();
                    }
                    self.damaged.insert(session);
                }
            })?;
        }
        stage.finish()?;
        // Whatever fails, the transaction is rolled back by its drop.
        Ok(tx.commit()?)
    }

    /// What wrote no event is no group of events: a probe, a message that was known.
    fn count(&self, changes: &[Change], took: Duration) {
        let events = changes.iter().map(Change::events).sum();
        if events > 0 {
            self.metrics.committed(events, took);
        }
    }

    fn publish(&mut self, changes: Vec<Change>) {
        self.checkpoint_due = true;
        self.is_packing_refused = false;
        for change in changes {
            match change {
                Change::Committed(session, commit) => self.feeds.publish(session, commit),
                Change::Created(session, _) => self.feeds.changed(session),
                Change::Deleted(session, key) => {
                    self.recent.forget(key);
                    self.sweep_due = true;
                    self.compaction_due = true;
                    self.feeds.delete(session);
                }
            }
        }
    }

    /// The callers handle the error; the log says once that it began, and once that it is over.
    fn report(&mut self, result: &Result<(), StoreError>) {
        match result {
            Err(error) if !self.is_failing => {
                log::error!(error:%; "the log cannot be written");
            }
            Ok(()) if self.is_failing => log::info!("the log can be written again"),
            _ => {}
        }
        self.is_failing = result.is_err();
    }

    fn watch(&self, session: SessionId, reader: &Arc<dyn Reader>, answer: Answer<Watch>) {
        let stored = read::stored(&View::of_writer(&self.conn, &self.recent), session);
        let _ = answer.send(stored.map(|stored| self.feeds.open(stored, reader)));
    }

    fn has_chore(&self) -> bool {
        self.sweep_due || !self.prunings.is_empty() || self.compaction_due || self.has_packing()
    }

    fn has_packing(&self) -> bool {
        let is_due = || pack::is_due(self.recent.size(), self.recent_bytes);
        !self.is_packing_refused && (self.packing.is_some() || is_due())
    }

    /// Does a little of what can wait. It need not be on disk when it is done: what it moves or removes is still there
    /// after a loss of power, and the next group's commit brings it along.
    fn chore(&mut self) {
        self.groups_since_chore = 0;
        if let Err(error) = self.sync(false) {
            log::warn!(error:%; "chores of the database wait for the disk");
        }
        if self.has_packing() {
            self.pack();
        } else if self.sweep_due {
            self.sweep();
        } else if !self.prunings.is_empty() {
            self.prune();
        } else {
            self.compact();
        }
    }

    fn pack(&mut self) {
        let mut packing = self.packing.take().unwrap_or_else(|| Packing::new(&self.recent));
        match packing.portion(&self.conn, &self.recent) {
            Ok(true) => self.packing = Some(packing),
            Ok(false) => {}
            // What waits is tried again after the next commit.
            Err(error) => {
                log::warn!(error:%; "the newest events cannot be packed now");
                self.is_packing_refused = true;
            }
        }
        self.checkpoint_due = true;
    }

    fn compact(&mut self) {
        let moved = self.file.check().map_err(|error| error.to_string());
        let moved =
            moved.and_then(|()| compact::portion(&self.conn).map_err(|error| error.to_string()));
        self.compaction_due = moved.unwrap_or_else(|error| {
            // The next removal, or the next start, tries again.
            log::warn!(error; "free space of the database cannot be given back now");
            false
        });
        self.checkpoint_due |= self.compaction_due;
    }

    fn prune(&mut self) {
        let Some((pruning, _)) = self.prunings.front_mut() else { return };
        let portion = self.file.check().and_then(|()| pruning.portion(&self.conn, &self.recent));
        let result = match portion {
            Ok(Portion::Nothing) => return,
            Ok(Portion::Removed(session, first)) => {
                self.checkpoint_due = true;
                self.compaction_due = true;
                return self.feeds.pruned(session, first);
            }
            Ok(Portion::Finished) => Ok(pruning.pruned),
            Err(error) => Err(error),
        };
        if let Some((_, answer)) = self.prunings.pop_front() {
            // Whoever asked may have gone away; what was asked for is done all the same.
            let _ = answer.send(result);
        }
    }

    fn sweep(&mut self) {
        self.sweep_due = sweep::portion(&self.conn).unwrap_or_else(|error| {
            // The next deletion, or the next start, tries again.
            log::warn!(error:%; "what deleted sessions left behind cannot be removed now");
            false
        });
    }

    /// Whether commits wait for the disk, as far as the configuration wants them to.
    fn sync(&mut self, is_synced: bool) -> rusqlite::Result<()> {
        if self.durability == Durability::Full && self.is_synced != is_synced {
            let durability = if is_synced { Durability::Full } else { Durability::Normal };
            set_durability(&self.conn, durability)?;
            self.is_synced = is_synced;
        }
        Ok(())
    }

    fn checkpoint(&mut self, mode: CheckpointMode) {
        self.checkpoint_due = false;
        self.log.copy_all(&self.conn, mode);
    }

    fn finish(mut self) {
        self.checkpoint(CheckpointMode::TRUNCATE);
        drop(self.log);
        if let Err((_, error)) = self.conn.close() {
            log::warn!(error:%; "the database does not close");
        }
    }
}

fn stage_write(
    stage: &mut Stage<'_>,
    write: Write,
    settles: &mut Vec<Settle>,
) -> Result<(), StoreError> {
    match write {
        Write::Create(job, answer) => settle(answer, stage.create(&job.0, &job.1), settles),
        Write::Append(job, answer) => settle(answer, stage.append(&job.0, job.1.as_ref()), settles),
        Write::Delete(session, answer) => settle(answer, stage.delete(session), settles),
        Write::Probe(answer) => settle(answer, stage.probe(), settles),
        #[cfg(test)]
        Write::Inject(fault, answer) => {
            fault(stage.tx);
            settle(answer, Ok(()), settles)
        }
    }
}

/// Keeps the answer until the commit. An error only where the group is lost.
fn settle<T: 'static>(
    answer: Answer<T>,
    result: Result<T, Stop>,
    settles: &mut Vec<Settle>,
) -> Result<(), StoreError> {
    let (result, group) = match result {
        Ok(value) => (Ok(value), Ok(())),
        Err(Stop::Refused(error)) => (Err(error), Ok(())),
        Err(Stop::Failed(error)) => (Err(error.clone()), Err(error)),
    };
    settles.push(Box::new(move |commit| {
        // Whoever asked may have gone away; what was asked for is done all the same.
        let _ = answer.send(result.and_then(|value| commit.clone().map(|()| value)));
    }));
    group
}
