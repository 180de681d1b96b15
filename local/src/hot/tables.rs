//! Chunks with all that is noted of them.

use alluvium_core::clock::Micros;
use alluvium_core::hot::HotChunk;
use redb::{Database, Durability, ReadableTable, Table, WriteTransaction};

use super::error::HotIndexError;
use super::layout::{self, Known, Put};
use super::{BLOCKS, CHUNKS, EXPIRE_AT_ONCE, EXPIRY, LAST_PUT, NAMES, PUTS, write};

/// Puts chunks at this time, or right after the last put if that was later.
pub(super) fn put(database: &Database, chunks: &[HotChunk], now: Micros) -> Result<(), HotIndexError> {
    write(database, Durability::None, |transaction| {
        let mut last_put = transaction.open_table(LAST_PUT)?;
        let last = last_put.get(())?.map(|last| last.value());
        let mut at = last.map_or(now, |last| now.max(last.saturating_add(1)));
        let mut tables = Tables::open(transaction)?;
        for chunk in chunks {
            tables.put(chunk, (at, 0))?;
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
    blocks: Table<'t, Put, &'static [u8]>,
    names: Table<'t, &'static [u8], [u8; 16]>,
    expiry: Table<'t, (Micros, Put), ()>,
    puts: Table<'t, Put, &'static [u8]>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, HotIndexError> {
        Ok(Self {
            chunks: transaction.open_table(CHUNKS)?,
            blocks: transaction.open_table(BLOCKS)?,
            names: transaction.open_table(NAMES)?,
            expiry: transaction.open_table(EXPIRY)?,
            puts: transaction.open_table(PUTS)?,
        })
    }

    /// Writes a chunk that was put then, over one of the same name. No other was put then.
    pub(super) fn put(&mut self, chunk: &HotChunk, put: Put) -> Result<(), HotIndexError> {
        let (name, times) = (layout::name(chunk), layout::times(chunk));
        let before = self.names.insert(name.as_slice(), times)?.map(|times| times.value());
        if let Some(before) = before {
            self.forget(&layout::place_of(&name, before)?)?;
        }
        let (place, known) = (layout::place(chunk), Known::of(chunk, put));
        self.chunks.insert(place.as_slice(), known.with_marks_of(&chunk.block).as_slice())?;
        self.blocks.insert(put, chunk.block.as_ref())?;
        self.expiry.insert((known.expires_at, put), ())?;
        self.puts.insert(put, place.as_slice())?;
        Ok(())
    }

    /// Whether a chunk that was put then lies here.
    pub(super) fn holds(&self, place: &[u8], put: Put) -> Result<bool, HotIndexError> {
        let known = self.chunks.get(place)?.map(|known| Known::read(known.value())).transpose()?;
        Ok(known.is_some_and(|known| known.put == put))
    }

    /// Whether there is a chunk of this one's name, whatever its times.
    pub(super) fn has_named(&self, chunk: &HotChunk) -> Result<bool, HotIndexError> {
        Ok(self.names.get(layout::name(chunk).as_slice())?.is_some())
    }

    /// Removes the chunk that lies here.
    pub(super) fn remove(&mut self, place: &[u8]) -> Result<(), HotIndexError> {
        self.forget(place)?;
        self.names.remove(layout::name_of(place)?.as_slice())?;
        Ok(())
    }

    fn expire(&mut self, now: Micros) -> Result<usize, HotIndexError> {
        let expired = self.expiry.range(..=(now, (Micros::MAX, u16::MAX)))?.take(EXPIRE_AT_ONCE);
        let expired: Vec<_> = expired.map(|entry| entry.map(|(key, _)| key.value())).collect::<Result<_, _>>()?;
        for (expires_at, put) in &expired {
            let place = self.puts.get(put)?.map(|place| place.value().to_vec());
            place.map_or(Ok(()), |place| self.remove(&place))?;
            // A note that is of no chunk must not stand before the others for ever.
            self.expiry.remove((*expires_at, *put))?;
        }
        Ok(expired.len())
    }

    /// Forgets the chunk that lies here, but for its name.
    fn forget(&mut self, place: &[u8]) -> Result<(), HotIndexError> {
        let known = self.chunks.remove(place)?;
        let Some(known) = known.map(|known| Known::read(known.value())).transpose()? else { return Ok(()) };
        self.blocks.remove(known.put)?;
        self.expiry.remove((known.expires_at, known.put))?;
        self.puts.remove(known.put)?;
        Ok(())
    }
}

/// The chunk that lies here and of which this is known, with its block.
pub(super) fn chunk(
    place: &[u8],
    known: Known,
    blocks: &impl ReadableTable<Put, &'static [u8]>,
) -> Result<HotChunk, HotIndexError> {
    let block = blocks.get(known.put)?.ok_or(HotIndexError::Damaged("where its blocks lie"))?;
    layout::chunk(place, known, block.value())
}
