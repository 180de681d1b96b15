//! What a data file holds, told for the object index: its owners, its sources, and its times.

use std::collections::HashSet;

use alluvium_core::IndexEntry;
use alluvium_core::clock::Micros;
use arrow::array::{Array as _, AsArray as _, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;

use crate::filter::{KeyFilter, number_of_name};

/// The columns that are looked at.
pub(crate) const COLUMNS: [&str; 3] = ["owner", "source", "event_time"];
/// A file with more names than these gets no filter of them: an entry stays below the 400 KB that DynamoDB allows an item.
const MOST_NAMES: usize = 40_000;

/// Collects what a file holds, row by row.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    rows: u64,
    times: Option<(Micros, Micros)>,
    owners: Names,
    sources: Names,
}

#[derive(Debug, Default)]
struct Names {
    numbers: HashSet<u64>,
}

impl Names {
    fn add(&mut self, names: &StringArray) {
        let mut before = None;
        for name in names.iter().flatten() {
            if self.numbers.len() > MOST_NAMES {
                return;
            }
            // Rows are sorted by source, so names come in runs.
            if before.replace(name) != Some(name) {
                self.numbers.insert(number_of_name(name));
            }
        }
    }

    fn filter(self) -> Option<bytes::Bytes> {
        if self.numbers.len() > MOST_NAMES {
            return None;
        }
        KeyFilter::encode(self.numbers.into_iter().collect())
    }
}

impl Contents {
    /// Takes in rows.
    pub(crate) fn add(&mut self, rows: &RecordBatch) {
        let [owners, sources, times] = COLUMNS.map(|name| &rows[name]);
        self.owners.add(owners.as_string::<i32>());
        self.sources.add(sources.as_string::<i32>());
        let times = times.as_primitive::<TimestampMicrosecondType>();
        if let (Some(first), Some(last)) = (arrow::compute::min(times), arrow::compute::max(times)) {
            let (oldest, newest) = self.times.unwrap_or((first, last));
            self.times = Some((oldest.min(first), newest.max(last)));
        }
        self.rows += owners.len() as u64;
    }

    /// The entry of the file.
    pub(crate) fn entry(self, table: &str, path: &str, size_bytes: u64) -> IndexEntry {
        IndexEntry {
            table: table.to_owned(),
            path: path.to_owned(),
            rows: self.rows,
            size_bytes,
            times: self.times,
            owners: self.owners.filter(),
            sources: self.sources.filter(),
        }
    }
}

/// Whether the file of an entry may hold rows of this owner.
pub(crate) fn may_hold_owner(entry: &IndexEntry, owner: &str) -> bool {
    let filter = entry.owners.as_deref().and_then(KeyFilter::decode);
    filter.is_none_or(|filter| filter.may_contain(number_of_name(owner)))
}
