//! How many bytes of data files a statement has read.
//!
//! Two read them: DataFusion's scans, which count by themselves, and the search for first arrivals, which runs while the statement is planned and
//! finds its [`Scanned`] in the session.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::physical_plan::ExecutionPlan;

/// What DataFusion's scans call the count.
const METRIC: &str = "bytes_scanned";

/// The count of one statement.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    counted: AtomicU64,
    /// The plan while it is executed: its scans are added to what was counted.
    executing: Mutex<Option<Arc<dyn ExecutionPlan>>>,
}

impl Scanned {
    /// Adds what was read by others than a plan's scans.
    pub(super) fn add(&self, bytes: u64) {
        self.counted.fetch_add(bytes, Ordering::Relaxed);
    }

    /// From now on this plan is executed.
    pub(super) fn executes(&self, plan: Arc<dyn ExecutionPlan>) {
        *self.executing() = Some(plan);
    }

    /// The plan is executed: what its scans read stays counted, and the plan is let go.
    pub(super) fn ended(&self) {
        if let Some(plan) = self.executing().take() {
            self.add(by_scans(plan.as_ref()));
        }
    }

    /// The bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        let executing = self.executing();
        self.counted.load(Ordering::Relaxed) + executing.as_deref().map_or(0, by_scans)
    }

    fn executing(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn ExecutionPlan>>> {
        self.executing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all scans of a plan have read so far.
fn by_scans(plan: &dyn ExecutionPlan) -> u64 {
    let own = plan.metrics().and_then(|metrics| metrics.sum_by_name(METRIC)).map_or(0, |sum| sum.as_usize() as u64);
    own + plan.children().into_iter().map(|child| by_scans(child.as_ref())).sum::<u64>()
}
