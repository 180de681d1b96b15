//! Which window is made next, and what is done about those that fail.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};

use alluvium_core::clock::Micros;
use alluvium_core::report::{ReportFailure, WindowId, pause_after};
use alluvium_core::{Report, ReportName, Window};

use super::Reports;
use super::kept::newer;
use super::make::ReportsError;

/// A report that has failed and not succeeded since.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    pub(super) failure: ReportFailure,
    /// When it is tried again.
    pub(super) again: Micros,
    /// How often each window has failed: those that have not come first.
    windows: BTreeMap<WindowId, u32>,
}

impl Reports {
    /// Makes what is due, one window after the other, for as long as the node runs.
    pub async fn run(self: Arc<Self>) {
        describe_metrics();
        loop {
            while self.make_next().await {}
            tokio::time::sleep(self.settings.look_every).await;
        }
    }

    /// Makes the next window that is due; says whether there was one.
    pub async fn make_next(&self) -> bool {
        let due = self.due();
        if due.is_empty() {
            return false;
        }
        let committed = match self.committed.committed_before().await {
            Ok(committed) => committed,
            Err(error) => {
                tracing::warn!(%error, "reports wait, because it is not known what is committed");
                return false;
            }
        };
        let Some((report, window)) = due.into_iter().find(|(report, window)| report.due(*window) <= committed) else {
            return false;
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.name.clone());
        if let Err(error) = self.run_once(&report, window).await {
            self.note_failure(&report, window, &error);
        }
        true
    }

    /// What is due now, each report's in the order in which they are made, and the reports after the one that was last first.
    fn due(&self) -> Vec<(Arc<Report>, Window)> {
        let now = self.clock.now_micros();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (behind, up_to) = match &last {
            Some(last) => ((Bound::Excluded(last), Bound::Unbounded), (Bound::Unbounded, Bound::Included(last))),
            None => ((Bound::Unbounded, Bound::Unbounded), (Bound::Unbounded, Bound::Unbounded)),
        };
        let turns = self.reports.range::<ReportName, _>(behind);
        let turns = turns.chain(self.reports.range::<ReportName, _>(up_to).filter(|_| last.is_some()));
        let due = turns.flat_map(|(_, (report, _))| {
            let failed = match self.trouble().get(&report.name) {
                Some(trouble) if trouble.again > now => return Vec::new(),
                Some(trouble) => trouble.windows.clone(),
                None => BTreeMap::new(),
            };
            let mut missing = self.missing(report, now);
            missing.sort_by_key(|window| failed.get(&window.id()).copied().unwrap_or_default());
            missing.into_iter().map(|window| (report.clone(), window)).collect()
        });
        due.collect()
    }

    /// The windows of a report that are due and not made, the newest first: back to the newest that was due when the report was first seen,
    /// and no more than are made afterwards.
    pub(super) fn missing(&self, report: &Report, now: Micros) -> Vec<Window> {
        let Some((_, seen)) = self.reports.get(&report.name) else { return Vec::new() };
        let results = self.kept.lock();
        let results = results.get(report.name.as_str());
        let is_made = |window: &Window| {
            results.and_then(|results| results.get(&window.id())).is_some_and(|result| result.to == window.end)
        };
        let missing = report.timing().missing(*seen, now, self.settings.catch_up, is_made);
        // One that as many newer results would have removed at once, for the report had other windows before, is not made.
        let newer = |window: &Window| results.map_or(0, |results| newer(results, *window));
        missing.into_iter().filter(|window| newer(window) < self.settings.windows_kept).collect()
    }

    /// Keeps a failure, and has the report wait. What somebody makes on purpose is theirs to try again: they are told of the failure.
    fn note_failure(&self, report: &Report, window: Window, error: &ReportsError) {
        let at = self.clock.now_micros();
        let mut trouble = self.trouble();
        let before = trouble.remove(&report.name);
        let times = before.as_ref().map_or(0, |before| before.failure.times).saturating_add(1);
        let pause = pause_after(times);
        let mut windows = before.map(|before| before.windows).unwrap_or_default();
        *windows.entry(window.id()).or_default() += 1;
        tracing::warn!(report = %report.name, window = %window.id(), times, %error, "a report failed; it is tried again");
        let failure = ReportFailure { from: window.start, at, times, error: error.to_string() };
        let again = at.saturating_add(pause);
        trouble.insert(report.name.clone(), Trouble { failure, again, windows });
    }
}

fn describe_metrics() {
    metrics::describe_counter!("alluvium_reports_made_total", "Results of reports that were made, by report.");
    metrics::describe_counter!("alluvium_report_failures_total", "Runs of reports that failed, by report.");
    metrics::describe_histogram!(
        "alluvium_report_seconds",
        metrics::Unit::Seconds,
        "One run of a report that made its result."
    );
}
