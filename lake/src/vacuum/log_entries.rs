//! Which log entries and checkpoints nobody needs.
//!
//! A checkpoint stands for all that came before it. Once it has been there for as long as the table keeps its log, whoever reads on
//! from a version before it has had time to see it; what it stands for may go, as far as the ledger has copied it, for what entries
//! say to the ledger is in no checkpoint.

use alluvium_core::clock::Micros;
use object_store::ObjectMeta;

use super::written_at;
use crate::error::Result;
use crate::log::{LogFile, TableLog};
use crate::state::{TableState, Tombstones};

/// Those of the objects that are expired entries and checkpoints, oldest first. `up_to` is the newest version that a checkpoint may
/// be of which stands for them; `None`: there is none.
///
/// # Errors
///
/// When that checkpoint cannot be read: nothing goes for its sake then.
pub(super) async fn expired<'a>(
    log: &TableLog,
    objects: &'a [ObjectMeta],
    up_to: Option<u64>,
    written_before: Micros,
) -> Result<Vec<&'a ObjectMeta>> {
    let files = objects.iter().filter_map(|object| Some((LogFile::of(&object.location)?, object)));
    let mut files: Vec<_> = files.collect();
    let stands = |(file, object): &(LogFile, &ObjectMeta)| match file {
        LogFile::Checkpoint(version) if Some(*version) <= up_to && written_at(object) < written_before => {
            Some(*version)
        }
        _ => None,
    };
    let Some(checkpoint) = files.iter().filter_map(stands).max() else { return Ok(Vec::new()) };
    files.retain(|(file, _)| file.version() < checkpoint);
    if !files.is_empty() {
        TableState::<Tombstones>::load(log, &log.list().await?, Some(checkpoint)).await?;
    }
    // Oldest first, so that a vacuum that dies leaves a shorter log and no hole.
    files.sort_by_key(|(file, _)| file.version());
    Ok(files.into_iter().map(|(_, object)| object).collect())
}
