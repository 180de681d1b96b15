//! AWS: the ports over the SDKs, and what the Lambda functions share.
//!
//! The stream is Kinesis, data files and commit messages lie in S3, their paths go through SQS, commits are told of by SNS, the hot index is a DynamoDB table,
//! and SQL is Athena's. Uploads lie in S3 and are kept in another table. A producer may send to Kinesis, and to Firehose put directly. The functions in `functions/` are entry points: they read their settings and join these ports with a
//! stage. Nothing here links Delta or a query engine.
//!
//! Every adapter is right for AWS's documentation; where an emulator differs, its tests say so.

mod athena;
pub mod config;
#[cfg(feature = "counts")]
mod counts;
mod destination;
mod dynamo;
mod error;
mod fields;
pub mod function;
pub mod kinesis;
pub mod lambda;
pub mod levelled;
pub mod metrics;
#[cfg(feature = "operate")]
pub mod parameters;
pub mod reports;
pub mod retry;
pub mod s3;
pub mod secret;
pub mod sns;
pub mod sqs;
#[cfg(feature = "store")]
pub mod store;
mod timer;
pub mod trace;
pub mod uploads;

pub use athena::{AthenaFiles, AthenaSettings, AthenaSql};
#[cfg(feature = "counts")]
pub use counts::CloudWatchCounts;
pub use destination::{FirehoseDestination, KinesisDestination};
pub use dynamo::{DynamoHotIndex, DynamoNotes, SETTLE};
pub use error::port_error;
pub use kinesis::KinesisStream;
pub use lambda::DeployedFunction;
pub use levelled::LevelledHotIndex;
pub use metrics::Metrics;
pub use reports::S3Reports;
pub use retry::Retries;
pub use s3::{LakeUrl, S3DataFiles};
pub use secret::Secret;
pub use sns::SnsTopic;
pub use sqs::SqsCommitQueue;
pub use uploads::S3Uploads;
