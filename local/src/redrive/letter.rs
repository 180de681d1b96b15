//! One dead letter as it is selected, and the record that it is sent again as.

use alluvium_core::clock::Micros;
use alluvium_core::envelope::{EnvelopeHeader, MAX_TEXT_BYTES, RedrivenRecord, redriven_event};
use alluvium_core::identity::content_hash;
use alluvium_core::limits::STREAM_RECORD_BYTES;
use alluvium_core::{Origin, PutRecord, ReasonCode};
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

/// The columns that a letter is read from.
pub(super) const COLUMNS: &str =
    r#"owner, source, event_id, ingest_time, dataset, reason, record, "index", original, original_bytes"#;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter<'a> {
    pub(super) owner: &'a str,
    pub(super) source: &'a str,
    pub(super) event_id: &'a str,
    pub(super) arrival: Micros,
    pub(super) dataset: Option<&'a str>,
    pub(super) reason: &'a str,
    pub(super) record: &'a str,
    pub(super) index: i64,
    pub(super) original: &'a [u8],
    pub(super) original_bytes: i64,
}

/// Why a dead letter cannot be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsendable {
    /// It does not have all bytes of its original.
    Cut,
    /// With its envelope it is larger than a record may be.
    TooLarge,
    /// Its row is not as the transform writes it.
    Damaged,
}

/// The letters of a RecordBatch with [`COLUMNS`].
pub(super) fn letters(rows: &RecordBatch) -> impl Iterator<Item = Letter<'_>> {
    let text = |name: &str| rows[name].as_string::<i32>();
    let number = |name: &str| rows[name].as_primitive::<Int64Type>();
    let (owners, sources, ids) = (text("owner"), text("source"), text("event_id"));
    let (datasets, reasons, records) = (text("dataset"), text("reason"), text("record"));
    let (indexes, lengths) = (number("index"), number("original_bytes"));
    let arrivals = rows["ingest_time"].as_primitive::<TimestampMicrosecondType>();
    let originals = rows["original"].as_binary::<i32>();
    (0..rows.num_rows()).map(move |row| Letter {
        owner: owners.value(row),
        source: sources.value(row),
        event_id: ids.value(row),
        arrival: arrivals.value(row),
        dataset: datasets.is_valid(row).then(|| datasets.value(row)),
        reason: reasons.value(row),
        record: records.value(row),
        index: indexes.value(row),
        original: originals.value(row),
        original_bytes: lengths.value(row),
    })
}

impl Letter<'_> {
    /// The record that it is sent again as. Of letters for the same reason some may be events and some whole records, which
    /// were never told into events; the reason tells.
    pub(super) fn record(&self) -> Result<PutRecord, Unsendable> {
        if self.original_bytes != self.original.len() as i64 {
            return Err(Unsendable::Cut);
        }
        let texts = [self.owner, self.dataset.unwrap_or_default(), self.event_id, self.record];
        if texts.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
            return Err(Unsendable::Damaged);
        }
        let Ok(dead_letter) = self.event_id.parse();
        let origin = Origin {
            record: self.record.parse().map_err(|_| Unsendable::Damaged)?,
            index: u32::try_from(self.index).map_err(|_| Unsendable::Damaged)?,
            arrival: self.arrival,
            dead_letter,
        };
        let owner = self.owner.to_owned();
        let is_whole_record = [ReasonCode::UnreadableRecord, ReasonCode::ExpandsTooFar]
            .iter()
            .any(|reason| reason.as_str() == self.reason);
        let data = if is_whole_record {
            RedrivenRecord { owner, origin, record: self.original.to_vec().into() }.seal()
        } else {
            let dataset = self.dataset.unwrap_or_default().to_owned();
            let header = EnvelopeHeader { owner, dataset, ..EnvelopeHeader::default() };
            redriven_event(&header, &origin, self.original)
        };
        if data.len() > STREAM_RECORD_BYTES {
            return Err(Unsendable::TooLarge);
        }
        Ok(PutRecord { partition_key: content_hash(self.event_id.as_bytes()), explicit_hash_key: None, data })
    }
}

#[cfg(test)]
mod tests {
    use alluvium_core::envelope::Envelope;

    use super::*;

    fn letter() -> Letter<'static> {
        Letter {
            owner: "anna",
            source: "s",
            event_id: "9d09-2",
            arrival: 5,
            dataset: Some("telemetry"),
            reason: "schema_violated",
            record: "shardId-000000000001/7/3",
            index: 4,
            original: b"{}",
            original_bytes: 2,
        }
    }

    #[test]
    fn an_event_is_sent_in_an_envelope_with_its_origin() {
        let envelope = Envelope::open(&letter().record().unwrap().data).unwrap();
        assert_eq!((envelope.header.owner.as_str(), envelope.header.dataset.as_str()), ("anna", "telemetry"));
        let origin = envelope.origin.clone().unwrap();
        assert_eq!((origin.record.to_string().as_str(), origin.index, origin.arrival), (letter().record, 4, 5));
        assert_eq!((origin.dead_letter.event.as_str(), origin.dead_letter.times), ("9d09", 2));
        assert_eq!(envelope.elements().collect::<Vec<_>>(), [b"{}"]);
        let nowhere = Letter { dataset: None, ..letter() };
        assert_eq!(Envelope::open(&nowhere.record().unwrap().data).unwrap().header.dataset, "");
    }

    #[test]
    fn what_was_never_told_into_events_is_sent_whole() {
        for reason in ["expands_too_far", "unreadable_record"] {
            let sent = Letter { reason, ..letter() }.record().unwrap();
            let record = RedrivenRecord::open(&sent.data).unwrap();
            assert_eq!((record.owner.as_str(), &record.record[..]), ("anna", &b"{}"[..]));
        }
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        let large = vec![b' '; STREAM_RECORD_BYTES];
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let cases = [
            (Letter { original_bytes: 3, ..letter() }, Unsendable::Cut),
            (Letter { original: &large, original_bytes: large.len() as i64, ..letter() }, Unsendable::TooLarge),
            (Letter { record: "nowhere", ..letter() }, Unsendable::Damaged),
            (Letter { index: -1, ..letter() }, Unsendable::Damaged),
            (Letter { owner: &long, ..letter() }, Unsendable::Damaged),
        ];
        for (letter, why) in cases {
            assert_eq!(letter.record().unwrap_err(), why);
        }
    }
}
