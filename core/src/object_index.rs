//! An entry of the object index: what is known of one data file without reading it.
//!
//! An entry is stored as `ALI1`, the CRC-32C of what follows, the length of a JSON object, that object, and the bytes of the two
//! filters; both numbers have four bytes, the little end first.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Micros;

const MAGIC: &[u8; 4] = b"ALI1";

/// What is known of one data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The table: a dataset's, or `dead_letters`.
    pub table: String,
    /// The file's path, relative to the table's folder.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub size_bytes: u64,
    /// The oldest and the newest `event_time` of its rows, in UTC, and so its dates; `None`: it has no rows.
    pub times: Option<(Micros, Micros)>,
    /// A filter of the owners of its rows, as the lake makes them; `None`: they may be any.
    pub owners: Option<Bytes>,
    /// The same of their sources.
    pub sources: Option<Bytes>,
}

/// Bytes that are no entry.
#[derive(Debug, thiserror::Error)]
pub enum IndexEntryError {
    /// They begin otherwise.
    #[error("it does not begin with `ALI1`: it is of a release newer than this, or something else")]
    Unknown,
    /// They are not those that were written.
    #[error("it is damaged")]
    Damaged,
}

#[derive(Serialize, Deserialize)]
struct Head {
    table: String,
    path: String,
    rows: u64,
    size_bytes: u64,
    times: Option<(Micros, Micros)>,
    owners: Option<usize>,
    sources: Option<usize>,
}

impl IndexEntry {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        let length = |filter: &Option<Bytes>| filter.as_ref().map(Bytes::len);
        let head = Head {
            table: self.table.clone(),
            path: self.path.clone(),
            rows: self.rows,
            size_bytes: self.size_bytes,
            times: self.times,
            owners: length(&self.owners),
            sources: length(&self.sources),
        };
        let head = serde_json::to_vec(&head).expect("an entry's head holds only texts and numbers");
        let mut content = u32::try_from(head.len()).expect("paths are short").to_le_bytes().to_vec();
        content.extend_from_slice(&head);
        for filter in [&self.owners, &self.sources].into_iter().flatten() {
            content.extend_from_slice(filter);
        }
        let checksum = crc32c::crc32c(&content).to_le_bytes();
        [MAGIC.as_slice(), &checksum, &content].concat().into()
    }

    /// Reads one back.
    ///
    /// # Errors
    ///
    /// When the bytes are none, or are damaged.
    pub fn decode(bytes: &Bytes) -> Result<Self, IndexEntryError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(IndexEntryError::Unknown)?;
        let (checksum, content) = rest.split_first_chunk().ok_or(IndexEntryError::Damaged)?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*checksum) {
            return Err(IndexEntryError::Damaged);
        }
        Self::of_content(bytes.slice_ref(content)).ok_or(IndexEntryError::Damaged)
    }

    fn of_content(mut content: Bytes) -> Option<Self> {
        let mut take = |length: usize| (length <= content.len()).then(|| content.split_to(length));
        let length = u32::from_le_bytes(*take(4)?.first_chunk()?);
        let head: Head = serde_json::from_slice(&take(usize::try_from(length).ok()?)?).ok()?;
        let mut filter = |length: Option<usize>| length.map_or(Some(None), |length| take(length).map(Some));
        let (owners, sources) = (filter(head.owners)?, filter(head.sources)?);
        let Head { table, path, rows, size_bytes, times, .. } = head;
        content.is_empty().then_some(Self { table, path, rows, size_bytes, times, owners, sources })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry() -> IndexEntry {
        IndexEntry {
            table: "readings".to_owned(),
            path: "2026-01-05_1.parquet".to_owned(),
            rows: 3,
            size_bytes: 1_000,
            times: Some((-5, 17)),
            owners: Some(Bytes::from_static(b"owners")),
            sources: None,
        }
    }

    #[test]
    fn it_comes_back_as_it_was() {
        let bare = IndexEntry { times: None, owners: None, ..entry() };
        for entry in [entry(), bare, IndexEntry { sources: Some(Bytes::new()), ..entry() }] {
            assert_eq!(IndexEntry::decode(&entry.encode()).unwrap(), entry);
        }
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let bytes = entry().encode();
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            IndexEntry::decode(&damaged.into()).unwrap_err();
            IndexEntry::decode(&bytes.slice(..at)).unwrap_err();
        }
    }
}
