//! The sums: each entry by itself, and per dataset against the table's rows.

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::{DatasetName, LedgerEntry};

use super::Findings;
use super::report::{DatasetAudit, TableAudit};

/// Every entry balances (TR-2), and no batch is entered twice for a dataset (LK-1).
pub(super) fn check_entries(entries: &[LedgerEntry], findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for entry in entries {
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
}

/// What was written is in the tables, and what is dead in `dead_letters`. Returns the sums by dataset.
pub(super) fn check_tables(
    entries: &[LedgerEntry],
    tables: &[TableAudit],
    findings: &mut Findings,
) -> Vec<DatasetAudit> {
    let mut sums: BTreeMap<&str, DatasetAudit> = BTreeMap::new();
    for entry in entries {
        let sum = sums.entry(&entry.dataset).or_insert_with(|| empty(&entry.dataset));
        sum.received += entry.received;
        sum.written += entry.written;
        sum.filtered += entry.filtered;
        sum.dead += entry.dead;
        sum.bytes += entry.bytes;
        for (reason, count) in &entry.dead_by_reason {
            *sum.dead_by_reason.entry(*reason).or_default() += count;
        }
    }
    let (ledger, dead_letters) = (DatasetName::ledger(), DatasetName::dead_letters());
    for table in tables.iter().filter(|table| table.table != ledger.as_str()) {
        let name = table.table.as_str();
        let (said, what) = if name == dead_letters.as_str() {
            (sums.values().map(|sum| sum.dead).sum(), "dead")
        } else {
            (sums.entry(name).or_insert_with(|| empty(name)).written, "written")
        };
        if said != table.rows {
            findings.problem(format!("Table `{name}` has {} rows, the ledger says {said} {what}.", table.rows));
        }
    }
    for (name, sum) in &sums {
        if sum.written > 0 && !tables.iter().any(|table| table.table == *name) {
            findings
                .problem(format!("The ledger says {} written to `{name}`, and there is no such table.", sum.written));
        }
    }
    sums.into_values().collect()
}

fn empty(dataset: &str) -> DatasetAudit {
    DatasetAudit { dataset: dataset.to_owned(), ..DatasetAudit::default() }
}
