//! What became of a user record.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{SequenceNumber, ShardId};

/// What became of a user record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination holds it durably (IN-1).
    Delivered(Delivered),
    /// The producer gave it up.
    Undelivered(Undelivered),
}

impl Outcome {
    /// Where it is, if it was delivered.
    pub fn delivered(&self) -> Option<&Delivered> {
        match self {
            Self::Delivered(delivered) => Some(delivered),
            Self::Undelivered(_) => None,
        }
    }
}

/// Where a user record is, and what it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// The shard of the record that holds it.
    pub shard: ShardId,
    /// That record's place in the shard.
    pub sequence: SequenceNumber,
    /// Its own place within that record, from 0.
    pub subsequence: u64,
    /// How often it was sent.
    pub attempts: u32,
    /// From its being taken in to the beginning of the first call that held it.
    pub buffered: Duration,
    /// From its being taken in to the answer.
    pub total: Duration,
}

/// Why a user record was given up, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Why.
    pub why: GivenUp,
    /// How often it was sent.
    pub attempts: u32,
    /// What the last attempt came to; `None`: it was never sent.
    pub last_error: Option<Arc<str>>,
    /// Whether the destination may hold it all the same: an attempt went unanswered, or it is stored in a shard that is not its own.
    /// Sent again it may then be there twice, and consumers tell by its event id.
    pub may_be_stored: bool,
    /// From its being taken in to its being given up.
    pub total: Duration,
}

/// Why a user record was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GivenUp {
    /// Its time to live was over.
    Expired,
    /// The destination will never take it; the last error says why.
    Refused,
    /// The destination takes nothing from this producer, as things are: there is no such stream, or no right to it. The last error
    /// says so.
    Denied,
    /// The producer was dropped before it was settled, or failed. Of a record that was lost with the failure nothing more is known: it has
    /// no attempts and no time, and may be stored.
    Abandoned,
}

impl GivenUp {
    /// One word for metrics and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Abandoned => "abandoned",
        }
    }
}
