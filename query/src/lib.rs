//! The way out: the newest records of a source across hot index and lake, the HTTP API that serves them, and SQL over HTTP.
//!
//! Invariant held here: **QR-1** a read across hot index and lake returns each event once, in order, with no gap, or says
//! `complete: false`. [`records`] says exactly what that means; [`api`] puts it behind HTTP.

pub mod api;
mod error;
pub mod records;

pub use error::QueryError;
pub use records::{CommitLag, Cursor, Records, RecordsPage, RecordsRequest};
