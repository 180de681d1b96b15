//! The audit: is every event accounted for?
//!
//! It looks at the lake as of the newest ledger commit: the ledger says up to which version each table is copied, and at those
//! versions all tables have exactly the records up to the position (see the module `ledger`). So the sums must agree even when a
//! crash left some tables ahead of others, or while a committer runs. What lies beyond is counted as not yet committed.

mod counted;
mod coverage;
mod days;
mod erasures;
mod files;
mod identities;
mod index;
mod messages;
mod redrives;
mod report;
mod rows;
mod stored;
mod stream;
mod sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{ObjectIndex, Stream};
use alluvium_core::{DatasetName, Datasets, LedgerEntry};
use futures::StreamExt as _;

pub use counted::{AskedCounts, AskedWindow, CountedWindow};
#[cfg(test)]
pub(crate) use erasures::check as check_erasures;
pub use identities::RecordReader;
pub use report::{
    AuditReport, Check, DatasetAudit, DayAudit, SelectedAudit, ShardAudit, TableAudit, UncommittedMessage,
};
pub use stored::audit_stored;
pub use stream::StreamCounts;

use crate::error::{LakeError, Result};
use crate::ledger_file::{self, LedgerRows};
use crate::pending;
use crate::reader::{ActiveFile, TableSnapshot};
use crate::reader::{LakeReader, snapshot_of};
use crate::state::{Files, TableState};
use redrives::Marked;
use rows::Differ;

/// How many ledger files are read at a time.
const READ_AHEAD: usize = 16;

// What the checks say should be so that more than one audit makes.
const LEDGER: &str = "every ledger entry balances, and each is there once";
const ROWS: &str = "the tables' rows are those of the ledger, less what maintenance took out";
const FILES: &str = "every data file is there with its size";
const ERASURES: &str = "every erasure is done, and closed in its time";
const INDEX: &str = "the object index tells of each data file what the table's log does";
const MESSAGES: &str = "every commit message that is stored is committed in time";

/// How an audit is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// When it is made.
    pub now: Micros,
    /// How long a stored commit message may wait for its commit, where several committers share the lake.
    pub commit_within: Duration,
    /// Of what arrived from then on sums are given too. The checks always run over everything.
    pub since: Option<Micros>,
    /// Of this dataset sums are given too; `dead_letters` stands for the events that belong to none.
    pub dataset: Option<String>,
    /// What services counted of the stream, to hold the ledger against; `None`: none were asked.
    pub counts: Option<AskedCounts>,
}

impl AuditSettings {
    /// How long a commit message may wait, unless something else is said.
    pub const COMMIT_WITHIN: Duration = Duration::from_secs(600);

    /// An audit of everything, made now.
    pub fn at(now: Micros) -> Self {
        Self { now, commit_within: Self::COMMIT_WITHIN, since: None, dataset: None, counts: None }
    }

    fn selects(&self, dataset: &str, at: Micros) -> bool {
        self.since.is_none_or(|since| at >= since) && self.dataset.as_ref().is_none_or(|only| only == dataset)
    }
}

/// Recomputes what the lake says of itself, compares the index of its files with it, and asks the stream for what it still holds.
///
/// # Errors
///
/// When the store, the index or the stream cannot be asked, or a table's log cannot be read; [`LakeError::NoDataset`] when the dataset that is
/// asked for is none. What does not balance is in the report, not an error.
pub async fn audit(
    reader: &LakeReader,
    datasets: &Datasets,
    index: &dyn ObjectIndex,
    stream: &dyn StreamCounts,
    settings: &AuditSettings,
) -> Result<AuditReport> {
    // Listed first, so that whatever lies there and is committed by the end is in.
    let stored = pending::stored(reader).await?;
    let ledger = reader.newest(DatasetName::ledger().as_str()).await?;
    let mut checks = Checks::default();
    let examined = examine(reader, datasets, &ledger, &mut checks).await?;
    examined.check_asked(settings)?;
    erasures::check(reader, settings.now, &mut checks.erasures).await?;
    let entries = &examined.rows.entries;
    let mut shards = coverage::check(entries, &ledger.positions, &mut checks.coverage);
    stream::check(stream, entries, &mut shards, &mut checks.stream).await?;
    examined.check_redrives(&shards, &mut checks.redrives);
    let mut indexed = Findings::default();
    index::check(index, &examined.files, &mut indexed).await?;
    let uncommitted = messages::uncommitted(reader, &stored, entries).await?;
    messages::tell(&uncommitted, &mut checks.files);
    let mut checks = checks.finish(
        "the ledger covers every record up to the position, once",
        "the ledger has every event that the stream holds",
    );
    checks.push(indexed.into_check(INDEX));
    Ok(examined.report(settings, shards, uncommitted, checks))
}

