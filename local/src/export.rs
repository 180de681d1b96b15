//! Rows as files on disk: [`alluvium_core::export`] writes them.

mod open;

pub use alluvium_core::export::{ExportError, ParquetWriter};
pub use open::FileOnDisk;
