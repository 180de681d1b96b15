//! The object index: what it tells of a file is what the table's log tells.
//!
//! A file without an entry is no fault: whoever asks the index takes it for one that may hold anything. An entry that tells something
//! else is one, for a file may be passed over that should not be.

use std::collections::{BTreeMap, HashMap};

use alluvium_core::IndexEntry;
use alluvium_core::ports::ObjectIndex;

use super::{Findings, counted};
use crate::error::{LakeError, Result};
use crate::filter::KeyFilter;
use crate::reader::ActiveFile;
use crate::retain::newest_event;

/// How many entries are asked for at a time: each may have two filters of some 200 KB.
const PAGE: usize = 64;

/// Compares the entries of tables with their files.
pub(super) async fn check(
    index: &dyn ObjectIndex,
    tables: &BTreeMap<String, Vec<ActiveFile>>,
    findings: &mut Findings,
) -> Result<()> {
    for (table, files) in tables {
        let by_path: HashMap<&str, &ActiveFile> = files.iter().map(|file| (file.path.as_str(), file)).collect();
        let (mut found, mut after): (usize, Option<String>) = (0, None);
        loop {
            let page = index.entries(table, after.as_deref(), PAGE).await.map_err(LakeError::Index)?;
            let Some(last) = page.last() else { break };
            after = Some(last.path.clone());
            // Others are of files that came or went beside the audit, or wait for vacuum.
            for (entry, file) in page.iter().filter_map(|entry| Some((entry, *by_path.get(entry.path.as_str())?))) {
                found += 1;
                if let Some(why) = fault(entry, file) {
                    findings.problem(format!(
                        "{table}/{}: {why}. Delete the entry; the next maintenance makes it anew.",
                        entry.path
                    ));
                }
            }
        }
        if found < files.len() {
            let without = counted((files.len() - found) as u64, "data file", "data files");
            findings.note(format!("`{table}` has {without} without an entry; the next maintenance makes it."));
        }
    }
    Ok(())
}

/// What an entry tells that is not so.
fn fault(entry: &IndexEntry, file: &ActiveFile) -> Option<String> {
    let IndexEntry { rows, size_bytes, times, owners, sources, .. } = entry;
    if (*rows, *size_bytes) != (file.rows, file.size_bytes) {
        return Some(format!(
            "its entry says {} and {size_bytes} bytes, the table's log {} and {}",
            counted(*rows, "row", "rows"),
            counted(file.rows, "row", "rows"),
            file.size_bytes
        ));
    }
    if let (Some((_, last)), Some(newest)) = (times, newest_event(file))
        && *last > newest
    {
        return Some("its entry tells of times after those that the table's log tells of".to_owned());
    }
    let filters = [owners, sources].into_iter().flatten();
    let is_damaged = filters.into_iter().any(|filter| KeyFilter::decode(filter).is_none());
    is_damaged.then(|| "a filter in its entry is damaged".to_owned())
}

#[cfg(test)]
mod tests;
