//! Chunks with all that is noted of them.

use alluvium_core::clock::Micros;
use alluvium_core::hot::HotChunk;
use redb::{Database, Durability, ReadableTable as _, Table, WriteTransaction};

use super::error::HotIndexError;
use super::layout::{self, Header};
use super::{CHUNKS, EXPIRE_AT_ONCE, EXPIRY, LAST_PUT, NAMES, PUTS, write};

/// Puts chunks at this time, or right after the last put if that was later.
pub(super) fn put(database: &Database, chunks: &[HotChunk], now: Micros) -> Result<(), HotIndexError> {
    write(database, Durability::None, |transaction| {
        let mut last_put = transaction.open_table(LAST_PUT)?;
        let last = last_put.get(())?.map(|last| last.value());
        let mut at = last.map_or(now, |last| now.max(last.saturating_add(1)));
        let mut tables = Tables::open(transaction)?;
        for chunk in chunks {
            tables.put(chunk, at)?;
            at = at.saturating_add(1);
        }
        last_put.insert((), at - 1)?;
        Ok(())
    })
}

/// Forgets some chunks that have expired; says how many.
pub(super) fn expire(database: &Database, now: Micros) -> Result<usize, HotIndexError> {
    write(database, Durability::None, |transaction| Tables::open(transaction)?.expire(now))
}

/// The tables that hold chunks, within a transaction.
pub(super) struct Tables<'t> {
    chunks: Table<'t, &'static [u8], &'static [u8]>,
    names: Table<'t, &'static [u8], [u8; 16]>,
    expiry: Table<'t, &'static [u8], ()>,
    puts: Table<'t, &'static [u8], ()>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, HotIndexError> {
        Ok(Self {
            chunks: transaction.open_table(CHUNKS)?,
            names: transaction.open_table(NAMES)?,
            expiry: transaction.open_table(EXPIRY)?,
            puts: transaction.open_table(PUTS)?,
        })
    }

    /// Writes a chunk that was put at this time, over one of the same name.
    pub(super) fn put(&mut self, chunk: &HotChunk, at: Micros) -> Result<(), HotIndexError> {
        let (name, times) = (layout::name(chunk), layout::times(chunk));
        let before = self.names.insert(name.as_slice(), times)?.map(|times| times.value());
        if let Some(before) = before {
            self.forget(&layout::place_of(&name, before))?;
        }
        let (place, header) = (layout::place(chunk), Header::of(chunk, at));
        self.chunks.insert(place.as_slice(), layout::chunk_value(chunk, header).as_slice())?;
        self.expiry.insert(layout::expiry_key(header.expires_at, &place).as_slice(), ())?;
        self.puts.insert(layout::put_key(at, &place)?.as_slice(), ())?;
        Ok(())
    }

    fn expire(&mut self, now: Micros) -> Result<usize, HotIndexError> {
        let past_last = layout::expiry_past(now);
        let expired = self.expiry.range::<&[u8]>(..past_last.as_slice())?.take(EXPIRE_AT_ONCE);
        let expired: Vec<Vec<u8>> =
            expired.map(|entry| entry.map(|(key, _)| key.value().to_vec())).collect::<Result<_, _>>()?;
        for expiry_key in &expired {
            let place = layout::place_of_expiry(expiry_key)?;
            self.forget(place)?;
            self.names.remove(layout::name_of(place)?.as_slice())?;
            self.expiry.remove(expiry_key.as_slice())?;
        }
        Ok(expired.len())
    }

    /// Forgets the chunk that lies here, but for its name.
    fn forget(&mut self, place: &[u8]) -> Result<(), HotIndexError> {
        let chunk = self.chunks.remove(place)?;
        let Some(header) = chunk.map(|chunk| Header::read(chunk.value())).transpose()? else { return Ok(()) };
        self.expiry.remove(layout::expiry_key(header.expires_at, place).as_slice())?;
        self.puts.remove(layout::put_key(header.put_at, place)?.as_slice())?;
        Ok(())
    }
}
