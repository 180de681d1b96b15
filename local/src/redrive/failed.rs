//! What Firehose could not have transformed and put under its error prefix: whole records, sent again into another stream.
//!
//! A line does not say where its record lay in the stream that it came from. So a record is known by the object that it was found in,
//! by that object's bytes, and by its line: sending an object again makes every event the same event again.

use alluvium_core::envelope::{Envelope, RedrivenRecord};
use alluvium_core::identity::content_hash;
use alluvium_core::limits::STREAM_RECORD_BYTES;
use alluvium_core::ports::{PortError, Stream};
use alluvium_core::{DeadLetterId, Origin, PutRecord, RecordIdentity};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::put::{Settled, put_all};
use crate::firehose::failed;

/// What was sent of an object; of a preview, what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedReport {
    /// Records that were sent.
    pub sent: u64,
    /// The bytes of them.
    pub bytes: u64,
    /// Records that are larger than one may be with its envelope, and were not sent.
    pub too_large: u64,
}

/// An object that is not what Firehose puts under its error prefix.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}; expected the objects under `processing-failed/`, one JSON object a line with `rawData` and `arrivalTimestamp`"
)]
pub struct FailedRecordsError(String);

/// The records of an object, in order, as they are sent again.
///
/// # Errors
///
/// When one of its lines tells of no record: then nothing of it is.
pub fn failed_records(object: &[u8]) -> Result<Vec<PutRecord>, FailedRecordsError> {
    let lines = failed::read(object).map_err(FailedRecordsError)?;
    let name = content_hash(object);
    Ok(lines.into_iter().enumerate().map(|(index, line)| record(&format!("{name}:{index}"), line)).collect())
}

fn record(id: &str, line: failed::Line) -> PutRecord {
    let identity = RecordIdentity::of_direct_put(id);
    // What was being sent again when it failed knows where it came from.
    let knows_its_origin = RedrivenRecord::open(&line.data).is_some()
        || Envelope::open(&line.data).is_ok_and(|envelope| envelope.origin.is_some());
    let data = if knows_its_origin { line.data } else { sealed(identity, line.arrival_ms, line.data) };
    PutRecord { partition_key: content_hash(id.as_bytes()), explicit_hash_key: None, data }
}

fn sealed(record: RecordIdentity, arrival_ms: i64, data: Bytes) -> Bytes {
    let dead_letter = DeadLetterId::after(record.derived_event_id(0), 0);
    let origin = Origin { record, index: 0, arrival: arrival_ms.saturating_mul(1000), dead_letter };
    RedrivenRecord { owner: String::new(), origin, record: data }.seal()
}

/// Counts what would be sent.
pub fn preview_failed(records: &[PutRecord]) -> FailedReport {
    let mut report = FailedReport::default();
    records.iter().for_each(|record| report.add(record.data.len(), settled_by_size(record)));
    report
}

/// Sends the records of an object; returns when the stream holds those that can be sent.
///
/// # Errors
///
/// When the stream takes nothing for a minute, or says that it will not. To send the object once more is harmless.
pub async fn send_failed(stream: &dyn Stream, records: Vec<PutRecord>) -> Result<FailedReport, PortError> {
    let mut report = FailedReport::default();
    let sized = records.into_iter().map(|record| (record.data.len(), record));
    put_all(stream, sized.collect(), |bytes, settled| report.add(bytes, settled)).await?;
    Ok(report)
}

fn settled_by_size(record: &PutRecord) -> Settled {
    if record.data.len() > STREAM_RECORD_BYTES { Settled::TooLarge } else { Settled::Stored }
}

impl FailedReport {
    fn add(&mut self, bytes: usize, settled: Settled) {
        match settled {
            Settled::Stored => {
                self.sent += 1;
                self.bytes += bytes as u64;
            }
            Settled::TooLarge => self.too_large += 1,
        }
    }
}

#[cfg(test)]
mod tests;
