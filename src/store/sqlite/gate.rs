//! The way in: calls become jobs in two bounded queues, one to the writer and one to the readers.
//! Nothing waits here; a full queue is an answer.

use super::{
    super::{
        Answer, Append, Appended, Create, Created, Entry, Pruned, Reader, Retention, StoreError,
        Watch,
    },
    row::EncodedRow,
};
use crate::{domain::SessionId, metrics::StoreMetrics};
use rusqlite::Connection;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
    mpsc::{Receiver, SendError, Sender, channel},
};

/// How many bytes of events and contents may wait for the writer; a single job may always.
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the writer is asked for.
pub(super) enum Job {
    Write(Write),
    Watch(SessionId, Arc<dyn Reader>, Answer<Watch>),
    Prune(Retention, Answer<Pruned>),
    /// Answered behind all that came before.
    Settled(Answer<()>),
}

/// What becomes part of a group's transaction.
pub(super) enum Write {
    Create(Box<(Create, EncodedRow)>, Answer<Created>),
    Append(Box<(Append, Option<EncodedRow>)>, Answer<Appended>),
    Delete(SessionId, Answer<bool>),
    Probe(Answer<()>),
    /// Lets a test do to the writer's connection, or thread, what a disk or a defect would.
    #[cfg(test)]
    Inject(Box<dyn FnOnce(&Connection) + Send>, Answer<()>),
}

/// A read, to be called with a reader's connection or with the reason why there is none.
pub(super) type Read = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
    queue: u64,
    waiting_bytes: AtomicUsize,
    metrics: Arc<StoreMetrics>,
}

#[derive(Debug)]
struct State {
    /// None once closed: the writer and the readers end when they have done what was queued.
    senders: Option<(Sender<Job>, Sender<Read>)>,
    closers: Vec<Answer<()>>,
}

impl Gate {
    pub(super) fn new(
        queue: usize,
        metrics: Arc<StoreMetrics>,
    ) -> (Self, Receiver<Job>, Receiver<Read>) {
        let queue = queue.max(1);
        // Bounded by what is counted, at the door: a bounded channel would take the memory of a full queue at once.
        let ((jobs, job_queue), (reads, read_queue)) = (channel(), channel());
        let state = State { senders: Some((jobs, reads)), closers: Vec::new() };
        let state = Mutex::new(state);
        let queue = queue as u64;
        let gate = Self { state, queue, waiting_bytes: AtomicUsize::new(0), metrics };
        (gate, job_queue, read_queue)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().senders.is_some()
    }

    /// Hands the job to the writer, or refuses it at once.
    pub(super) fn write(&self, job: Job) {
        let bytes = job.bytes();
        let state = self.lock();
        let Some((jobs, _)) = &state.senders else {
            return job.refuse(StoreError::closed());
        };
        let waiting = self.waiting_bytes.load(Ordering::Relaxed);
        if waiting > 0 && waiting + bytes > WAITING_BYTES_MAX {
            return job.refuse(StoreError::Unavailable(format!(
                "{waiting} bytes wait already; at most {WAITING_BYTES_MAX} may; try again in a moment"
            )));
        }
        if self.metrics.waiting_writes.get() >= self.queue {
            return job.refuse(self.full());
        }
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        // Counted before it can be taken, so that the count never goes below zero.
        self.metrics.waiting_writes.add(1);
        if let Err(SendError(job)) = jobs.send(job) {
            self.taken(1, bytes);
            job.refuse(StoreError::closed());
        }
    }

    /// The writer has taken so many jobs, of so many bytes together.
    pub(super) fn taken(&self, jobs: usize, bytes: usize) {
        self.metrics.waiting_writes.subtract(jobs as u64);
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Hands the read to the readers, or refuses it at once.
    pub(super) fn read(&self, read: Read) {
        let state = self.lock();
        let Some((_, reads)) = &state.senders else {
            return read(Err(StoreError::closed()));
        };
        if self.metrics.waiting_reads.get() >= self.queue {
            return read(Err(self.full()));
        }
        self.metrics.waiting_reads.add(1);
        if let Err(SendError(read)) = reads.send(read) {
            self.metrics.waiting_reads.subtract(1);
            read(Err(StoreError::closed()));
        }
    }

    /// Lets nothing more in; `answer` comes when the writer has ended.
    pub(super) fn close(&self, answer: Answer<()>) {
        let mut state = self.lock();
        if state.senders.take().is_some() {
            state.closers.push(answer);
        } else {
            let _ = answer.send(Err(StoreError::closed()));
        }
    }

    /// The writer has ended, in order or not: nothing more gets in, and who waits for a close learns how it went.
    pub(super) fn ended(&self, result: Result<(), StoreError>) {
        let mut state = self.lock();
        state.senders = None;
        for answer in state.closers.drain(..) {
            let _ = answer.send(result.clone());
        }
    }

    fn full(&self) -> StoreError {
        let queue = self.queue;
        StoreError::Unavailable(format!("{queue} calls wait already; try again in a moment"))
    }
}

impl Job {
    /// What it keeps in memory, but for small change.
    pub(super) fn bytes(&self) -> usize {
        let (events, accept) = match self {
            Job::Write(Write::Create(job, _)) => (&job.0.events, &job.0.accept),
            Job::Write(Write::Append(job, _)) => (&job.0.events, &job.0.accept),
            _ => return 0,
        };
        let content = accept.as_ref().map_or(0, |accept| accept.content.len());
        content + events.iter().map(Entry::bytes).sum::<usize>()
    }

    /// The session of events that nobody waits for: no message's receipt hangs on them.
    pub(super) fn quiet(&self) -> Option<SessionId> {
        match self {
            Job::Write(Write::Append(job, _)) if job.0.accept.is_none() => Some(job.0.session),
            _ => None,
        }
    }

    fn refuse(self, error: StoreError) {
        match self {
            Job::Write(write) => write.refuse(error),
            Job::Watch(_, _, answer) => refuse(answer, error),
            Job::Prune(_, answer) => refuse(answer, error),
            Job::Settled(answer) => refuse(answer, error),
        }
    }
}

impl Write {
    /// Whose events it is about.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self {
            Write::Create(job, _) => Some(job.0.session.id),
            Write::Append(job, _) => Some(job.0.session),
            Write::Delete(session, _) => Some(*session),
            _ => None,
        }
    }

    pub(super) fn refuse(self, error: StoreError) {
        match self {
            Write::Create(_, answer) => refuse(answer, error),
            Write::Append(_, answer) => refuse(answer, error),
            Write::Delete(_, answer) => refuse(answer, error),
            Write::Probe(answer) => refuse(answer, error),
            #[cfg(test)]
            Write::Inject(_, answer) => refuse(answer, error),
        }
    }
}

fn refuse<T>(answer: Answer<T>, error: StoreError) {
    // Whoever asked may not be interested any more.
    let _ = answer.send(Err(error));
}