/// Recomputes what a lake that several committers share says of itself, and reads the stream for what it still holds.
///
/// There are no positions, and the stream's numbers may have gaps. So each record that the stream holds is looked for among the runs
/// that the batches cover, and each batch is proven by its identity, which is a hash over those of its records. A record that no
/// batch covers is lost, or its message is still on its way, unless it lies after everything committed of its shard; so audit
/// when the queue is empty.
///
/// # Errors
///
/// As [`audit`].
pub async fn audit_shared(
    reader: &LakeReader,
    datasets: &Datasets,
    stream: &dyn Stream,
    records: &dyn RecordReader,
    settings: &AuditSettings,
) -> Result<AuditReport> {
    // Listed first, so that whatever lies there and is committed by the end is in.
    let stored = pending::stored(reader).await?;
    let ledger = reader.newest(DatasetName::ledger().as_str()).await?;
    let mut checks = Checks::default();
    let examined = examine(reader, datasets, &ledger, &mut checks).await?;
    examined.check_asked(settings)?;
    erasures::check(reader, settings.now, &mut checks.erasures).await?;
    let entries = &examined.rows.entries;
    let shards = identities::check(stream, records, entries, &mut checks.coverage, &mut checks.stream).await?;
    examined.check_redrives(&shards, &mut checks.redrives);
    let mut uncommitted = messages::uncommitted(reader, &stored, entries).await?;
    let mut overdue = Findings::default();
    messages::check(&mut uncommitted, settings, &mut overdue);
    let mut checks = checks.finish(
        "every record that the stream holds is in one batch",
        "the batches are made of the records that the stream holds, and have their events",
    );
    checks.push(overdue.into_check(MESSAGES));
    Ok(examined.report(settings, shards, uncommitted, checks))
}

fn batches_in(entries: &[LedgerEntry]) -> usize {
    entries.iter().map(|entry| &entry.batch).collect::<BTreeSet<_>>().len()
}

/// What the lake says of itself.
struct Examined {
    ledger_version: u64,
    rows: LedgerRows,
    /// Every table, the ledger first, then by name.
    tables: Vec<TableAudit>,
    /// The ledger's sums.
    datasets: Vec<DatasetAudit>,
    differ: Differ,
    /// The files of every table but the ledger, by its name.
    files: BTreeMap<String, Vec<ActiveFile>>,
    marked: Marked,
}

impl Examined {
    fn check_redrives(&self, shards: &[ShardAudit], findings: &mut Findings) {
        redrives::check(&self.marked, &self.rows.entries, shards, findings);
    }

    /// Refuses a dataset that is none, before the stream is read, which may take long.
    fn check_asked(&self, settings: &AuditSettings) -> Result<()> {
        let Some(asked) = &settings.dataset else { return Ok(()) };
        let is_dataset =
            *asked != *DatasetName::ledger().as_str() && self.tables.iter().any(|table| table.table == *asked);
        if is_dataset { Ok(()) } else { Err(LakeError::NoDataset(asked.clone())) }
    }

