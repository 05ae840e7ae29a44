//! Lines of one session, evenly, on a thread of their own, so that what else this process does delays them as little as can
//! be: how long they take while something happens to others.

use super::{
    super::{
        figures::Times,
        target::{Publisher, Subscription},
    },
    Length, Load, Plan,
};
use anyhow::Context;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::Duration,
};

/// Lines a second.
const RATE: f64 = 200.0;
/// Less would say nothing of the slowest of a hundred.
const LEAST: usize = 100;

pub(in crate::cli::bench) struct Probe {
    stop: Arc<AtomicBool>,
    /// Where the times since the last look are sent on asking.
    asked: mpsc::Sender<mpsc::Sender<Times>>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Probe {
    pub(in crate::cli::bench) fn start(subscription: Subscription, publisher: Publisher) -> Self {
        let plan = Plan {
            rate: Some(RATE),
            window: usize::MAX,
            ..Plan::new(1, Length::Time(Duration::from_millis(20)))
        };
        let (asked, asks) = mpsc::channel::<mpsc::Sender<Times>>();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut load = Load::empty(plan)?;
            load.write(publisher)?;
            load.read(subscription, 0)?;
            load.until(|load| load.readers[0].is_ready())?;
            let mut ask = None;
            while !stopped.load(Ordering::Relaxed) {
                load.publish_for(plan.length)?;
                ask = ask.or_else(|| asks.try_recv().ok());
                if load.times.len() >= LEAST
                    && let Some(answer) = ask.take()
                {
                    // Who asked may have given up.
                    let _ = answer.send(std::mem::take(&mut load.times));
                }
            }
            Ok(())
        });
        Self { stop, asked, thread }
    }

    /// The times since the last look, which are a hundred at least.
    pub(in crate::cli::bench) fn taken(&self) -> anyhow::Result<Times> {
        let (answer, times) = mpsc::channel();
        self.asked.send(answer).context("the probe has ended")?;
        times.recv().context("the probe has ended")
    }

    /// The times of the next so long.
    pub(in crate::cli::bench) fn look(&self, time: Duration) -> anyhow::Result<Times> {
        self.taken()?;
        std::thread::sleep(time);
        self.taken()
    }

    pub(in crate::cli::bench) fn finish(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the probe panicked"))?
    }
}
