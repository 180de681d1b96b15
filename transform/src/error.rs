//! What can go wrong that no event can cause.

use alluvium_core::hot_block::HotBlockError;
use arrow::error::ArrowError;
use parquet::errors::ParquetError;

/// A failure of the transform itself. A bad event is never one: it becomes a dead letter.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// A dataset pseudonymises a property and the settings have no key for it; nothing is transformed without one.
    #[error(
        "the dataset `{dataset}` pseudonymises properties, and no `pseudonym_key` is set; make one with `openssl rand -hex 32`"
    )]
    NoPseudonymKey {
        /// The dataset.
        dataset: String,
    },
    /// Arrow refused columns that the transform built; a defect of the transform, trying again does not help.
    #[error("the columns of `{dataset}` do not make a RecordBatch: {source}")]
    Arrow {
        /// The dataset.
        dataset: String,
        /// What Arrow says.
        source: ArrowError,
    },
    /// The Parquet file could not be encoded, or the output that `convert` was given refused it.
    #[error("the data file of `{dataset}` cannot be written: {source}")]
    Parquet {
        /// The dataset.
        dataset: String,
        /// What the writer says.
        source: ParquetError,
    },
    /// A chunk's block could not be encoded; a defect of the transform, trying again does not help.
    #[error("a hot chunk of `{dataset}` cannot be written: {source}")]
    HotBlock {
        /// The dataset.
        dataset: String,
        /// What the codec says.
        source: HotBlockError,
    },
    /// The input that `convert` was given cannot be read.
    #[error("the input cannot be read after line {line}: {source}")]
    Input {
        /// The last line that was read.
        line: u64,
        /// Why.
        source: std::io::Error,
    },
}
