//! What an event becomes does not hang on the events that came before it.

use std::collections::BTreeMap;

use alluvium_core::envelope::{EnvelopeHeader, EnvelopeWriter};
use alluvium_core::{DeliveryBatch, ReasonCode};
use arrow::row::{RowConverter, SortField};
use bytes::Bytes;

use crate::delivery::{Outcome, record, run};
use crate::event::EVERY_KIND;

/// Runs elements in one record, all of them twice over, and each by itself: the rows are the same, and so are the reasons of
/// those that become none. The transform reads an event that is built like an earlier one by a shorter way.
pub(crate) fn check(elements: &[&[u8]]) {
    let twice: Vec<&[u8]> = elements.iter().chain(elements).copied().collect();
    let together = run(&EVERY_KIND, &batch(sealed(&twice, 0)));
    let mut rows = BTreeMap::new();
    let mut reasons = BTreeMap::new();
    for (index, element) in twice.iter().enumerate() {
        let alone = run(&EVERY_KIND, &batch(sealed(&[*element], index as u32)));
        count(&mut rows, &mut reasons, &alone);
    }
    let (mut rows_together, mut reasons_together) = (BTreeMap::new(), BTreeMap::new());
    count(&mut rows_together, &mut reasons_together, &together);
    assert_eq!(rows_together, rows, "a row is the same in company and alone");
    assert_eq!(reasons_together, reasons, "so is the reason of a dead letter");
}

fn batch(data: Bytes) -> DeliveryBatch {
    DeliveryBatch { records: vec![record(1, 0, data)] }
}

/// An envelope as the gateway makes it for a part of a request; events without an id derive theirs from its key and their index.
fn sealed(elements: &[&[u8]], first_index: u32) -> Bytes {
    let header = EnvelopeHeader {
        owner: "anna".to_owned(),
        dataset: String::new(),
        idempotency_key: Some("key".to_owned()),
        first_index,
    };
    let mut writer = EnvelopeWriter::new(&header, 0);
    elements.iter().for_each(|element| writer.push(element));
    writer.finish()
}

/// Adds a batch's rows, by dataset and as bytes that are equal when the rows are, and the reasons of its dead letters.
fn count(
    rows: &mut BTreeMap<(String, Vec<u8>), usize>,
    reasons: &mut BTreeMap<(String, ReasonCode), u64>,
    outcome: &Outcome,
) {
    for (dataset, batch) in outcome.rows.iter().filter(|(dataset, _)| *dataset != "dead_letters") {
        let fields = batch.schema().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let comparable = RowConverter::new(fields).unwrap().convert_columns(batch.columns()).unwrap();
        for row in &comparable {
            *rows.entry((dataset.clone(), row.as_ref().to_vec())).or_default() += 1;
        }
    }
    for entry in &outcome.output.message.ledger {
        for (reason, events) in &entry.dead_by_reason {
            *reasons.entry((entry.dataset.clone(), *reason)).or_default() += events;
        }
    }
}
