//! The application transactions that our commits carry: how far a table is, in the table's own log.
//!
//! Delta keeps the newest version per application id in checkpoints too, which it does not do for `commitInfo`.

use std::fmt;
use std::str::FromStr;

use alluvium_core::{SequenceNumber, ShardId};

use uuid::Uuid;

use crate::state::IdentityBits;

const MARK: &str = "alluvium/mark/";
const POSITION: &str = "alluvium/position/";
const COPIED: &str = "alluvium/copied/";
const BATCH: &str = "alluvium/batch/";
const ERASURE: &str = "alluvium/erasure/";

/// An application id of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AppId {
    /// In a dataset's table: its records of this shard are in up to the transaction's version.
    Mark(ShardId),
    /// In the ledger: every table has its records of this shard up to the transaction's version.
    Position(ShardId),
    /// In the ledger: the entries of this table's commits are copied up to the transaction's version.
    Copied(String),
    /// This batch, of which no row is in the table, is in: in `dead_letters` one that left no data file in any table; elsewhere one whose
    /// rows were all of owners who are erased. The transaction's version says nothing.
    Batch(IdentityBits),
    /// In a table: this erasure is open when the transaction's version is 0, else closed.
    Erasure(Uuid),
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark(shard) => write!(f, "{MARK}{shard}"),
            Self::Position(shard) => write!(f, "{POSITION}{shard}"),
            Self::Copied(table) => write!(f, "{COPIED}{table}"),
            Self::Batch(batch) => write!(f, "{BATCH}{batch}"),
            Self::Erasure(id) => write!(f, "{ERASURE}{}", id.simple()),
        }
    }
}

/// An application id of somebody else.
#[derive(Debug)]
pub(crate) struct Foreign;

impl FromStr for AppId {
    type Err = Foreign;

    fn from_str(text: &str) -> Result<Self, Foreign> {
        if let Some(shard) = text.strip_prefix(MARK) {
            Ok(Self::Mark(ShardId::new(shard)))
        } else if let Some(shard) = text.strip_prefix(POSITION) {
            Ok(Self::Position(ShardId::new(shard)))
        } else if let Some(table) = text.strip_prefix(COPIED) {
            Ok(Self::Copied(table.to_owned()))
        } else if let Some(batch) = text.strip_prefix(BATCH) {
            IdentityBits::of_digits(batch).map(Self::Batch).ok_or(Foreign)
        } else if let Some(id) = text.strip_prefix(ERASURE) {
            id.parse().map(Self::Erasure).map_err(|_| Foreign)
        } else {
            Err(Foreign)
        }
    }
}

/// The number as a transaction's version: `None` when it has more than 63 bits, which the local log never gives.
pub(crate) fn transaction_version(sequence: SequenceNumber) -> Option<i64> {
    sequence.as_u64().and_then(|number| i64::try_from(number).ok())
}

/// The number that a transaction's version stands for; a negative one is none of ours and counts as nothing.
pub(crate) fn sequence_of(version: i64) -> SequenceNumber {
    SequenceNumber::from(u64::try_from(version).unwrap_or_default())
}
