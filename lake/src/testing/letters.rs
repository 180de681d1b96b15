//! Batches of dead letters, and what the table has of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::dataset::dead_letter_columns;
use alluvium_core::{CommitMessage, LedgerEntry, ReasonCode};
use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryArray, Date32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::TimestampMicrosecondType;
use object_store::ObjectStore;

use super::events::{deliver_rows, events_in, rows_of};
use super::{DAY, DEAD, Event};

/// Stores the file of one batch of dead letters, which are the records from `first` on of shard 0, and returns its message. The events'
/// times are their arrivals.
pub(crate) async fn deliver_letters(store: &Arc<dyn ObjectStore>, first: u64, letters: &[Event]) -> CommitMessage {
    deliver_rows(store, DEAD, first, &rows_of_letters(letters), all_dead).await
}

/// The entry of a batch of which nothing became a row.
pub(crate) fn all_dead(entry: LedgerEntry) -> LedgerEntry {
    let dead = entry.received;
    LedgerEntry { dead, dead_by_reason: BTreeMap::from([(ReasonCode::NotJson, dead)]), ..entry }
}

fn rows_of_letters(letters: &[Event]) -> RecordBatch {
    let columns = dead_letter_columns();
    let text = |of: fn(&Event) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(letters.iter().map(of))) };
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(letters.iter().map(|_| 0))) };
    let values = columns.fields().iter().map(|field| match field.name().as_str() {
        "event_id" => text(|letter| &letter.id),
        "source" => text(|letter| &letter.source),
        "owner" => text(|letter| &letter.owner),
        "event_time" | "ingest_time" => {
            let arrivals = letters.iter().map(|letter| letter.ingest_time);
            Arc::new(TimestampMicrosecondArray::from_iter_values(arrivals).with_timezone("UTC"))
        }
        "event_date" => {
            let days = letters.iter().map(|letter| letter.ingest_time.div_euclid(DAY) as i32);
            Arc::new(Date32Array::from_iter_values(days))
        }
        "index" | "original_bytes" => numbers(),
        "original" => Arc::new(BinaryArray::from_iter_values(letters.iter().map(|_| []))),
        _ if field.is_nullable() => new_null_array(field.data_type(), letters.len()),
        _ => text(|_| "text"),
    });
    RecordBatch::try_new(columns.clone(), values.collect()).unwrap()
}

/// All dead letters, each with whether it is marked as sent again.
pub(crate) async fn letters_of(store: &Arc<dyn ObjectStore>) -> Vec<(Event, bool)> {
    let mut letters = Vec::new();
    for rows in rows_of(store, DEAD).await.into_values().flatten() {
        let marks = rows.column_by_name("redriven_at");
        let marks = marks.map(|marks| marks.as_primitive::<TimestampMicrosecondType>());
        let is_marked = |row| marks.is_some_and(|marks| marks.is_valid(row));
        letters.extend(events_in(&rows).into_iter().enumerate().map(|(row, event)| (event, is_marked(row))));
    }
    letters
}
