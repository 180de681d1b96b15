//! How soon and how often the tables gain a version.

use super::batches::Batches;
use super::bill::{SECONDS, down};
use super::figures::Figures;
use super::workload::{Ingest, Workload};

/// How long things are gathered, so that SQL sees an event in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Freshness {
    /// In a producer, for a record; nothing where requests bring the events.
    pub linger_seconds: f64,
    /// At Firehose.
    pub buffer_seconds: f64,
    /// At the commit queue.
    pub commit_seconds: f64,
}

/// A second for the transform and one for the commit: docs/aws.md, "Freshness against files".
const WORK_SECONDS: f64 = 2.0;

/// An event that waits longer in a producer is lost with it for longer: a second is enough.
const LINGER_SECONDS: (f64, f64) = (0.1, 1.0);

impl Freshness {
    /// A tenth of what is asked for goes to the producer and a quarter to the queue, the rest to Firehose: files are its, and cost more
    /// than commits.
    pub fn of(workload: &Workload) -> Self {
        let within = workload.fresh_within.as_secs_f64();
        let linger_seconds = match workload.ingest {
            Ingest::Producers => (within / 10.0).clamp(LINGER_SECONDS.0, LINGER_SECONDS.1),
            Ingest::Http | Ingest::Direct => 0.0,
        };
        let commit_seconds = down(within / 4.0).clamp(1.0, 300.0);
        let left = within - WORK_SECONDS - linger_seconds - commit_seconds;
        Self { linger_seconds, buffer_seconds: down(left).clamp(1.0, 900.0), commit_seconds }
    }
}

/// The commits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Commits {
    /// How many a second, the mean.
    pub per_second: f64,
    /// Seconds that one takes.
    pub seconds: f64,
    /// Commit messages a second that one table's log can take at most.
    pub most_messages_per_second: f64,
}

impl Commits {
    /// How long one takes does not depend on how many there are: its requests to S3 wait for one another.
    pub fn seconds(workload: &Workload, figures: &Figures) -> f64 {
        let rounds = figures.commit_rounds.value + workload.datasets as f64;
        (rounds * figures.s3_ms.value + figures.commit_ms.value) / 1e3
    }

    /// A table's versions come one after another, whoever writes them: so many messages fit into a second.
    pub fn most_messages_per_second(workload: &Workload, figures: &Figures) -> f64 {
        figures.commit_messages.value / Self::seconds(workload, figures)
    }

    /// Of these batches, a message each.
    pub fn of(workload: &Workload, batches: &Batches, fresh: Freshness, figures: &Figures) -> Self {
        let needed = (1.0 / fresh.commit_seconds).max(batches.per_second / figures.commit_messages.value);
        Self {
            per_second: needed.min(batches.per_second),
            seconds: Self::seconds(workload, figures),
            most_messages_per_second: Self::most_messages_per_second(workload, figures),
        }
    }

    /// Commits in a month.
    pub fn a_month(&self) -> f64 {
        self.per_second * SECONDS
    }
}
