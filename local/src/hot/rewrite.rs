//! The index written anew, without chunks or rows that must not stay.
//!
//! What redb frees it does not wipe: chunks that were removed or replaced can be read in the file until others take their pages. So
//! what must be gone for good is left out of a new file, which then takes the place of the old one.

use std::sync::{Arc, PoisonError, RwLock};

use alluvium_core::hot::HotChunk;
use redb::{Database, Durability, ReadableDatabase, ReadableTable as _};

use super::error::HotIndexError;
use super::layout::Put;
use super::open::Files;
use super::tables::{self, Tables};
use super::{BLOCKS, CHUNKS, COMPLETE_SINCE, LAST_PUT, layout, open, write};

/// How many chunks one transaction takes over.
const AT_ONCE: usize = 256;

/// Writes the index anew with what `change` makes of each chunk, and deletes a damaged file that was set aside. Readers and writers
/// wait meanwhile. When it fails, the index has what it had, unless the last step failed, which is to make the new file's name durable.
pub(super) fn rewrite(
    shared: &RwLock<Arc<Database>>,
    files: &Files,
    mut change: impl FnMut(HotChunk) -> Result<Option<HotChunk>, HotIndexError>,
) -> Result<(), HotIndexError> {
    let mut database = shared.write().unwrap_or_else(PoisonError::into_inner);
    let draft = files.draft();
    open::remove(&draft)?;
    let next = open::create(&draft, files.cache_bytes)?;
    copy(&database, &next, &mut change)?;
    std::fs::rename(&draft, files.index()).map_err(open::io("put in its place", &draft))?;
    // From here on the file of that name is this one, durable or not.
    *database = Arc::new(next);
    open::sync(&files.dir)?;
    open::remove(&files.damaged())
}

fn copy(
    from: &Database,
    to: &Database,
    change: &mut impl FnMut(HotChunk) -> Result<Option<HotChunk>, HotIndexError>,
) -> Result<(), HotIndexError> {
    let reading = from.begin_read()?;
    let (chunks, blocks) = (reading.open_table(CHUNKS)?, reading.open_table(BLOCKS)?);
    let mut kept = Vec::new();
    let store = |kept: &mut Vec<(HotChunk, Put)>| {
        write(to, Durability::None, |transaction| {
            let mut tables = Tables::open(transaction)?;
            kept.drain(..).try_for_each(|(chunk, put)| tables.put(&chunk, put))
        })
    };
    for entry in chunks.iter()? {
        let (place, known) = entry?;
        let known = layout::Known::read(known.value())?;
        let chunk = tables::chunk(place.value(), known, &blocks)?;
        kept.extend(change(chunk)?.map(|chunk| (chunk, known.put)));
        if kept.len() == AT_ONCE {
            store(&mut kept)?;
        }
    }
    store(&mut kept)?;
    write(to, Durability::Immediate, |transaction| {
        let mut marks = transaction.open_table(COMPLETE_SINCE)?;
        for entry in reading.open_table(COMPLETE_SINCE)?.iter()? {
            let (dataset, since) = entry?;
            marks.insert(dataset.value(), since.value())?;
        }
        if let Some(last) = reading.open_table(LAST_PUT)?.get(())? {
            transaction.open_table(LAST_PUT)?.insert((), last.value())?;
        }
        Ok(())
    })
}
