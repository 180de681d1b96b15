//! AWS: the ports over the SDKs, and what the Lambda functions share.
//!
//! The stream is Kinesis, data files and commit messages lie in S3, their paths go through SQS, the hot index is a DynamoDB table,
//! and SQL is Athena's. The functions in `functions/` are entry points: they read their settings and join these ports with a
//! stage. Nothing here links Delta or a query engine.
//!
//! Every adapter is right for AWS's documentation; where an emulator differs, its tests say so.

pub mod config;
mod error;
pub mod function;

pub use error::port_error;
