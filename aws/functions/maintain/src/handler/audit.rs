//! The audit by schedule: what the lake says of itself. The stream is not read: a function has not the time to, and would take the
//! throughput of the shards from whoever delivers their records.

use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_lake::{AskedWindow, AuditReport, AuditSettings, LakeError, StoreIndex, audit_stored};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use serde::Serialize;
use serde_json::{Value, json};

use super::{CountedStream, Handler, HandlerError, Time, in_time, stopped};
use crate::asked::Task;
use crate::measured::Measured;

/// For how long the ledger is held against what services counted: since the audit before, which is a day ago unless the schedule says otherwise.
const COUNTED: Duration = Duration::from_secs(24 * 3_600);

/// Where the last audit's report lies under the lake's root. What begins with `_` is no table's, to any of our readers.
pub const LAST: &str = "_audit/last.json";

/// The object at [`LAST`].
#[derive(Debug, Serialize)]
struct Kept<'a> {
    #[serde(with = "alluvium_core::clock::rfc3339")]
    at: Micros,
    balances: bool,
    #[serde(flatten)]
    report: &'a AuditReport,
}

impl Handler {
    /// Audits, logs each problem, and keeps the report in the lake's bucket.
    pub(super) async fn audit(&self, time: Time) -> Result<Value, HandlerError> {
        let task = Task::Audit.name();
        let now = self.clock.now_micros();
        let work = async {
            let Some(report) = self.report(now).await? else { return Ok(None) };
            let kept = self.keep(now, &report).await;
            Ok(Some((report, kept)))
        };
        let (report, kept) = match in_time(time, work).await {
            Some(Ok(Some(audited))) => audited,
            Some(Ok(None)) => {
                tracing::info!("nothing was ever committed, so there is nothing to audit");
                let none =
                    Measured { audit_problems: Some(0), audit_ledger_difference: Some(0), ..Measured::default() };
                self.measure(none);
                return Ok(json!({"task": task, "balances": true, "problems": [], "report": Value::Null}));
            }
            Some(Err(error)) => return Err(self.failed(task, &error)),
            None => {
                self.measure(Measured { failures: 1, ..Measured::default() });
                return Err(stopped(task));
            }
        };
        let problems: Vec<&str> = report.problems().collect();
        for problem in &problems {
            tracing::error!(task, problem, "the audit does not balance");
        }
        let measured = Measured {
            audit_problems: Some(problems.len() as u64),
            audit_ledger_difference: Some(report.ledger_difference),
            failures: u64::from(kept.is_err()),
            ..Measured::default()
        };
        self.measure(measured);
        if let Err(error) = kept {
            tracing::error!(task, %error, "the report of the audit could not be kept");
            return Err(HandlerError::Failed { task, why: error.to_string() });
        }
        Ok(json!({
            "task": task,
            "balances": report.balances(),
            "problems": problems,
            "report": format!("{}/{LAST}", self.root.as_str().trim_end_matches('/')),
        }))
    }

    /// `None`: no committer has opened the lake yet.
    async fn report(&self, now: Micros) -> Result<Option<AuditReport>, LakeError> {
        let reader = self.reader();
        let counts = match &self.counted {
            Some(CountedStream { counts, buffer }) => {
                Some(AskedWindow { now, length: COUNTED, buffer: *buffer }.count(&**counts).await)
            }
            None => None,
        };
        let settings = AuditSettings { commit_within: self.settings.commit.lag, counts, ..AuditSettings::at(now) };
        let index = StoreIndex::new(self.store.clone());
        match audit_stored(&reader, &self.datasets, &index, &settings).await {
            Err(LakeError::NoTable(ledger)) => {
                // A ledger that is gone beside tables that are there is no new lake.
                for dataset in self.datasets.iter() {
                    match reader.snapshot(dataset.name.as_str()).await {
                        Err(LakeError::NoTable(_)) => {}
                        Err(error) => return Err(error),
                        Ok(_) => return Err(LakeError::NoTable(ledger)),
                    }
                }
                Ok(None)
            }
            audited => audited.map(Some),
        }
    }

    async fn keep(&self, at: Micros, report: &AuditReport) -> Result<(), LakeError> {
        let kept = Kept { at, balances: report.balances(), report };
        let bytes = serde_json::to_vec_pretty(&kept).expect("a report holds only texts, numbers and lists of them");
        let stored = self.store.put(&Path::from(LAST), bytes.into()).await;
        stored.map(drop).map_err(|source| LakeError::Store { doing: "store", path: LAST.to_owned(), source })
    }
}
