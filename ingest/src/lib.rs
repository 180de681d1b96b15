//! The way in: the HTTP gateway that puts events into a stream, and the sending side that produces them.
//!
//! - [`gateway`] receives requests, cuts their bodies into events ([`delimit`]), wraps them into stream records and answers
//!   202 with a [`Receipt`] once the stream holds all of them durably.
//! - [`uploads`] takes whole files in, and loads them into the stream in the background.
//! - [`kinesis`] takes records in and gives them out the way Amazon Kinesis Data Streams does, for stock clients.
//! - [`producer`] sends records to Kinesis, to Firehose, or to a gateway: together where that saves requests, and again what failed.
//! - [`generate`] makes up device telemetry from a seed; [`replay`] reads events from files; both are an [`EventSource`], which
//!   [`bodies`] cuts into requests.
//!
//! Invariants that this room keeps:
//!
//! - **IN-1** an acknowledged record is never lost: the gateway answers 202 only when the stream has returned `Stored` for
//!   every record of the request. Anything else is a problem document, and the same request may be sent again.
//! - The gateway refuses only what it cannot delimit, what breaks a limit, and an unknown route, and then takes in nothing of
//!   the request. What it can delimit it accepts; whether an element is a good event is for the transform to judge.

pub mod bodies;
pub mod delimit;
mod error;
mod gate;
pub mod gateway;
pub mod generate;
pub mod kinesis;
#[cfg(test)]
mod memory_stream;
mod problem_answer;
pub mod producer;
mod receipt;
pub mod replay;
mod seeded;
pub mod uploads;

pub use bodies::{Bodies, BodySettings, EventBody, EventSource, Pace, Written};
pub use error::IngestError;
pub use gateway::{Acceptance, Gateway, GatewaySettings, Writer, router};
pub use generate::{EventKind, GeneratedEvent, Generator, GeneratorSettings, Tally};
pub use kinesis::{AccessKey, AccessKeys, KinesisEndpoint, KinesisSettings, ShardLimits};
pub use problem_answer::ProblemAnswer;
pub use receipt::{Receipt, ReceiptError};
pub use replay::{Replay, ReplaySettings};
pub use uploads::{UploadParts, UploadSettings, Uploads};
