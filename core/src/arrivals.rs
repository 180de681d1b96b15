//! The port of a live tail: what has come in lately, in the order of its arrival, and goes on coming.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use crate::identity::{SequenceNumber, ShardId};
use crate::ports::PortError;

/// How far each shard of a stream was read: the last record of each that was seen; a shard that is not named, from its beginning.
///
/// As text: `shardId-000000000000:17,shardId-000000000001:4`, by shard; `-` when no shard is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Positions(BTreeMap<ShardId, SequenceNumber>);

/// Text that names no positions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no positions; expected `shard:number`, separated by commas")]
pub struct PositionsError(String);

impl Positions {
    /// The last record of a shard that was seen; `None`: none was.
    pub fn of(&self, shard: &ShardId) -> Option<SequenceNumber> {
        self.0.get(shard).copied()
    }

    /// A shard was read up to here.
    pub fn set(&mut self, shard: ShardId, sequence: SequenceNumber) {
        self.0.insert(shard, sequence);
    }

    /// The shards that are named.
    pub fn shards(&self) -> impl Iterator<Item = &ShardId> {
        self.0.keys()
    }
}

impl FromIterator<(ShardId, SequenceNumber)> for Positions {
    fn from_iter<I: IntoIterator<Item = (ShardId, SequenceNumber)>>(positions: I) -> Self {
        Self(positions.into_iter().collect())
    }
}

/// What stands for no shard: an empty id would be none to a client that resumes.
const NOWHERE: &str = "-";
/// The most bytes of text that are read: some shards' worth of positions.
const TEXT_BYTES: usize = 16 * 1024;

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(NOWHERE);
        }
        for (index, (shard, sequence)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{shard}:{sequence}")?;
        }
        Ok(())
    }
}

impl FromStr for Positions {
    type Err = PositionsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == NOWHERE {
            return Ok(Self::default());
        }
        let refused = |part: &str| PositionsError(part.chars().take(80).collect());
        if text.len() > TEXT_BYTES {
            return Err(refused(text));
        }
        let position = |part: &str| {
            let (shard, number) = part.rsplit_once(':').filter(|(shard, _)| !shard.is_empty())?;
            Some((ShardId::new(shard), number.parse().ok()?))
        };
        text.split(',').map(|part| position(part).ok_or_else(|| refused(part))).collect()
    }
}

/// Rows that came in together.
#[derive(Debug)]
pub struct Arrived {
    /// Up to where the stream is read once these are seen.
    pub positions: Positions,
    /// By dataset, `dead_letters` among them: rows with the table's columns, in the order of their arrival.
    pub rows: Vec<(String, RecordBatch)>,
}

/// What came after some positions.
#[derive(Debug, Clone)]
pub enum Next {
    /// These rows.
    Arrived(Arc<Arrived>),
    /// Nothing yet.
    Nothing,
    /// What came first after them is not held any more.
    Gone,
    /// Nothing will come any more: whoever takes events in is stopping.
    Ended,
}

/// Gives out what comes in.
#[async_trait]
pub trait Arrivals: fmt::Debug + Send + Sync {
    /// Where the stream ends now.
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    async fn newest(&self) -> Result<Positions, PortError>;

    /// What came first after these positions; waits up to `wait` for something. Not all of it at once: the rest comes after the positions of
    /// what is given. The same positions may be followed by more the next time, and never by something else.
    ///
    /// # Errors
    ///
    /// When the stream cannot be read, or never had such positions.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    async fn after(&self, positions: &Positions, wait: Duration) -> Result<Next, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_read_as_they_are_written() {
        let two: Positions =
            [1, 0].map(|n| (ShardId::numbered(n), SequenceNumber::from(17 + u64::from(n)))).into_iter().collect();
        for (positions, text) in [(Positions::default(), "-"), (two, "shardId-000000000000:17,shardId-000000000001:18")]
        {
            assert_eq!(positions.to_string(), text);
            assert_eq!(text.parse(), Ok(positions));
        }
        for text in ["", "a", "a:", ":1", "a:b", "a:1,", &"a:1,".repeat(10_000)] {
            assert!(text.parse::<Positions>().is_err(), "{text:.20}");
        }
    }
}
