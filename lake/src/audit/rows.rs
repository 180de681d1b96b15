//! The sums: each entry by itself, and per dataset against the table's rows.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{DatasetName, LedgerEntry, Removal};

use super::days::missing;
use super::report::{DatasetAudit, TableAudit};
use super::{Findings, counted};
use crate::ledger_file::LedgerRows;

/// Every entry balances (TR-2), and no batch is entered twice for a dataset (LK-1).
pub(super) fn check_entries(rows: &LedgerRows, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for entry in &rows.entries {
        let LedgerEntry { batch, dataset, received, written, filtered, dead, .. } = entry;
        if !entry.balances() {
            let by_reason: u64 = entry.dead_by_reason.values().sum();
            findings.problem(format!(
                "Batch {batch}, dataset `{dataset}`: received {received}, but written {written} + filtered {filtered} + dead \
                 {dead} (by reason: {by_reason})."
            ));
        }
        if !seen.insert((batch, dataset)) {
            findings.problem(format!("Batch {batch}, dataset `{dataset}`: it is in the ledger more than once."));
        }
    }
    let mut seen = BTreeSet::new();
    for Removal { work, table, .. } in &rows.removals {
        if !seen.insert((work, table)) {
            findings.problem(format!("Maintenance {work} of `{table}`: it is in the ledger more than once."));
        }
    }
}

/// The sums of these entries and removals, by dataset.
pub(super) fn sums<'a>(
    entries: impl IntoIterator<Item = &'a LedgerEntry>,
    removals: impl IntoIterator<Item = &'a Removal>,
) -> BTreeMap<&'a str, DatasetAudit> {
    let mut sums: BTreeMap<&str, DatasetAudit> = BTreeMap::new();
    for entry in entries {
        let sum = sums.entry(&entry.dataset).or_insert_with(|| empty(&entry.dataset));
        sum.received += entry.received;
        sum.written += entry.written;
        sum.filtered += entry.filtered;
        sum.dead += entry.dead;
        sum.bytes += entry.bytes;
        sum.redriven += entry.redriven.unwrap_or_default();
        for (reason, count) in &entry.dead_by_reason {
            *sum.dead_by_reason.entry(*reason).or_default() += count;
        }
    }
    for removal in removals {
        let sum = sums.entry(&removal.table).or_insert_with(|| empty(&removal.table));
        sum.duplicates += removal.duplicates;
        sum.expired += removal.expired;
        sum.erased += removal.erased;
    }
    sums
}

/// By how many rows the tables differ from the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Differ {
    /// Rows that the ledger has and the tables have not.
    pub(super) too_few: u64,
    /// Rows that the tables have and the ledger has not.
    pub(super) too_many: u64,
}

impl Differ {
    /// The rows, and the events of which these entries do not say what became. An event that an entry leaves out and a row that the
    /// ledger does not know are taken for the same, and so are one that it has beyond those received and a row that is not there.
    pub(super) fn with_missing<'a>(self, entries: impl IntoIterator<Item = &'a LedgerEntry>) -> u64 {
        let (mut left_out, mut beyond) = (0, 0);
        for missing in entries.into_iter().map(missing) {
            *(if missing > 0 { &mut left_out } else { &mut beyond }) += missing.unsigned_abs();
        }
        left_out.max(self.too_many) + beyond.max(self.too_few)
    }
}

/// What was written is in the tables, and what is dead in `dead_letters`, but for what maintenance took out. Returns the sums by
/// dataset, and by how many rows the tables differ from them.
pub(super) fn check_tables(
    rows: &LedgerRows,
    tables: &[TableAudit],
    findings: &mut Findings,
) -> (Vec<DatasetAudit>, Differ) {
    let mut sums = sums(&rows.entries, &rows.removals);
    let mut differ = Differ::default();
    let (ledger, dead_letters) = (DatasetName::ledger(), DatasetName::dead_letters());
    for table in tables.iter().filter(|table| table.table != ledger.as_str()) {
        let name = table.table.as_str();
        let (came, what) = if name == dead_letters.as_str() {
            (sums.values().map(|sum| sum.dead).sum(), "dead")
        } else {
            (sums.get(name).map_or(0, |sum| sum.written), "written")
        };
        let sum = sums.entry(name).or_insert_with(|| empty(name));
        let went = sum.duplicates + sum.expired + sum.erased;
        if came.checked_sub(went) != Some(table.rows) {
            differ.too_few += came.saturating_sub(went + table.rows);
            differ.too_many += (went + table.rows).saturating_sub(came);
            let DatasetAudit { duplicates, expired, erased, .. } = sum;
            let less = match went {
                0 => String::new(),
                _ => format!(" less {duplicates} duplicates, {expired} expired and {erased} erased"),
            };
            let rows = counted(table.rows, "row", "rows");
            findings.problem(format!("Table `{name}` has {rows}, the ledger says {came} {what}{less}."));
        }
    }
    for (name, sum) in &sums {
        if sum.written > 0 && !tables.iter().any(|table| table.table == *name) {
            differ.too_few += sum.written;
            findings
                .problem(format!("The ledger says {} written to `{name}`, and there is no such table.", sum.written));
        }
    }
    (sums.into_values().collect(), differ)
}

fn empty(dataset: &str) -> DatasetAudit {
    DatasetAudit { dataset: dataset.to_owned(), ..DatasetAudit::default() }
}
