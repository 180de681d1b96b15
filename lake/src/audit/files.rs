//! The data files: each that the log names is there, with its size.

use std::collections::{BTreeMap, BTreeSet};

use super::Findings;
use super::report::TableAudit;
use crate::error::{LakeError, Result};
use crate::reader::{LakeReader, TableSnapshot};

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
    let mut present = BTreeSet::new();
    if let Some(snapshot) = snapshot {
        audit.version = Some(snapshot.version);
        audit.rows = snapshot.rows();
        audit.files = snapshot.files.len();
        audit.size_bytes = snapshot.size_bytes();
        for file in &snapshot.files {
            match listed.get(file.path.as_str()) {
                None => findings.problem(format!("{table}/{} is missing ({} rows).", file.path, file.rows)),
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
    let newest = match reader.newest(table).await {
        Err(LakeError::NoTable(_)) => None,
        newest => Some(newest?),
    };
    let named = |path: &str| {
        present.contains(path) || newest.as_ref().is_some_and(|newest| newest.kept.active.contains_key(path))
    };
    audit.orphans =
        listed.keys().filter(|path| path.ends_with(".parquet") && !path.contains('/') && !named(path)).count();
    if audit.orphans > 0 {
        findings.note(format!(
            "`{table}` has {} data files that no version names: they wait for a commit, or are left over from a retry.",
            audit.orphans
        ));
    }
    Ok((present, audit))
}
