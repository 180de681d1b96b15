//! The data files of batches, as they lie in the tables' folders.

use std::collections::BTreeMap;

use alluvium_core::BatchIdentity;
use alluvium_core::clock::Micros;

use crate::batches::{Batches, tables};
use crate::error::Result;
use crate::reader::LakeReader;
use crate::state::IdentityBits;

/// One data file of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) table: String,
    /// Under the lake's root.
    pub(super) path: String,
    pub(super) size_bytes: u64,
    pub(super) written_at: Micros,
}

/// The data files of one batch.
#[derive(Debug, Clone)]
pub(super) struct BatchFiles {
    pub(super) batch: BatchIdentity,
    pub(super) identity: IdentityBits,
    /// By path.
    pub(super) files: Vec<Found>,
    pub(super) paths: Vec<String>,
    /// When the newest of them was written.
    pub(super) newest: Micros,
}

/// The files of all batches, by batch.
pub(super) async fn list(reader: &LakeReader) -> Result<BTreeMap<BatchIdentity, Vec<Found>>> {
    let mut found: BTreeMap<BatchIdentity, Vec<Found>> = BTreeMap::new();
    for table in tables(reader).await? {
        for object in reader.log(&table).list_objects(None).await? {
            let name = object.location.as_ref();
            let Some(batch) = BatchIdentity::from_data_file_name(name).filter(|_| !name.contains('/')) else {
                continue;
            };
            found.entry(batch).or_default().push(Found {
                table: table.clone(),
                path: format!("{table}/{name}"),
                size_bytes: object.size,
                written_at: object.last_modified.timestamp_micros(),
            });
        }
    }
    Ok(found)
}

/// The batches that have a file in the folder of a table that does not have them, those written last first: what came again
/// stands before what it came again for.
pub(super) fn of_lost(found: BTreeMap<BatchIdentity, Vec<Found>>, batches: &Batches) -> Vec<BatchFiles> {
    let lost = found.into_iter().filter_map(|(batch, mut files)| {
        let identity = IdentityBits::of(&batch)?;
        files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        let newest = files.iter().map(|file| file.written_at).max()?;
        let paths = files.iter().map(|file| file.path.clone()).collect();
        let is_lost = files.iter().any(|file| !batches.has(&file.table, identity));
        is_lost.then_some(BatchFiles { batch, identity, files, paths, newest })
    });
    let mut lost: Vec<_> = lost.collect();
    lost.sort_by(|one, other| other.newest.cmp(&one.newest).then_with(|| one.batch.cmp(&other.batch)));
    lost
}
