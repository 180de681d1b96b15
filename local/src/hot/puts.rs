//! What was put, in its order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Mutex, TryLockError};

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{PutPosition, PutQuery, Puts};
use redb::{Database, ReadTransaction, ReadableDatabase as _};

use super::error::HotIndexError;
use super::layout::{self, Header};
use super::{BUCKETS, CHUNKS, LAST_PUT, PUTS};

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
    let mut more = false;
    // Of all buckets the first notes, so that no more are read than are told of; no two chunks were put at the same time.
    let (mut heads, mut notes) = (BinaryHeap::new(), HashMap::new());
    for bucket in query.bucket.map_or(0..BUCKETS, |bucket| bucket..bucket + 1) {
        let (first, past_last) = layout::put_range(&query.dataset, bucket, query.from.time());
        let mut rest = puts.range(first.as_slice()..past_last.as_slice())?;
        if let Some(entry) = rest.next() {
            heads.push((Reverse(layout::split_put_key(entry?.0.value())?), bucket));
            notes.insert(bucket, rest);
        }
    }
    let mut found = Puts { chunks: Vec::new(), up_to: query.from.clone(), more };
    let mut looked_at = 0;
    while let Some((Reverse((at, key)), bucket)) = heads.pop() {
        if let Some(entry) = notes.get_mut(&bucket).and_then(Iterator::next) {
            heads.push((Reverse(layout::split_put_key(entry?.0.value())?), bucket));
        }
        let Some(value) = chunks.get(key.as_slice())? else {
            return Err(HotIndexError::Damaged("the order of its chunks"));
        };
        let header = Header::read(value.value())?;
        let chunk = layout::chunk(&key, header, value.value())?;
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
