//! The receipt: where in the stream the events of a request lie.

use std::fmt;
use std::str::FromStr;

use alluvium_core::{SequenceNumber, ShardId, ShardRange};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The stream positions of one request's records, by shard and sequence number.
///
/// Its text form lists runs separated by commas, each `shard:first-last` with both ends included, or `shard:number` for a
/// single record: `shardId-000000000000:17-19,shardId-000000000001:4`. Runs are joined only where the numbers follow each
/// other without a gap, so a receipt never names a record of another request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    runs: Vec<ShardRange>,
}

/// Text that is no receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part of a receipt: expected `shard:first-last` or `shard:number`, separated by commas")]
pub struct ReceiptError(String);

impl Receipt {
    /// The receipt for records at these positions, in any order.
    pub fn of(positions: impl IntoIterator<Item = (ShardId, SequenceNumber)>) -> Self {
        let mut positions: Vec<_> = positions.into_iter().collect();
        positions.sort_unstable();
        let mut runs: Vec<ShardRange> = Vec::new();
        for (shard, sequence) in positions {
            match runs.last_mut() {
                Some(run) if run.shard == shard && follows(run.last, sequence) => run.last = sequence,
                _ => runs.push(ShardRange { shard, first: sequence, last: sequence }),
            }
        }
        Self { runs }
    }

    /// The runs, by shard and sequence number.
    pub fn runs(&self) -> &[ShardRange] {
        &self.runs
    }
}

fn follows(last: SequenceNumber, next: SequenceNumber) -> bool {
    last.as_u64().zip(next.as_u64()).is_some_and(|(last, next)| last.checked_add(1) == Some(next))
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.runs.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}:{}", run.shard, run.first)?;
            if run.first != run.last {
                write!(f, "-{}", run.last)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Receipt {
    type Err = ReceiptError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let runs = text.split(',').map(|part| {
            let refused = || ReceiptError(part.chars().take(80).collect());
            let (shard, numbers) = part.rsplit_once(':').ok_or_else(refused)?;
            let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let number = |digits: &str| digits.parse::<SequenceNumber>().map_err(|_| refused());
            let (first, last) = (number(first)?, number(last)?);
            if shard.is_empty() || last < first {
                return Err(refused());
            }
            Ok(ShardRange { shard: ShardId::new(shard), first, last })
        });
        Ok(Self { runs: runs.collect::<Result<_, _>>()? })
    }
}

impl Serialize for Receipt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Receipt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
