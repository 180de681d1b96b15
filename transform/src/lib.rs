//! Cleans, validates and encodes: a [`DeliveryBatch`](alluvium_core::DeliveryBatch) in, a [`BatchOutput`] out.
//!
//! The hot path of the whole system, and a pure function: no I/O and no clock. "Now" is a record's arrival, so the same batch
//! always gives the same bytes, and a retry writes the same files over again.
//!
//! Each event goes through these steps: its record is taken apart if it is an aggregate (`aggregate`), opened and told into
//! elements (`elements`). An element that is built like an earlier one is read straight into a draft of a row (`skeleton`,
//! `draft`); any other is scanned once, which checks that it is JSON (`scan`, `tape`), and judged against its dataset's plan (`plan`,
//! `judge`, `value`, `clean`, `time`, `pseudonym`, `filter`) into a draft or a fault (`fault`). Rows are collected in columns and
//! sorted (`rows`), dead letters beside them (`dead`), and the whole is encoded as Parquet (`encode`, `stats`) and as chunks for the
//! hot index (`hot`). `docs/hot-path.md` walks one event through all of it.
//!
//! Invariants that this room keeps:
//!
//! - **TR-1** each element that can be told from its neighbours becomes one row or one dead letter, or is dropped by a rule of its
//!   dataset; a record that cannot be opened or told into elements becomes one dead letter.
//! - **TR-2** every ledger entry balances: `received = written + filtered + dead`.

mod aggregate;
mod clean;
mod convert;
mod dead;
mod decimal;
mod draft;
mod elements;
mod encode;
mod error;
mod fault;
mod filter;
pub mod firehose;
mod format;
mod growing;
mod hot;
mod judge;
#[cfg(test)]
mod measure;
mod plan;
mod pseudonym;
mod reading;
mod rows;
mod scan;
mod settings;
mod short;
mod skeleton;
mod sources;
mod stats;
mod store;
mod tape;
mod time;
mod transform;
mod value;

pub use convert::{ConvertReport, DEAD_LINES, DeadLine, convert};
pub use error::TransformError;
pub use format::DataFiles;
pub use pseudonym::{PseudonymKey, PseudonymKeyError};
pub use settings::TransformSettings;
pub use store::Persevere;
pub use time::is_event_time;
pub use transform::{BatchOutput, DataFile, Transform};
