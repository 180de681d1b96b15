//! The columns of every table.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use sha2::{Digest, Sha256};

use super::{Property, ValueKind, Values};

/// The columns that every dataset's table begins with, in order. Also the names that no property can have, with
/// [`EXTRA_COLUMN`].
pub const COMMON_COLUMNS: [&str; 7] =
    ["event_id", "source", "type", "event_time", "event_date", "ingest_time", "owner"];

/// The last column of every dataset's table: JSON text of every undeclared field, and of every value that did not fit.
pub const EXTRA_COLUMN: &str = "extra";

pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn common_columns() -> Vec<Field> {
    vec![
        Field::new("event_id", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("type", DataType::Utf8, true),
        Field::new("event_time", timestamp(), false),
        Field::new("event_date", DataType::Date32, false),
        Field::new("ingest_time", timestamp(), false),
        Field::new("owner", DataType::Utf8, false),
    ]
}

/// The columns of a dataset's table. Properties are nullable even when required, so that one may become optional later.
pub(super) fn dataset_columns(properties: &[Property]) -> SchemaRef {
    let mut fields = common_columns();
    fields.extend(properties.iter().map(field));
    fields.push(Field::new(EXTRA_COLUMN, DataType::Utf8, true));
    Arc::new(Schema::new(fields))
}

fn field(property: &Property) -> Field {
    Field::new(&property.name, data_type(&property.values), true)
}

/// The type of a column that holds such values. The items of a list are called `element`, as Parquet and Delta have it.
fn data_type(values: &Values) -> DataType {
    match &values.kind {
        ValueKind::Text(_) => DataType::Utf8,
        ValueKind::Integer(_) => DataType::Int64,
        ValueKind::Number(_) => DataType::Float64,
        ValueKind::Boolean(_) => DataType::Boolean,
        ValueKind::Timestamp => timestamp(),
        ValueKind::Date => DataType::Date32,
        ValueKind::Object(object) => DataType::Struct(object.properties.iter().map(field).collect()),
        ValueKind::List(list) => DataType::List(Arc::new(Field::new("element", data_type(&list.items), true))),
    }
}

/// The columns of the table `dead_letters`.
///
/// The common ones come first: `event_id` is a [`DeadLetterId`](crate::DeadLetterId): the id that the event has when it brings
/// none, so that it is the same however often the event is delivered, with a number behind it when the event was dead before;
/// `source` and `type` are the event's where they could be read (`source`: else `unknown`); `event_time` is the arrival. Then
/// `dataset` (where it was going, if known), `reason` (a [`ReasonCode`](crate::ReasonCode)), `detail` (a sentence), `pointer` (a
/// JSON pointer to the offending value), `record` (the record's identity), `index` (the event's position in the record),
/// `original` (its bytes as sent, capped), `original_bytes` (their whole length) and `redriven_at` (when it was sent again; null:
/// never). Of an event that was redriven and is dead again, arrival, record and index are those of its first delivery.
pub fn dead_letter_columns() -> SchemaRef {
    static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = common_columns();
        fields.extend([
            Field::new("dataset", DataType::Utf8, true),
            Field::new("reason", DataType::Utf8, false),
            Field::new("detail", DataType::Utf8, false),
            Field::new("pointer", DataType::Utf8, true),
            Field::new("record", DataType::Utf8, false),
            Field::new("index", DataType::Int64, false),
            Field::new("original", DataType::Binary, false),
            Field::new("original_bytes", DataType::Int64, false),
            Field::new("redriven_at", timestamp(), true),
        ]);
        Arc::new(Schema::new(fields))
    });
    COLUMNS.clone()
}

/// The columns of the table `ledger`: one row per [`LedgerEntry`](crate::LedgerEntry), in which the last three are null, or per
/// [`Removal`](crate::Removal), in which they are not and the counts of events are zero. `dead_by_reason` and `covers` are JSON
/// text.
pub fn ledger_columns() -> SchemaRef {
    static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
        let count = |name| Field::new(name, DataType::Int64, false);
        let removed = |name| Field::new(name, DataType::Int64, true);
        Arc::new(Schema::new(vec![
            Field::new("batch", DataType::Utf8, false),
            Field::new("dataset", DataType::Utf8, false),
            count("received"),
            count("written"),
            count("filtered"),
            count("dead"),
            count("bytes"),
            Field::new("dead_by_reason", DataType::Utf8, false),
            Field::new("covers", DataType::Utf8, false),
            Field::new("arrival", timestamp(), false),
            Field::new("committed_at", timestamp(), false),
            removed("duplicates"),
            removed("expired"),
            removed("erased"),
            Field::new("redriven", DataType::Int64, true),
        ]))
    });
    COLUMNS.clone()
}

/// 16 hexadecimal digits that change whenever a column's name, type, nullability or place does.
pub fn fingerprint(columns: &Schema) -> String {
    let mut hash = Sha256::new();
    for field in columns.fields() {
        hash.update(format!("{}\u{0}{:?}\u{0}{}\n", field.name(), field.data_type(), field.is_nullable()));
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
