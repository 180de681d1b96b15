//! What must hold for any bytes that reach a decoder: one check per fuzz target, a function that panics when it does not hold.
//!
//! The targets of `make fuzz` call these functions with what a fuzzer makes up; the test `replay` calls them with the committed
//! corpus. A check is deterministic: the same bytes take the same way through it.
//!
//! Every check that runs the transform holds it to TR-1 and TR-2, and to the same bytes for the same batch.

#![allow(clippy::unwrap_used, reason = "a check says by panicking that something does not hold")]

mod aggregate;
mod company;
mod compressed;
mod delivery;
mod event;
mod firehose;
mod hot_block;
mod key_set;
mod pick;
mod postgres;
mod schema;
mod token;
mod tokens;

pub use aggregate::aggregate;
pub use compressed::{gzip, zstd};
pub use event::event;
pub use firehose::firehose;
pub use hot_block::hot_block;
pub use key_set::key_set;
pub use postgres::postgres;
pub use schema::schema;
pub use token::token;

/// What is done with the bytes that a fuzzer makes up. It panics if something does not hold.
pub type Check = fn(&[u8]);

/// Every check under the name of its fuzz target and of its folder in the corpus.
pub const CHECKS: [(&str, Check); 10] = [
    ("aggregate", aggregate),
    ("event", event),
    ("firehose", firehose),
    ("gzip", gzip),
    ("hot_block", hot_block),
    ("key_set", key_set),
    ("postgres", postgres),
    ("schema", schema),
    ("token", token),
    ("zstd", zstd),
];
