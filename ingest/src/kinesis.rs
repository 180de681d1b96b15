//! The Kinesis-compatible endpoint: `POST /` with `X-Amz-Target: Kinesis_20131202.<Operation>`, so that any AWS SDK can send to and
//! read from a stream that runs here.
//!
//! It is the JSON protocol of one stream of a fixed number of shards, over a [`Stream`] whose shards divide the hash keys evenly,
//! tell where they begin and end, and count their sequence numbers from 1, as the local log's do. What differs from the service stands in
//! `docs/kinesis-endpoint.md`.
//!
//! **IN-1**: a record is answered with a sequence number only when the stream has said `Stored` for it.
//!
//! **AU-1**: with [`AccessKeys`], every call's signature is verified before anything is done, an operation takes the role for it, and a
//! record goes into the stream sealed with its caller's owner ([`OwnedRecord`](alluvium_core::envelope::OwnedRecord)). Without, any call
//! will do, and records go into the stream as they were sent. Either way they are read as they were sent.

mod answer;
mod call;
mod describe;
mod exception;
mod input;
mod keys;
mod limits;
mod pace;
mod put;
mod read;
mod seal;
mod settings;
mod shards;
mod signature;
mod store;
mod token;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::ports::Stream;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use http::request::Parts;
use tokio::time::timeout;

use crate::IngestError;
use crate::gate::{Gate, Turned};
use crate::gateway::body;
use crate::gateway::budget::{Budget, Reservation};
use answer::Answer;
use call::{Encoding, Operation, Signer};
use exception::{BodyLeft, Code, Exception};
use keys::Claim;
use pace::Pace;
use seal::Seal;

pub use keys::{AccessKey, AccessKeys};
pub use settings::{KinesisSettings, ShardLimits};

/// The account that ARNs are of: emulators' usual one, for there is none here.
const ACCOUNT: &str = "000000000000";

/// How long the rest of a refused request's body is read and forgotten, so that its sender sees the answer.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// How much of it.
const DISCARD_BYTES: usize = 4 * limits::BODY_BYTES;

/// JSON up to this size is read and written where it is: it takes a few milliseconds. More of it gets a thread for blocking work, so
/// that other requests do not wait for it.
const INLINE_BYTES: usize = 1024 * 1024;

/// The endpoint's state. Clones share it.
#[derive(Clone)]
pub struct KinesisEndpoint {
    shared: Arc<Shared>,
    /// `None`: anybody may call.
    keys: Option<Arc<dyn AccessKeys>>,
}

struct Shared {
    stream: Arc<dyn Stream>,
    clock: Arc<dyn Clock>,
    settings: KinesisSettings,
    budget: Budget,
    /// `None`: shards are held to no limits.
    pace: Option<Pace>,
    gate: Gate,
}

impl std::fmt::Debug for KinesisEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KinesisEndpoint").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// One call, its body read.
struct Call {
    operation: Operation,
    signer: Signer,
    /// What the call's records are sealed with.
    seal: Seal,
    body: Bytes,
    /// The share of the endpoint's memory that the body takes.
    reservation: Reservation,
}

impl KinesisEndpoint {
    /// An endpoint to this stream that anybody may call; see [`with_keys`](Self::with_keys).
    ///
    /// # Errors
    ///
    /// When a setting cannot be used.
    pub fn new(stream: Arc<dyn Stream>, clock: Arc<dyn Clock>, settings: KinesisSettings) -> Result<Self, IngestError> {
        settings.check()?;
        describe_metrics();
        let budget = Budget::of(settings.buffered_bytes);
        let pace = match settings.shard_limits {
            ShardLimits::Off => None,
            ShardLimits::Service => Some(Pace::default()),
        };
        let gate = Gate::of(settings.concurrent_requests);
        Ok(Self { shared: Arc::new(Shared { stream, clock, settings, budget, pace, gate }), keys: None })
    }

    /// The same endpoint for those who sign with one of these keys (AU-1); with `None`, for anybody.
    #[must_use]
    pub fn with_keys(self, keys: Option<Arc<dyn AccessKeys>>) -> Self {
        Self { keys, ..self }
    }

    /// Takes no new request in from now on: each is answered 503. Those at work finish; see [`drained`](Self::drained).
    pub fn stop_intake(&self) {
        self.shared.gate.shut();
    }