    fn report(
        self,
        settings: &AuditSettings,
        shards: Vec<ShardAudit>,
        uncommitted: Vec<UncommittedMessage>,
        mut checks: Vec<Check>,
    ) -> AuditReport {
        let Self { ledger_version, rows, tables, datasets, differ, .. } = self;
        let counted = settings.counts.as_ref().and_then(|counts| {
            let mut findings = Findings::default();
            let counted = counted::check(counts, &rows.entries, &mut findings);
            checks.push(findings.into_check(counted::COUNTS));
            counted
        });
        let entries = rows.entries.iter().filter(|entry| settings.selects(&entry.dataset, entry.arrival));
        let removals = rows.removals.iter().filter(|gone| settings.selects(&gone.table, gone.at));
        let days = days::days(entries.clone());
        let selected = (settings.since.is_some() || settings.dataset.is_some()).then(|| SelectedAudit {
            since: settings.since,
            dataset: settings.dataset.clone(),
            datasets: rows::sums(entries, removals).into_values().collect(),
        });
        AuditReport {
            ledger_version,
            batches: batches_in(&rows.entries),
            tables,
            datasets,
            selected,
            days,
            ledger_difference: differ.with_missing(&rows.entries),
            shards,
            uncommitted,
            counted,
            checks,
        }
    }
}

/// Recomputes what the lake says of itself at one version of its ledger.
async fn examine(
    reader: &LakeReader,
    datasets: &Datasets,
    ledger: &TableState<Files>,
    checks: &mut Checks,
) -> Result<Examined> {
    let ledger_name = DatasetName::ledger();
    let mut tables = Vec::new();
    let ledger_snapshot = snapshot_of(&reader.log(ledger_name.as_str()), ledger)?;
    let (present, table) =
        files::check(reader, ledger_name.as_str(), Some(&ledger_snapshot), 0, &mut checks.files).await?;
    tables.push(table);
    let rows = read_ledger(reader, &ledger_snapshot, &present, &mut checks.files).await?;

    let dead_letters = DatasetName::dead_letters();
    let known = datasets.iter().map(|dataset| dataset.name.as_str()).chain([dead_letters.as_str()]);
    let named: BTreeSet<&str> = known.chain(ledger.copied.keys().map(String::as_str)).collect();
    let (mut files, mut marked) = (BTreeMap::new(), Marked::default());
    for name in named {
        let copied = ledger.copied.get(name).copied();
        let (snapshot, ahead) = as_copied(reader, name, copied).await?;
        let (present, table) = files::check(reader, name, snapshot.as_ref(), ahead, &mut checks.files).await?;
        tables.push(table);
        let mut of_table = snapshot.map_or_else(Vec::new, |snapshot| snapshot.files);
        of_table.retain(|file| present.contains(&file.path));
        if name == dead_letters.as_str() {
            marked = Marked::read(&reader.log(name), &of_table, &mut checks.redrives).await?;
        }
        files.insert(name.to_owned(), of_table);
    }

    rows::check_entries(&rows, &mut checks.ledger);
    let (datasets, differ) = rows::check_tables(&rows, &tables, &mut checks.rows);
    Ok(Examined { ledger_version: ledger_snapshot.version, rows, tables, datasets, differ, files, marked })
}

/// What is being found out, check by check.
#[derive(Default)]
struct Checks {
    ledger: Findings,
    rows: Findings,
    files: Findings,
    coverage: Findings,
    stream: Findings,
    erasures: Findings,
    redrives: Findings,
}

impl Checks {
    fn finish(self, coverage: &str, stream: &str) -> Vec<Check> {
        vec![
            self.ledger.into_check(LEDGER),
            self.rows.into_check(ROWS),
            self.files.into_check(FILES),
            self.coverage.into_check(coverage),
            self.stream.into_check(stream),
            self.erasures.into_check(ERASURES),
            self.redrives.into_check("as many events came again as dead letters were sent again"),
        ]
    }
}

/// The sentences of one check.
#[derive(Default)]
pub(crate) struct Findings {
    notes: Vec<String>,
    problems: Vec<String>,
    /// Problems beyond those that are listed.
    more: usize,
}

impl Findings {
    const LISTED: usize = 50;

    fn problem(&mut self, sentence: String) {
        if self.problems.len() < Self::LISTED {
            self.problems.push(sentence);
        } else {
            self.more += 1;
        }
    }

    fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    pub(crate) fn into_check(mut self, name: &str) -> Check {
        if self.more > 0 {
            let more = counted(self.more as u64, "more like this", "more like these");
            self.problems.push(format!("And {more}."));
        }
        Check { name: name.to_owned(), passed: self.problems.is_empty(), notes: self.notes, problems: self.problems }
    }
}

