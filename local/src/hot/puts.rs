//! What was put, in its order.

use std::sync::{Mutex, TryLockError};

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{BUCKETS, PutPosition, PutQuery, Puts};
use redb::{Database, ReadTransaction, ReadableDatabase as _};

use super::error::HotIndexError;
use super::layout::{self, Header};
use super::{CHUNKS, LAST_PUT, PUTS};

/// The index at a moment, and where its puts end then: the next one comes there or later.
pub(super) struct Reading {
    transaction: ReadTransaction,
    pub(super) end: PutPosition,
}

impl Reading {
    /// The index now. The end lies at the clock's time even if nothing was put for long, so that whoever goes on from there is known to have
    /// missed nothing meanwhile; while something is being put, it lies behind the put before that.
    pub(super) fn begin(database: &Database, told: &Mutex<Micros>, clock: &dyn Clock) -> Result<Self, HotIndexError> {
        let mut nobody_puts = match told.try_lock() {
            Ok(told) => Some(told),
            Err(TryLockError::Poisoned(told)) => Some(told.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let transaction = database.begin_read()?;
        let last = transaction.open_table(LAST_PUT)?.get(())?.map(|last| last.value());
        let mut end = last.map_or(Micros::MIN, |last| last.saturating_add(1));
        if let Some(told) = &mut nobody_puts {
            end = end.max(clock.now_micros()).max(**told);
            **told = end;
        }
        Ok(Self { transaction, end: PutPosition::at(end) })
    }
}

pub(super) fn puts(reading: &Reading, query: &PutQuery) -> Result<Puts, HotIndexError> {
    let Reading { transaction, end } = reading;
    let (chunks, puts) = (transaction.open_table(CHUNKS)?, transaction.open_table(PUTS)?);
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
    Ok(Puts { up_to: found.up_to.max(end.clone()), ..found })
}