    /// Waits until no request is at work. Call [`stop_intake`](Self::stop_intake) before, else it may wait for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future and calling again is fine.
    pub async fn drained(&self) {
        self.shared.gate.empty().await;
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, mut body) = request.into_parts();
        let encoding = Encoding::of(&parts.headers);
        let operation = encoding.readable().and_then(|()| Operation::of(&parts.headers));
        let name = operation.as_ref().map_or("none", |operation| operation.name());
        let outcome = match operation {
            Ok(operation) => self.receive(operation, &parts, &mut body).await,
            Err(exception) => Err(exception),
        };
        let code = outcome.as_ref().map_or_else(|exception| exception.code.as_str(), |_| "ok");
        metrics::counter!("alluvium_kinesis_requests_total", "operation" => name, "outcome" => code).increment(1);
        match outcome {
            Ok(answer) => answer.into_response(),
            Err(exception) => {
                if exception.body == BodyLeft::Unread {
                    body::discard(&mut body, DISCARD_BYTES, DISCARD_TIME).await;
                }
                answer::failure(&exception, encoding)
            }
        }
    }

    async fn receive(
        &self,
        operation: Operation,
        parts: &Parts,
        body: &mut axum::body::Body,
    ) -> Result<Answer, Exception> {
        let claim = self.keys.as_deref().map(|keys| Claim::of(keys, operation, parts, self.now())).transpose()?;
        let signer = Signer::of(&parts.headers);
        let settings = &self.shared.settings;
        let turned = |turned| match turned {
            Turned::Full => {
                let limit = settings.concurrent_requests;
                Exception::early(Code::Throttling, format!("{limit} requests are being worked on, the most at a time"))
            }
            Turned::Shut => Exception::early(Code::ServiceUnavailable, "the node is shutting down; call again later"),
        };
        let _admission = self.shared.gate.admit().map_err(turned)?;
        let mut reservation = self.shared.budget.reservation();
        let read = timeout(settings.request_time, body::read(body, limits::BODY_BYTES, &mut reservation)).await;
        let slow = |_| {
            Exception::new(
                Code::RequestTimeout,
                format!("the body was not here whole after {:?}", settings.request_time),
            )
        };
        let body = read.map_err(slow)??;
        tracing::debug!(
            operation = operation.name(),
            access_key_id = signer.access_key_id,
            bytes = body.len(),
            "a call"
        );
        let seal = match claim {
            None => Seal::none(),
            Some(claim) => Seal::of(&claim.verify(&body).await?),
        };
        self.perform(Call { operation, signer, seal, body, reservation }).await
    }

    async fn perform(&self, call: Call) -> Result<Answer, Exception> {
        match call.operation {
            Operation::CreateStream => self.create_stream(&call),
            Operation::DeleteStream => self.delete_stream(&call),
            Operation::DescribeLimits => self.describe_limits().await,
            Operation::DescribeStream => self.describe_stream(&call).await,
            Operation::DescribeStreamSummary => self.describe_stream_summary(&call).await,
            Operation::GetRecords => self.get_records(&call).await,
            Operation::GetShardIterator => self.get_shard_iterator(&call).await,
            Operation::ListShards => self.list_shards(&call).await,
            Operation::ListStreams => self.list_streams(&call),
            Operation::PutRecord => self.put_record(call).await,
            Operation::PutRecords => self.put_records(call).await,
        }
    }

    fn now(&self) -> Micros {
        self.shared.clock.now_micros()
    }

    /// Refuses a call that names another stream than the one there is. Each operation takes a name, an ARN, or both; of an ARN only
    /// what stands after `stream/` counts.
    fn check_stream(&self, name: Option<&str>, arn: Option<&str>) -> Result<(), Exception> {
        let ours = self.shared.settings.stream.as_str();
        let by_arn = arn.map(|arn| {
            let name = arn.split_once(":stream/").map(|(_, name)| name).filter(|_| arn.starts_with("arn:"));
            name.ok_or_else(|| {
                Exception::validation(format!("`StreamARN` {arn:?} is no ARN of a stream; {}", here(ours)))
            })
        });
        let named = [name, by_arn.transpose()?];
        if named == [None, None] {
            return Err(Exception::argument(format!("neither `StreamName` nor `StreamARN` is given; {}", here(ours))));
        }
        let Some(other) = named.into_iter().flatten().find(|name| *name != ours) else { return Ok(()) };
        let other: String = other.chars().take(128).collect();
        Err(Exception::new(Code::ResourceNotFound, format!("there is no stream {other:?}; {}", here(ours))))
    }

    fn arn(&self, signer: &Signer) -> String {
        format!("arn:aws:kinesis:{}:{ACCOUNT}:stream/{}", signer.region, self.shared.settings.stream)
    }
}

fn here(stream: &str) -> String {
    format!("a node has one stream, and this one's is called {stream:?} (setting `kinesis.stream`)")
}

/// Does the work on a body of so many bytes: here, or on another thread when it is much.
async fn work<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Exception> {
    if bytes <= INLINE_BYTES {
        return Ok(work());
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down and has not begun the work.
        Err(_) => Err(Exception::new(Code::ServiceUnavailable, "the node is shutting down; call again later")),
    }
}

/// The endpoint's route. Merge it with those of other rooms: other methods of `/` may be added.
pub fn router(endpoint: KinesisEndpoint) -> Router {
    Router::new().route("/", post(post_call)).with_state(endpoint)
}

async fn post_call(State(endpoint): State<KinesisEndpoint>, request: Request) -> Response {
    endpoint.answer(request).await
}

fn describe_metrics() {
    metrics::describe_counter!(
        "alluvium_kinesis_requests_total",
        "Calls of the Kinesis-compatible endpoint, by operation and outcome: `ok`, or the exception's name."
    );
    metrics::describe_counter!(
        "alluvium_kinesis_records_accepted_total",
        "Records that the Kinesis-compatible endpoint acknowledged."
    );
}

#[cfg(test)]
mod tests;
