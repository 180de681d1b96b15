//! Taking rows out of a hot index, wherever it holds them.

use async_trait::async_trait;

use super::HotChunk;
use crate::clock::Micros;
use crate::ports::PortError;

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOut {
    /// Rows are only counted.
    Count,
    /// They are taken out.
    Remove,
}

/// What is left of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// All of it.
    All,
    /// Rows go, so many for each of those who are asked about, and this stays; `None`: nothing.
    Without(Vec<u64>, Option<HotChunk>),
}

/// Says what is left of a chunk.
pub type Screen<'a> = dyn Fn(&HotChunk) -> Result<Left, PortError> + Send + Sync + 'a;

/// What was taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenOut {
    /// The rows that left the index, for each of those who are asked about. Empty: none.
    pub rows: Vec<u64>,
    /// How many objects of chunks that wait, or waited once, held such rows. Their rows may be in the index too, and are not counted.
    pub waiting_objects: u64,
}

impl TakenOut {
    /// Adds the rows of one chunk.
    pub fn add(&mut self, rows: &[u64]) {
        self.rows.resize(self.rows.len().max(rows.len()), 0);
        self.rows.iter_mut().zip(rows).for_each(|(sum, rows)| *sum += rows);
    }

    /// The rows of one of those who are asked about.
    pub fn rows_of(&self, which: usize) -> u64 {
        self.rows.get(which).copied().unwrap_or_default()
    }
}

/// A hot index out of which rows can be taken.
#[async_trait]
pub trait ErasableHotIndex: Send + Sync {
    /// Takes out of every chunk the rows that `screen` does not leave, or counts them. What was put before the call holds none when it returns,
    /// whether it is in the index or waits for it, and none of it comes back. Chunks that are put meanwhile may be missed.
    ///
    /// Of the chunks that wait, those stored before `stored_since` are not looked at: an earlier call has.
    ///
    /// # Errors
    ///
    /// When a store fails, a chunk is damaged, or `screen` fails. What was done is done; to do it once more is harmless.
    async fn take_out(&self, mode: TakeOut, stored_since: Micros, screen: &Screen<'_>) -> Result<TakenOut, PortError>;
}
