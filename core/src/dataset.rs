//! Datasets: what each table holds, declared by one JSON Schema file and compiled when it is loaded.

mod columns;
mod datasets;
mod decimal;
mod equality;
mod evolution;
mod format;
mod infer;
mod name;
mod pattern;
mod property;
mod rule;
mod schema;
mod unit;

use std::time::Duration;

use arrow::datatypes::SchemaRef;

pub use columns::{COMMON_COLUMNS, EXTRA_COLUMN, dead_letter_columns, fingerprint, ledger_columns};
pub use datasets::{Datasets, DatasetsError};
pub use equality::{all_differ, equal};
pub use evolution::{ColumnChange, Evolution, type_name};
pub use infer::Inference;
pub use name::{DatasetName, DatasetNameError};
pub use pattern::Pattern;
pub use property::{
    Bounds, Case, Clamp, Clean, Condition, Conversion, EventFilter, Identity, ListRule, Nulls, NumberRule, ObjectRule,
    Property, Repeats, Required, TextFormat, TextRule, Undeclared, ValueKind, Values,
};
pub use rule::{NumberFault, TextFault};
pub use schema::SchemaError;

/// How a dataset is added, for a message about one that is not there.
pub const HOW_TO_ADD: &str = "`alluvium schema infer FILES… > datasets/NAME.json` makes a schema out of events, \
                              `alluvium schema check` says whether it holds, and `alluvium up --datasets datasets` takes it";

/// One dataset: a schema, compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its name: the table's, the route's, and the schema file's stem.
    pub name: DatasetName,
    /// What the data of an event must be. Its properties are the table's columns between the common ones and `extra`.
    pub object: ObjectRule,
    /// What becomes of an optional property whose value breaks the schema.
    pub misfits: Misfits,
    /// Values of an event's `type` that route it here when the record has no route.
    pub types: Vec<String>,
    /// How long the hot index keeps an event, measured from the event's time.
    pub hot_retention: Duration,
    /// How long the lake keeps an event, measured from the event's time; `None`: for ever.
    pub retention: Option<Duration>,
    /// How far before its arrival an event's time may lie.
    pub max_past: Duration,
    /// How far after its arrival an event's time may lie.
    pub max_future: Duration,
    /// Names of undeclared fields that are not kept, though what was sent otherwise is (`x-alluvium.drop.fields`).
    pub dropped_fields: Vec<String>,
    /// Events that are dropped on purpose; the ledger counts them as filtered.
    pub dropped_events: Vec<EventFilter>,
    /// The columns that the rows of a data file are sorted by; by default `source`, `event_time`.
    pub sort: Vec<String>,
    /// The columns that have a bloom filter; always `source`.
    pub bloom_filters: Vec<String>,
    columns: SchemaRef,
}

/// What becomes of an optional property whose value breaks the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfits {
    /// The column is null and the value is kept in `extra`.
    Kept,
    /// Its event becomes a dead letter (`"strict": true`).
    Refused,
}

impl Dataset {
    /// Compiles the schema of the dataset `name`.
    ///
    /// # Errors
    ///
    /// When the schema is not JSON, uses a keyword that is not implemented, or names a column that Delta or Athena cannot
    /// hold. The error says where, as a JSON pointer.
    pub fn from_schema(name: DatasetName, schema: &str) -> Result<Self, SchemaError> {
        schema::compile(name, schema)
    }

    /// The columns of its table: the common ones, its properties, `extra`.
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }
}

#[cfg(test)]
mod tests;
