//! Chunks with all that is noted of them.

use alluvium_core::clock::Micros;
use alluvium_core::hot::HotChunk;
use redb::{Database, Durability, ReadableTable as _, Table, WriteTransaction};

use super::error::HotIndexError;
use super::layout::{self, Header};
use super::{CHUNKS, EXPIRE_AT_ONCE, EXPIRY, LAST_PUT, PUTS, TIMES, write};

/// Puts chunks at this time, or right after the last put if that was later.
pub(super) fn put(database: &Database, chunks: &[HotChunk], now: Micros) -> Result<(), HotIndexError> {
    write(database, Durability::None, |transaction| {
        let mut last_put = transaction.open_table(LAST_PUT)?;
        let last = last_put.get(())?.map(|last| last.value());
        let mut at = last.map_or(now, |last| now.max(last.saturating_add(1)));
        let mut tables = Tables::open(transaction)?;
        for chunk in chunks {
            tables.put(chunk, Some(at))?;
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
    times: Table<'t, &'static [u8], ()>,
    expiry: Table<'t, &'static [u8], ()>,
    puts: Table<'t, &'static [u8], ()>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, HotIndexError> {
        Ok(Self {
            chunks: transaction.open_table(CHUNKS)?,
            times: transaction.open_table(TIMES)?,
            expiry: transaction.open_table(EXPIRY)?,
            puts: transaction.open_table(PUTS)?,
        })
    }

    /// Writes a chunk that was put at this time, over one of the same key; `None`: nobody knows when.
    pub(super) fn put(&mut self, chunk: &HotChunk, at: Option<Micros>) -> Result<(), HotIndexError> {
        let (key, header) = (layout::chunk_key(chunk), Header::of(chunk, at));
        let value = layout::chunk_value(chunk, at);
        let before = self.chunks.insert(key.as_slice(), value.as_slice())?;
        let before = before.map(|before| Header::read(before.value())).transpose()?;
        if let Some(before) = before {
            self.forget_notes(&key, &before)?;
        }
        self.times.insert(layout::time_key(&key, &header).as_slice(), ())?;
        self.expiry.insert(layout::expiry_key(header.expires_at, &key).as_slice(), ())?;
        if let Some(at) = at {
            self.puts.insert(layout::put_key(at, &key)?.as_slice(), ())?;
        }
        Ok(())
    }

    fn expire(&mut self, now: Micros) -> Result<usize, HotIndexError> {
        let past_last = layout::expiry_past(now);
        let expired = self.expiry.range::<&[u8]>(..past_last.as_slice())?.take(EXPIRE_AT_ONCE);
        let expired: Vec<Vec<u8>> =
            expired.map(|entry| entry.map(|(key, _)| key.value().to_vec())).collect::<Result<_, _>>()?;
        for expiry_key in &expired {
            let key = layout::chunk_key_of_expiry(expiry_key)?;
            let chunk = self.chunks.remove(key)?;
            match chunk.map(|chunk| Header::read(chunk.value())).transpose()? {
                Some(header) => self.forget_notes(key, &header)?,
                None => {
                    self.expiry.remove(expiry_key.as_slice())?;
                }
            }
        }
        Ok(expired.len())
    }

    /// Forgets what is noted of a chunk.
    fn forget_notes(&mut self, key: &[u8], header: &Header) -> Result<(), HotIndexError> {
        self.times.remove(layout::time_key(key, header).as_slice())?;
        self.expiry.remove(layout::expiry_key(header.expires_at, key).as_slice())?;
        if let Some(at) = header.put_at {
            self.puts.remove(layout::put_key(at, key)?.as_slice())?;
        }
        Ok(())
    }
}
