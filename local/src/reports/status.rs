//! Reports and results as they are looked at.

use alluvium_core::Report;
use alluvium_core::clock::Micros;
use alluvium_core::file::{FileFormat, OpenFile};
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::report::{ReportResults, ReportStatus, ResultsPage, WindowId};
use async_trait::async_trait;

use super::Reports;
use crate::export::FileOnDisk;

impl Reports {
    fn status_of(&self, report: &Report, now: Micros, kept: usize) -> ReportStatus {
        let missing = self.missing(report, now);
        let trouble = self.trouble().get(&report.name).cloned();
        let next = missing.iter().map(|window| report.due(*window)).min();
        let next = next.unwrap_or_else(|| report.due(report.windows.after(report.newest_due(now))));
        ReportStatus {
            name: report.name.to_string(),
            title: report.title.clone(),
            window: Some(report.windows.length()),
            delay: Some(report.delay),
            broken: None,
            next_run: Some(trouble.as_ref().map_or(next, |trouble| next.max(trouble.again))),
            waiting: missing.len(),
            failure: trouble.map(|trouble| trouble.failure),
            kept,
        }
    }
}

fn not_run(name: &str, problem: &str, kept: usize) -> ReportStatus {
    ReportStatus {
        name: name.to_owned(),
        title: name.to_owned(),
        window: None,
        delay: None,
        broken: Some(problem.to_owned()),
        next_run: None,
        waiting: 0,
        failure: None,
        kept,
    }
}

#[async_trait]
impl ReportResults for Reports {
    async fn reports(&self) -> Result<Vec<ReportStatus>, PortError> {
        let now = self.clock.now_micros();
        let kept: Vec<_> = self.kept.lock().iter().map(|(name, results)| (name.clone(), results.len())).collect();
        let kept_of = |name: &str| kept.iter().find(|(known, _)| known == name).map_or(0, |(_, count)| *count);
        let run = self.reports.values();
        let run = run.map(|(report, _)| self.status_of(report, now, kept_of(report.name.as_str())));
        let broken = self.broken.iter().map(|(name, problem)| not_run(name, problem, kept_of(name)));
        let is_known = |name: &str| self.reports.contains_key(name) || self.broken.contains_key(name);
        let gone = kept.iter().filter(|(name, count)| *count > 0 && !is_known(name)).map(|(name, count)| {
            let problem =
                format!("there is no file `{name}.sql` any more; its results stay until their folder is removed");
            not_run(name, &problem, *count)
        });
        let mut reports: Vec<_> = run.chain(broken).chain(gone).collect();
        reports.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(reports)
    }

    async fn results(
        &self,
        report: &str,
        before: Option<WindowId>,
        most: usize,
    ) -> Result<Option<ResultsPage>, PortError> {
        let kept = self.kept.lock();
        let Some(results) = kept.get(report) else {
            let is_known = self.reports.contains_key(report) || self.broken.contains_key(report);
            return Ok(is_known.then(ResultsPage::default));
        };
        let older = || match before {
            Some(before) => results.range(..before),
            None => results.range(..),
        };
        let page = older().rev().take(most).map(|(_, result)| result.clone()).collect();
        Ok(Some(ResultsPage { results: page, more: older().count() > most }))
    }

    async fn open(
        &self,
        report: &str,
        window: WindowId,
        format: FileFormat,
    ) -> Result<Option<Box<dyn OpenFile>>, PortError> {
        let (kept, name) = (self.kept.clone(), report.to_owned());
        let opened = tokio::task::spawn_blocking(move || kept.open_file(&name, window, format)).await;
        let opened = opened.map_err(std::io::Error::other).and_then(|opened| opened);
        let opened = opened.map_err(|error| unreadable(report, window, error))?;
        Ok(opened.map(|(file, facts)| {
            let what = format!("the result {window} of `{report}`");
            Box::new(FileOnDisk::new(file, facts.bytes, facts.sha256, what)) as Box<dyn OpenFile>
        }))
    }
}

fn unreadable(report: &str, window: WindowId, error: std::io::Error) -> PortError {
    PortError::because(Advice::Retry, format!("the result {window} of `{report}` cannot be read"), error)
}
