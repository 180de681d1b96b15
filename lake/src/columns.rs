//! A table's columns: how they are declared in its log, and what may become of them.

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::dataset::{Evolution, dead_letter_columns};
use alluvium_core::{DatasetName, Datasets};
use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use deltalake_core::kernel::engine::arrow_conversion::{TryIntoArrow as _, TryIntoKernel as _};
use deltalake_core::kernel::{Action, Metadata, StructType};
use serde_json::{Map, json};
use uuid::Uuid;

use crate::commit::Commit;
use crate::error::{LakeError, Result};
use crate::log::TableLog;

/// The properties of every table.
///
/// Tombstones outlive every message (30 days against 29, after which its object is gone: ADR 12), so that a compacted-away
/// identity is known for as long as its message may come again. Log entries are kept one day past a checkpoint, and only
/// maintenance removes them: left to itself the library lists the whole folder at every commit.
const PROPERTIES: [(&str, &str); 3] = [
    ("delta.deletedFileRetentionDuration", "interval 30 days"),
    ("delta.logRetentionDuration", "interval 1 days"),
    ("delta.enableExpiredLogCleanup", "false"),
];

/// The tables that a lake of these datasets has, but for the ledger, with their columns.
pub(crate) fn of_tables(datasets: &Datasets) -> impl Iterator<Item = (String, SchemaRef)> {
    let dead_letters = (DatasetName::dead_letters().into(), dead_letter_columns());
    datasets.iter().map(|dataset| (dataset.name.as_str().to_owned(), dataset.columns().clone())).chain([dead_letters])
}

/// The columns that make an event key, beside the table.
pub(crate) const KEY_COLUMNS: [&str; 3] = ["owner", "source", "event_id"];

/// Rows of a file with the columns that its table has now: those that came after it was written are null.
pub(crate) fn conform(rows: &RecordBatch, columns: &SchemaRef) -> std::result::Result<RecordBatch, ArrowError> {
    let values = columns.fields().iter().map(|field| match rows.column_by_name(field.name()) {
        Some(column) => column.clone(),
        None => new_null_array(field.data_type(), rows.num_rows()),
    });
    RecordBatch::try_new(columns.clone(), values.collect())
}

/// The property of `dead_letters` where several committers share the lake: transactions that remember a batch without a file expire
/// with the tombstones of files. Else each such batch would stay in every checkpoint for ever.
pub(crate) const REMEMBERED: (&str, &str) = ("delta.setTransactionRetentionDuration", "interval 30 days");

/// What a table that exists needs before it takes a dataset's files.
#[derive(Debug)]
pub(crate) enum Fit {
    Fits,
    /// This commit, which adds columns or says which have bounds.
    Evolve(Commit),
}

/// The commit that makes a table: version 0.
pub(crate) fn create(table: &str, columns: &Schema, more: &[(&str, &str)], now: Micros) -> Commit {
    let (bounded, names) = bounded_columns(table, columns);
    let properties = PROPERTIES.into_iter().chain([(bounded, names.as_str())]).chain(more.iter().copied());
    let protocol = json!({ "protocol": { "minReaderVersion": 1, "minWriterVersion": 2 } });
    let metadata = json!({ "metaData": {
        "id": Uuid::new_v4().to_string(),
        "name": table,
        "description": null,
        "format": { "provider": "parquet", "options": {} },
        "schemaString": schema_string(columns),
        "partitionColumns": [],
        "configuration": Map::from_iter(properties.map(|(key, value)| (key.to_owned(), json!(value)))),
        "createdTime": now / 1_000,
    } });
    let actions = [protocol, metadata].map(action).into();
    Commit { actions, ..Commit::default() }
}

/// Compares a dataset's columns with those of its table.
pub(crate) fn fit(log: &TableLog, metadata: &Metadata, wanted: &Schema) -> Result<Fit> {
    let present = arrow_columns(log, metadata)?;
    let evolution = Evolution::between(&present, wanted);
    if !evolution.conflicts.is_empty() {
        return Err(LakeError::Columns { dataset: log.name().to_owned(), conflicts: evolution.conflicts });
    }
    let mut changed = serde_json::to_value(metadata).expect("a table's metadata was read from JSON");
    let (bounded, names) = bounded_columns(log.name(), wanted);
    if evolution.added.is_empty() && changed["configuration"][bounded] == names {
        return Ok(Fit::Fits);
    }
    if !evolution.added.is_empty() {
        changed["schemaString"] = json!(schema_string(wanted));
    }
    changed["configuration"][bounded] = json!(names);
    Ok(Fit::Evolve(Commit { actions: vec![action(json!({ "metaData": changed }))], ..Commit::default() }))
}

/// The table property that says which columns have bounds in the log, and its value.
///
/// What writes our files keeps the bounds of most texts to itself, since they may be identities. A reader that is not told takes
/// bounds that are not there for null, and finds nothing (deltalake for Python 1.6, when it filters through pyarrow); a writer
/// that is not told, when it compacts, puts them into the log.
///
/// Source: Delta Lake documentation, "Table properties reference".
fn bounded_columns(table: &str, columns: &Schema) -> (&'static str, String) {
    if table == DatasetName::ledger().as_str() {
        return ("delta.dataSkippingNumIndexedCols", "0".to_owned());
    }
    let bounded = columns.fields().iter().filter(|field| match field.data_type() {
        DataType::Utf8 => ["source", "type"].contains(&field.name().as_str()),
        data_type => data_type.is_numeric() || data_type.is_temporal(),
    });
    let names: Vec<String> = bounded.map(|field| format!("`{}`", field.name())).collect();
    ("delta.dataSkippingStatsColumns", names.join(","))
}

/// The columns that a table's log declares.
pub(crate) fn arrow_columns(log: &TableLog, metadata: &Metadata) -> Result<SchemaRef> {
    if !metadata.partition_columns().is_empty() {
        return Err(log.damaged("_delta_log", "the table has partition columns; Alluvium's tables have none"));
    }
    let unreadable =
        |error: &dyn std::fmt::Display| log.damaged("_delta_log", &format!("its columns cannot be read: {error}"));
    let declared = metadata.parse_schema().map_err(|error| unreadable(&error))?;
    let arrow: Schema = (&declared).try_into_arrow().map_err(|error| unreadable(&error))?;
    Ok(Arc::new(arrow))
}

fn schema_string(columns: &Schema) -> String {
    let declared: StructType = columns.try_into_kernel().expect("every column type of a dataset has its like in Delta");
    serde_json::to_string(&declared).expect("a schema holds only text, flags and lists of them")
}

fn action(json: serde_json::Value) -> Action {
    serde_json::from_value(json).expect("the fields of the action are those of the Delta protocol")
}
