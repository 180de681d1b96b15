//! What a call's records are sealed with.

use alluvium_core::envelope::OwnedRecord;
use alluvium_core::{Caller, PutRecord};

/// What stands before the data of each record of a call in the stream: its caller's owner (AU-1), or nothing where callers are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seal(Vec<u8>);

impl Seal {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    pub(super) fn of(caller: &Caller) -> Self {
        Self(OwnedRecord::seal_of(caller.owner()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What counts of a sealed record against the service's limits: its data as it was sent, and its partition key.
    pub(super) fn size_bytes(&self, record: &PutRecord) -> usize {
        record.data.len() - self.0.len() + record.partition_key.len()
    }
}
