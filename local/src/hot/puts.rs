//! What was put, in its order.

use std::sync::{Mutex, TryLockError};

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{PutPosition, PutQuery, Puts};
use redb::{Database, ReadTransaction, ReadableDatabase as _};

use super::error::HotIndexError;
use super::layout::{self, Known};
use super::{BLOCKS, CHUNKS, LAST_PUT, PUTS, tables};

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

/// The most notes that are passed for one answer: those of other datasets and buckets are among them.
const NOTES_AT_ONCE: usize = 65_536;

pub(super) fn puts(reading: &Reading, query: &PutQuery) -> Result<Puts, HotIndexError> {
    let Reading { transaction, end } = reading;
    let (chunks, blocks) = (transaction.open_table(CHUNKS)?, transaction.open_table(BLOCKS)?);
    let mut found = Puts { chunks: Vec::new(), up_to: query.from.clone(), more: false };
    let mut looked_at = 0;
    for (passed, note) in transaction.open_table(PUTS)?.range((query.from.time(), 0)..)?.enumerate() {
        let (put, place) = note?;
        let ((at, _), place) = (put.value(), place.value());
        if passed == NOTES_AT_ONCE {
            return Ok(Puts { up_to: found.up_to.max(PutPosition::at(at)), more: true, ..found });
        }
        if !layout::lies_in(place, &query.dataset, query.bucket) {
            continue;
        }
        let Some(known) = chunks.get(place)? else {
            return Err(HotIndexError::Damaged("the order of its chunks"));
        };
        let known = Known::read(known.value())?;
        let chunk = tables::chunk(place, known, &blocks)?;
        let position = PutPosition::of(at, &chunk);
        if position < query.from {
            continue;
        }
        if looked_at == query.most {
            return Ok(Puts { more: true, ..found });
        }
        looked_at += 1;
        found.up_to = position.past();
        if known.expires_at > query.now {
            found.chunks.push((position, chunk));
        }
    }
    Ok(Puts { up_to: found.up_to.max(end.clone()), ..found })
}
