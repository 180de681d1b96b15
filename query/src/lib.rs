//! The way out: the newest records of a source across hot index and lake, the HTTP API that serves them, and SQL over HTTP and,
//! with the feature `postgres`, over the Postgres protocol.
//!
//! Invariants held here:
//!
//! - **QR-1** a read across hot index and lake returns each event once, in order, with no gap, or says `complete: false`.
//!   [`records`] says exactly what that means; [`api`] puts it behind HTTP.
//! - **AU-1** nobody reads or writes without the role for it, and a plain reader sees only the data of the owner in the token.
//!   [`authorizer`] checks tokens; [`api`] keeps a reader to what is theirs.

pub mod api;
pub mod authorizer;
mod error;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod records;

pub use authorizer::{Access, Authorizer, AuthorizerSettings, KeySource, Links, Refusal};
pub use error::QueryError;
pub use records::{
    After, AfterCursor, AfterPage, AfterRequest, CommitLag, Cursor, Records, RecordsPage, RecordsRequest,
};
