//! The data files: each that the log names is there, with its size.

use std::collections::{BTreeMap, BTreeSet};

use super::report::TableAudit;
use super::{Findings, counted};
use crate::error::{LakeError, Result};
use crate::reader::{LakeReader, TableSnapshot, load_newest};
use crate::state::{TableState, Tombstones};

/// Compares a table's files with what lies in its folder. Returns those of its files that are there, and its numbers.
pub(super) async fn check(
    reader: &LakeReader,
    table: &str,
    snapshot: Option<&TableSnapshot>,
    versions_ahead: u64,
    findings: &mut Findings,
) -> Result<(BTreeSet<String>, TableAudit)> {
    let listed = reader.log(table).list_objects(None).await?;
    let listed: BTreeMap<&str, u64> = listed.iter().map(|object| (object.location.as_ref(), object.size)).collect();
    let mut audit = TableAudit { table: table.to_owned(), versions_ahead, ..TableAudit::default() };
    // Read after the folder, so that whatever lies in it and was committed by then is named.
    let newest: Option<TableState<Tombstones>> = match load_newest(&reader.log(table)).await {
        Err(LakeError::NoTable(_)) => None,
        newest => Some(newest?),
    };
    let is_active = |path: &str| newest.as_ref().is_some_and(|newest| newest.kept.active.contains(path));
    let is_removed = |path: &str| newest.as_ref().is_some_and(|newest| newest.kept.removed.contains_key(path));
    let mut present = BTreeSet::new();
    let mut gone = 0;
    if let Some(snapshot) = snapshot {
        audit.version = Some(snapshot.version);
        audit.rows = snapshot.rows();
        audit.files = snapshot.files.len();
        audit.size_bytes = snapshot.size_bytes();
        for file in &snapshot.files {
            match listed.get(file.path.as_str()) {
                // Vacuum deletes it once the ledger has copied the commit that took it out, which was after it was looked at here.
                None if is_removed(&file.path) => gone += 1,
                None => {
                    let rows = counted(file.rows, "row", "rows");
                    findings.problem(format!("{table}/{} is missing ({rows}).", file.path));
                }
                Some(size) => {
                    present.insert(file.path.clone());
                    if *size != file.size_bytes {
                        findings.problem(format!(
                            "{table}/{} has {size} bytes, the table's log says {}.",
                            file.path, file.size_bytes
                        ));
                    }
                }
            }
        }
    }
    if gone > 0 {
        findings.note(format!(
            "`{table}`: {} been taken out since, and vacuum has deleted what was taken out.",
            counted(gone, "data file of that version has", "data files of that version have")
        ));
    }
    let others = listed.keys().filter(|path| path.ends_with(".parquet") && !path.contains('/'));
    for path in others.filter(|path| !present.contains(**path) && !is_active(path)) {
        *if is_removed(path) { &mut audit.removed } else { &mut audit.orphans } += 1;
    }
    if audit.removed > 0 {
        findings.note(format!(
            "`{table}` has {} taken out of it, kept for readers of older versions until vacuum deletes what was taken out.",
            counted(audit.removed as u64, "data file that was", "data files that were")
        ));
    }
    if audit.orphans > 0 {
        findings.note(format!(
            "`{table}` has {} that no version names, waiting for a commit or left over from a retry; vacuum deletes what stays so.",
            counted(audit.orphans as u64, "data file", "data files")
        ));
    }
    Ok((present, audit))
}
