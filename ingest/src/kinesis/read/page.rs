//! What one `GetRecords` gives: records up to their number and bytes, within the memory that there is.

use std::ops::ControlFlow;
use std::time::Duration;

use alluvium_core::envelope::OwnedRecord;
use alluvium_core::ports::{PortError, ReadPage, ShardState};
use alluvium_core::{SequenceNumber, ShardId, StreamRecord};

use super::super::KinesisEndpoint;
use super::super::exception::{Code, Exception};
use super::super::limits::GET_BYTES;
use crate::gateway::budget::Reservation;

/// What a page has when memory is short: one record of the largest size.
const SMALL_BYTES: usize = 1024 * 1024;

/// How much of the stream is read at a time: so much that a call of many small records reads little in vain.
const STEP_BYTES: usize = 512 * 1024;

/// How often a page is begun again because its beginning was trimmed away meanwhile.
const TRIES: usize = 3;

/// What was read.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<StreamRecord>,
    /// Bytes of data.
    pub(super) bytes: usize,
    /// The last record read, or the place from which nothing came.
    pub(super) after: SequenceNumber,
    /// Whether the shard holds more.
    pub(super) more: bool,
}

/// What a page of so many bytes of data takes: itself, and its base64.
pub(super) fn memory_bytes(bytes: usize) -> usize {
    bytes * 5 / 2
}

impl KinesisEndpoint {
    /// Memory for what comes after a record, and the most bytes of data that fit it.
    pub(super) fn room_for_records(
        &self,
        state: &ShardState,
        after: SequenceNumber,
    ) -> Result<(Reservation, usize), Exception> {
        let mut reservation = self.shared.budget.reservation();
        if state.newest.is_none_or(|newest| newest <= after) {
            return Ok((reservation, SMALL_BYTES));
        }
        if reservation.grow(memory_bytes(GET_BYTES)).is_ok() {
            return Ok((reservation, GET_BYTES));
        }
        let mut reservation = self.shared.budget.reservation();
        reservation.grow(memory_bytes(SMALL_BYTES))?;
        Ok((reservation, SMALL_BYTES))
    }

    /// Reads what comes after a record. What was trimmed is left out: then the page begins with the oldest record held, as the
    /// service's does.
    pub(super) async fn page(
        &self,
        mut state: ShardState,
        after: SequenceNumber,
        most: usize,
        most_bytes: usize,
    ) -> Result<Page, Exception> {
        let shard = state.shard.clone();
        let mut page = Page { records: Vec::new(), bytes: 0, after: begin(&state, after)?, more: true };
        let mut tries = 1;
        while page.more && page.records.len() < most && page.bytes < most_bytes {
            let step = STEP_BYTES.min(most_bytes - page.bytes);
            match self.read(&state, page.after, step).await {
                Ok(read) => {
                    if page.add(read, most, most_bytes).is_break() {
                        break;
                    }
                }
                // What was read so far is good, and the next call goes on from there.
                Err(_) if !page.records.is_empty() => break,
                Err(error) => {
                    let seen = state.oldest;
                    state = self.shard(shard.as_str()).await?;
                    if state.oldest == seen || tries == TRIES {
                        tracing::error!(%error, %shard, "the stream cannot be read");
                        return Err(Exception::internal());
                    }
                    tries += 1;
                    page.after = begin(&state, page.after)?;
                }
            }
        }
        Ok(page)
    }

    /// Reads what comes after a record, which may have been trimmed.
    pub(super) async fn read(
        &self,
        state: &ShardState,
        after: SequenceNumber,
        bytes: usize,
    ) -> Result<ReadPage, PortError> {
        let held = state.oldest.is_none_or(|oldest| oldest <= after) && after != SequenceNumber::default();
        self.shared.stream.read(&state.shard, held.then_some(after), bytes, Duration::ZERO).await
    }
}

impl Page {
    /// Adds what was read, as it was put and as far as it fits; the page's first record always does. Breaks when something did not.
    fn add(&mut self, read: ReadPage, most: usize, most_bytes: usize) -> ControlFlow<()> {
        self.more = read.more;
        for mut record in read.records {
            if let Some(owned) = OwnedRecord::open(&record.data) {
                record.data = owned.record;
            }
            let fits = self.records.is_empty() || self.bytes + record.data.len() <= most_bytes;
            if self.records.len() == most || !fits {
                self.more = true;
                return ControlFlow::Break(());
            }
            self.bytes += record.data.len();
            self.after = record.identity.sequence;
            self.records.push(record);
        }
        ControlFlow::Continue(())
    }
}

/// Where reading after a record begins: after it, or after what was trimmed.
fn begin(state: &ShardState, after: SequenceNumber) -> Result<SequenceNumber, Exception> {
    let newest = state.newest.unwrap_or_default();
    if after > newest {
        return Err(beyond(&state.shard, after, newest));
    }
    // A shard that holds nothing has nothing after its newest either.
    Ok(if state.oldest.is_none() { newest } else { after })
}

/// What to say of a number that no record of the shard has yet.
pub(super) fn beyond(shard: &ShardId, number: SequenceNumber, newest: SequenceNumber) -> Exception {
    let message = format!(
        "{shard} has no record {number} yet, its newest is {newest}: the number is from another shard or stream, or from before the \
         node's folder was begun anew. Read from TRIM_HORIZON"
    );
    Exception::new(Code::InvalidArgument, message)
}
