//! The contract suites against an emulator of AWS: what each port promises, its adapter on AWS keeps too.
//!
//! `ALLUVIUM_TEST_ENDPOINT=http://127.0.0.1:PORT cargo nextest run -p alluvium-aws --features emulator`, with ministack 1.5.33 or
//! moto 5.2.5 at that address; they pass with either. Each test makes what it needs under a name of its own and removes it.
//! Where the two differ from AWS's documentation, the adapter follows the documentation and the test says what they do.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod counts;
mod destination;
mod endpoint;
mod hot_index;
mod kinesis;
mod lambda;
mod levelled;
mod parameters;
mod reports;
mod s3;
mod secret;
mod sns;
mod sql_engine;
mod sqs;
mod uploads;