/// So many of something, in the form of the words that goes with the number.
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The ledger's rows, out of those of its files that are there.
async fn read_ledger(
    reader: &LakeReader,
    ledger: &TableSnapshot,
    present: &BTreeSet<String>,
    findings: &mut Findings,
) -> Result<LedgerRows> {
    let log = reader.log(DatasetName::ledger().as_str());
    let mut rows = LedgerRows::default();
    // Collected, and owned by each future, so that whoever audits may do so on another thread.
    let files: Vec<ActiveFile> = ledger.files.iter().filter(|file| present.contains(&file.path)).cloned().collect();
    let reads = futures::stream::iter(files).map(|file| {
        let log = &log;
        async move {
            let bytes = log.get_present(&file.path).await;
            (file, bytes)
        }
    });
    let mut reads = std::pin::pin!(reads.buffered(READ_AHEAD));
    while let Some((file, bytes)) = reads.next().await {
        match ledger_file::decode(bytes?) {
            Ok(read) if read.len() as u64 != file.rows => {
                let found = counted(read.len() as u64, "row", "rows");
                findings.problem(format!("ledger/{} has {found}, its log says {}.", file.path, file.rows));
                rows.extend(&read);
            }
            Ok(read) => rows.extend(&read),
            Err(error) => findings.problem(format!("ledger/{} cannot be read: {error}.", file.path)),
        }
    }
    Ok(rows)
}

/// A table at the version that the ledger has copied, and by how many versions it is ahead of it.
async fn as_copied(reader: &LakeReader, table: &str, copied: Option<u64>) -> Result<(Option<TableSnapshot>, u64)> {
    let newest = match reader.newest(table).await {
        Err(LakeError::NoTable(_)) if copied.is_none() => return Ok((None, 0)),
        newest => newest?,
    };
    let Some(copied) = copied else {
        // Only the commits that made it and changed its columns, or none that the position has reached.
        return Ok((None, newest.version.unwrap_or_default()));
    };
    let log = reader.log(table);
    if newest.version.is_none_or(|version| version < copied) {
        return Err(log.damaged("_delta_log", &format!("it ends before version {copied}, which the ledger has copied")));
    }
    if newest.version == Some(copied) {
        return Ok((Some(snapshot_of(&log, &newest)?), 0));
    }
    let ahead = newest.version.unwrap_or_default() - copied;
    Ok((Some(snapshot_of(&log, &reader.at(table, copied).await?)?), ahead))
}

/// What does not balance at one version of the ledger.
#[cfg(test)]
pub(crate) async fn problems_at(reader: &LakeReader, datasets: &Datasets, version: u64) -> Result<Vec<String>> {
    let ledger = reader.at(DatasetName::ledger().as_str(), version).await?;
    let mut checks = Checks::default();
    examine(reader, datasets, &ledger, &mut checks).await?;
    Ok(checks.finish("", "").into_iter().flat_map(|check| check.problems).collect())
}

/// What was sent again out of the dead letters and has not come, when everything that was delivered is committed.
#[cfg(test)]
pub(crate) async fn lost_redrives(reader: &LakeReader, datasets: &Datasets) -> Result<Vec<String>> {
    let ledger = reader.newest(DatasetName::ledger().as_str()).await?;
    let examined = examine(reader, datasets, &ledger, &mut Checks::default()).await?;
    let mut findings = Findings::default();
    examined.check_redrives(&[], &mut findings);
    Ok(findings.problems)
}

/// All entries of the newest ledger.
///
/// # Errors
///
/// When the store fails, or a file of the ledger cannot be read.
pub(crate) async fn ledger_entries(reader: &LakeReader) -> Result<Vec<LedgerEntry>> {
    let name = DatasetName::ledger();
    let snapshot = match reader.snapshot(name.as_str()).await {
        Err(LakeError::NoTable(_)) => return Ok(Vec::new()),
        snapshot => snapshot?,
    };
    let present = snapshot.files.iter().map(|file| file.path.clone()).collect();
    let mut findings = Findings::default();
    let rows = read_ledger(reader, &snapshot, &present, &mut findings).await?;
    match findings.problems.first() {
        Some(problem) => Err(reader.log(name.as_str()).damaged("_delta_log", problem)),
        None => Ok(rows.entries),
    }
}

#[cfg(test)]
mod tests;
