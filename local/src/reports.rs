//! Reports on one machine: each statement of a folder is run once for each window, and its result kept as CSV and Parquet.
//!
//! A window is made when its delay has passed and the lake has everything that had arrived by then. Windows that were missed, because no node
//! ran or the statement failed, are made afterwards, the newest first. One report is run at a time, on the engine that answers everybody's
//! statements, within its limits.
//!
//! - **RP-1** a window has one result, however often it was made and wherever making it was interrupted: see [`Kept`].

mod definitions;
mod kept;
mod make;
mod schedule;
mod status;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{PortError, SqlEngine};
use alluvium_core::{Clock, Report, ReportName};
use async_trait::async_trait;

use crate::disk::Disk;

pub use definitions::{Definition, check, load, read};
pub use make::ReportsError;

use kept::Kept;
use schedule::Trouble;

/// How reports are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportsSettings {
    /// How many results of each report are kept; older ones are deleted. Default 400.
    pub windows_kept: usize,
    /// How many of the newest windows are made afterwards when they were missed, at most. Default 100.
    pub catch_up: usize,
    /// The most bytes of one file of a result. Default 256 MiB.
    pub result_bytes: u64,
    /// How often it is looked whether a window is due. Default 1 s.
    pub look_every: Duration,
}

impl Default for ReportsSettings {
    fn default() -> Self {
        Self { windows_kept: 400, catch_up: 100, result_bytes: 256 << 20, look_every: Duration::from_secs(1) }
    }
}

/// Tells what the lake has.
#[async_trait]
pub trait Committed: Send + Sync {
    /// A time: all that had arrived before it is in the tables.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    async fn committed_before(&self) -> Result<Micros, PortError>;
}

/// The reports of one node, and their results.
pub struct Reports {
    engine: Arc<dyn SqlEngine>,
    committed: Arc<dyn Committed>,
    clock: Arc<dyn Clock>,
    settings: ReportsSettings,
    kept: Arc<Kept>,
    /// Those that can be run, and when each was first seen.
    reports: BTreeMap<ReportName, (Arc<Report>, Micros)>,
    /// What is wrong with the others, by name.
    broken: BTreeMap<String, String>,
    trouble: Mutex<BTreeMap<ReportName, Trouble>>,
    /// Whose turn it was last.
    last: Mutex<Option<ReportName>>,
    /// Held by whoever runs one.
    busy: Arc<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reports").field("reports", &self.reports.keys()).finish_non_exhaustive()
    }
}

/// What reports are run with.
pub struct ReportsParts {
    /// Answers their statements.
    pub engine: Arc<dyn SqlEngine>,
    /// Tells what the lake has.
    pub committed: Arc<dyn Committed>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where results are written.
    pub disk: Arc<dyn Disk>,
    /// The folder of the results.
    pub folder: PathBuf,
}

impl Reports {
    /// These reports, with the results that the folder holds; what a crash left half done there is finished or removed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read or written.
    pub fn open(parts: ReportsParts, definitions: Vec<Definition>, settings: ReportsSettings) -> std::io::Result<Self> {
        let ReportsParts { engine, committed, clock, disk, folder } = parts;
        let kept = Kept::open(disk, folder)?;
        let now = clock.now_micros();
        let (mut reports, mut broken) = (BTreeMap::new(), BTreeMap::new());
        for Definition { name, report } in definitions {
            match report {
                Ok(report) => {
                    let seen = kept.first_seen(&report.name, now)?;
                    reports.insert(report.name.clone(), (Arc::new(report), seen));
                }
                Err(problem) => {
                    tracing::warn!(report = name, problem, "a report is broken and is not run");
                    broken.insert(name, problem);
                }
            }
        }
        Ok(Self {
            engine,
            committed,
            clock,
            settings,
            kept: Arc::new(kept),
            reports,
            broken,
            trouble: Mutex::default(),
            last: Mutex::default(),
            busy: Arc::default(),
        })
    }

    /// Waits until nothing is being written: for a node that has stopped running reports and is about to give its folder away.
    pub async fn at_rest(&self) {
        drop(self.busy.lock().await);
    }

    fn trouble(&self) -> MutexGuard<'_, BTreeMap<ReportName, Trouble>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
