//! Where a reader begins: each type of iterator, as the record after which to read.

use alluvium_core::SequenceNumber;
use alluvium_core::clock::Micros;
use alluvium_core::ports::ShardState;

use super::super::KinesisEndpoint;
use super::super::exception::Exception;
use super::super::input::{required, time};
use super::page::beyond;

impl KinesisEndpoint {
    /// The record after which an iterator of this type reads; 0: it reads from the oldest.
    ///
    /// Amazon Kinesis Data Streams API Reference, `GetShardIterator`.
    pub(super) async fn start(
        &self,
        state: &ShardState,
        kind: &str,
        sequence: Option<&str>,
        timestamp: Option<f64>,
    ) -> Result<SequenceNumber, Exception> {
        let newest = state.newest.unwrap_or_default();
        match kind {
            "TRIM_HORIZON" => Ok(SequenceNumber::default()),
            "LATEST" => Ok(newest),
            "AT_SEQUENCE_NUMBER" => Ok(before(number(state, sequence)?)),
            "AFTER_SEQUENCE_NUMBER" => number(state, sequence),
            "AT_TIMESTAMP" => {
                let from = time("Timestamp", required("Timestamp", timestamp)?)?;
                let now = self.now();
                if from > now {
                    let message = format!(
                        "`Timestamp` lies {} ms in the future of the node's clock; to read what is yet to come take LATEST",
                        (from - now).div_euclid(1000)
                    );
                    return Err(Exception::argument(message));
                }
                self.last_before(state, from).await
            }
            _ => Err(Exception::validation(format!(
                "`ShardIteratorType` is {:?}; expected AT_SEQUENCE_NUMBER, AFTER_SEQUENCE_NUMBER, AT_TIMESTAMP, TRIM_HORIZON or LATEST",
                kind.chars().take(40).collect::<String>()
            ))),
        }
    }

    /// The last record held that arrived before a time, to the millisecond. Arrival times of a shard never go backwards and its
    /// numbers count, so halving finds it in as many reads as the number of records has bits.
    async fn last_before(&self, state: &ShardState, from: Micros) -> Result<SequenceNumber, Exception> {
        let newest = state.newest.unwrap_or_default();
        let (Some(oldest), Some(mut high)) = (state.oldest.and_then(SequenceNumber::as_u64), newest.as_u64()) else {
            return Ok(newest);
        };
        let mut low = oldest.saturating_sub(1);
        while low < high {
            let middle = low + (high - low) / 2;
            let page = self.read(state, middle.into(), 0).await.map_err(|error| {
                tracing::error!(%error, shard = %state.shard, "the stream cannot be searched for a time");
                Exception::internal()
            })?;
            match page.records.first() {
                Some(record) if record.arrival.div_euclid(1000) * 1000 < from => {
                    low = record.identity.sequence.as_u64().unwrap_or(high).min(high);
                }
                _ => high = middle,
            }
        }
        Ok(low.into())
    }
}

/// The number just before one: reading after it reads that one first.
fn before(number: SequenceNumber) -> SequenceNumber {
    let before = number.as_u64().map(|number| number.saturating_sub(1));
    before.map_or(number, SequenceNumber::from)
}

/// The number that a reader names, which the shard must have given out; 0 is where each shard begins.
fn number(state: &ShardState, text: Option<&str>) -> Result<SequenceNumber, Exception> {
    let text = required("StartingSequenceNumber", text)?;
    let problem = |error| Exception::argument(format!("`StartingSequenceNumber`: {error}"));
    let number: SequenceNumber = text.parse().map_err(problem)?;
    let newest = state.newest.unwrap_or_default();
    if number > newest { Err(beyond(&state.shard, number, newest)) } else { Ok(number) }
}
