//! What is sent: a user record.

use alluvium_core::limits::PARTITION_KEY_CHARS;
use alluvium_core::record::hash_key;

/// One record as the sender knows it, before it is put together with others. It is copied when it is taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserRecord<'a> {
    /// Decides the shard, and with [`Ordering::PerKey`](super::Ordering::PerKey) what the record stays in order with. 1 to 256
    /// characters.
    pub partition_key: &'a str,
    /// Takes the place of the partition key's hash when it is given.
    pub explicit_hash_key: Option<u128>,
    /// The record itself.
    pub data: &'a [u8],
}

impl<'a> UserRecord<'a> {
    /// A record whose partition key decides its shard.
    pub fn new(partition_key: &'a str, data: &'a [u8]) -> Self {
        Self { partition_key, explicit_hash_key: None, data }
    }

    /// Its place in the space of hash keys.
    pub(super) fn hash_key(&self) -> u128 {
        self.explicit_hash_key.unwrap_or_else(|| hash_key(self.partition_key))
    }

    /// Whether its partition key is one.
    pub(super) fn check_key(&self) -> Result<(), String> {
        // A text has no more characters than bytes, so most need not be counted.
        let bytes = self.partition_key.len();
        if (1..=PARTITION_KEY_CHARS).contains(&bytes) {
            return Ok(());
        }
        match self.partition_key.chars().count() {
            chars @ 1.. if chars <= PARTITION_KEY_CHARS => Ok(()),
            chars => Err(format!("a partition key has 1 to {PARTITION_KEY_CHARS} characters, this one has {chars}")),
        }
    }
}
