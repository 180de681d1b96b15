//! What was put, in its order.

use alluvium_core::clock::Micros;
use alluvium_core::hot::{BUCKETS, PutPosition, PutQuery, Puts};
use redb::{Database, ReadTransaction, ReadableDatabase as _};

use super::error::HotIndexError;
use super::layout::{self, Header};
use super::{CHUNKS, LAST_PUT, PUTS};

/// Where the puts end: the next one comes here or later.
pub(super) fn end(reading: &ReadTransaction) -> Result<PutPosition, HotIndexError> {
    let last = reading.open_table(LAST_PUT)?.get(())?.map(|last| last.value());
    Ok(PutPosition::at(last.map_or(Micros::MIN, |last| last.saturating_add(1))))
}

pub(super) fn puts(database: &Database, query: &PutQuery) -> Result<Puts, HotIndexError> {
    let reading = database.begin_read()?;
    let (chunks, puts) = (reading.open_table(CHUNKS)?, reading.open_table(PUTS)?);
    let mut noted: Vec<(Micros, Vec<u8>)> = Vec::new();
    let mut more = false;
    for bucket in query.bucket.map_or(0..BUCKETS, |bucket| bucket..bucket + 1) {
        let (first, past_last) = layout::put_range(&query.dataset, bucket, query.from.time());
        // One more than wanted tells whether there is more; the first may lie before the position, at its time.
        for entry in puts.range(first.as_slice()..past_last.as_slice())?.take(query.most.saturating_add(2)) {
            noted.push(layout::split_put_key(entry?.0.value())?);
        }
    }
    // No two chunks were put at the same time.
    noted.sort_unstable();
    let mut found = Puts { chunks: Vec::new(), up_to: query.from.clone(), more };
    let mut looked_at = 0;
    for (at, key) in noted {
        let Some(value) = chunks.get(key.as_slice())? else {
            return Err(HotIndexError::Damaged("the order of its chunks"));
        };
        let header = Header::read(value.value())?;
        let chunk = layout::whole_chunk(&key, value.value())?;
        let position = PutPosition::of(at, &chunk);
        if position < query.from {
            continue;
        }
        if looked_at == query.most {
            more = true;
            break;
        }
        looked_at += 1;
        found.up_to = position.past();
        if header.expires_at > query.now {
            found.chunks.push((position, chunk));
        }
    }
    if more {
        return Ok(Puts { more, ..found });
    }
    Ok(Puts { up_to: found.up_to.max(end(&reading)?), ..found })
}
