//! One run of the benchmark: who takes part, how long things take, and the samples so far. Whoever is compared takes turns
//! within each round, and a machine that others use at the same time is told of.

use super::{
    disk::{self, Disk},
    figures::{Figures, Sample, rounded},
    load::{self, Plan},
    meter::Machine,
    target::{Setup, Subject},
};
use std::time::Duration;

/// Above this the others may have decided what was measured.
pub(super) const OTHERS: f64 = 0.2;
pub(super) const OTHERS_FIGURE: &str = "others_cores";

pub(super) struct Run {
    pub(super) setup: Setup,
    pub(super) rounds: usize,
    /// A tenth of everything.
    pub(super) quick: bool,
    pub(super) disk: Disk,
    pub(super) samples: Vec<Sample>,
    /// Whom to tell what is being done.
    pub(super) remark: fn(&str),
}

impl Run {
    /// So many seconds, or a tenth.
    pub(super) fn seconds(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { seconds / 10.0 } else { seconds })
    }

    /// So many, or a tenth.
    pub(super) fn count(&self, count: usize) -> usize {
        if self.quick { (count / 10).max(1) } else { count }
    }

    /// One measurement, with what others used of the machine meanwhile. What our own server fails at ends the run; a peer or a
    /// limit that fails is told and left out.
    pub(super) fn sample(
        &mut self,
        (workload, case): (&str, &str),
        subject: &str,
        round: usize,
        measure: impl FnOnce(&Setup) -> anyhow::Result<Figures>,
    ) -> anyhow::Result<()> {
        let sync = if self.quick { None } else { Some(self.disk.settled(&self.setup.folder)?) };
        let machine = Machine::now();
        let result = measure(&self.setup);
        let others = machine.others();
        let mut figures = match result {
            Err(error) if !subject.starts_with(super::seawall::SEAWALL) => {
                (self.remark)(&format!("{workload}, {case}: {subject} failed: {error:#}"));
                return Ok(());
            }
            result => result?,
        };
        figures.insert(OTHERS_FIGURE.into(), rounded(others));
        if let Some(sync) = sync {
            figures.insert(disk::FIGURE.into(), rounded(sync));
        }
        if others > OTHERS {
            (self.remark)(&format!("{workload}, {case}: others used {others:.1} cores meanwhile"));
        }
        let (workload, case, subject) = (workload.into(), case.into(), subject.into());
        self.samples.push(Sample { workload, case, subject, round, figures });
        Ok(())
    }

    /// A load on each of these, in turn, in every round on fresh servers.
    pub(super) fn compare(
        &mut self,
        workload: &str,
        cases: &[(&str, Plan)],
        subjects: &[&Subject],
    ) -> anyhow::Result<()> {
        for round in 0..self.rounds {
            for (case, plan) in cases {
                for subject in subjects {
                    self.sample((workload, case), subject.name, round, |setup| {
                        let mut target = (subject.start)(setup)?;
                        Ok(load::run(target.as_mut(), *plan)?.figures())
                    })?;
                }
            }
        }
        Ok(())
    }
}
