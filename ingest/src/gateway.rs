//! The HTTP gateway: `POST /v1/{dataset}` and `POST /data`.
//!
//! A request is read whole, decompressed, cut into events, wrapped into stream records and appended. It is answered 202 only
//! when the stream holds all of its records durably (IN-1). Every other answer is a problem document, and then nothing was
//! acknowledged; a request that breaks a limit leaves nothing in the stream.

pub(crate) mod body;
pub(crate) mod budget;
mod cloudevents;
pub(crate) mod frame;
mod intake;
mod openapi;
pub(crate) mod rejection;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::address::parameters;
use alluvium_core::envelope::MAX_TEXT_BYTES;
use alluvium_core::ports::Stream;
use alluvium_core::{Caller, Datasets, EVERYBODY, Problem};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{Method, StatusCode, Uri};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::gate::Gate;
use crate::{IngestError, ProblemAnswer, Receipt};
use budget::Budget;
use rejection::Rejection;

pub use openapi::openapi;
pub use settings::GatewaySettings;

/// The dataset of the route `/data`.
const DATA: &str = "data";

/// How long the rest of a refused request's body is read and forgotten, so that its sender sees the answer.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// How much of it, in bodies of the largest size.
const DISCARD_BODIES: usize = 4;

/// What a request is answered with when all of its events are in the stream: the body of a 202. The response has it among its
/// extensions too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acceptance {
    /// The dataset that the route named.
    pub dataset: String,
    /// How many events were taken in.
    pub accepted: u64,
    /// Where they lie in the stream.
    #[schema(value_type = String, example = "shardId-000000000000:17-19")]
    pub receipt: Receipt,
}

/// Whose events a request brings. Whoever checks the request's token puts it into the request's extensions; without it the
/// setting `owner` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer(String);

impl Writer {
    /// A writer by the owner's name.
    ///
    /// # Errors
    ///
    /// When the name is empty or longer than an envelope holds, 1,024 bytes.
    pub fn new(owner: impl Into<String>) -> Result<Self, IngestError> {
        let owner = owner.into();
        if owner.is_empty() || owner.len() > MAX_TEXT_BYTES {
            return Err(IngestError::setting("owner", format!("expected 1 to {MAX_TEXT_BYTES} bytes of text")));
        }
        Ok(Self(owner))
    }

    /// Whose events a caller's request brings: the caller's own, but where the parameter `owner` of its address names another and the
    /// caller may write for them (AU-1).
    ///
    /// # Errors
    ///
    /// A problem of status 403 when the caller may not, of 400 when it is no owner's name.
    pub fn of(caller: &Caller, uri: &Uri) -> Result<Self, Problem> {
        let bad = |detail: &str| Problem::new(400, "bad-owner", format!("owner: {detail}"));
        let parameters = parameters(uri.query()).map_err(|error| bad(&error.to_string()))?;
        let mut named = parameters.into_iter().filter(|(name, _)| name == "owner").map(|(_, owner)| owner);
        let (named, another) = (named.next(), named.next());
        let owner =
            caller.writes(named.as_deref()).map_err(|error| Problem::new(403, "other-owner", error.to_string()))?;
        if another.is_some() {
            return Err(bad("it is given twice; give it once"));
        }
        if named.as_deref() == Some(EVERYBODY) {
            return Err(bad("`*` is everybody where records are read; name whose events these are"));
        }
        Self::new(owner).map_err(|error| Problem::new(400, "bad-owner", error.to_string()))
    }

    /// The owner's name.
    pub fn owner(&self) -> &str {
        &self.0
    }
}

/// The gateway's state. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    stream: Arc<dyn Stream>,
    datasets: Arc<Datasets>,
    settings: GatewaySettings,
    budget: Budget,
    gate: Gate,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway that takes events of these datasets into this stream.
    ///
    /// # Errors
    ///
    /// When a setting cannot be used.
    pub fn new(
        stream: Arc<dyn Stream>,
        datasets: Arc<Datasets>,
        settings: GatewaySettings,
    ) -> Result<Self, IngestError> {
        settings.check()?;
        describe_metrics();
        let budget = Budget::of(settings.buffered_bytes);
        let gate = Gate::of(settings.concurrent_requests);
        Ok(Self { shared: Arc::new(Shared { stream, datasets, settings, budget, gate }) })
    }

    /// Takes no new request in from now on: each is answered 503 with `Retry-After`. Those at work finish; see
    /// [`drained`](Self::drained).
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

    /// Answers one request for `dataset`.
    async fn answer(&self, dataset: &str, request: Request) -> Response {
        let (parts, mut body) = request.into_parts();
        let response = match self.receive(dataset, &parts, &mut body).await {
            Ok(acceptance) => {
                let mut response = (StatusCode::ACCEPTED, Json(&acceptance)).into_response();
                response.extensions_mut().insert(acceptance);
                response
            }
            Err(rejection) => {
                if rejection.leaves_body_unread() {
                    let limit = DISCARD_BODIES * self.shared.settings.body_bytes;
                    body::discard(&mut body, limit, DISCARD_TIME).await;
                }
                ProblemAnswer(rejection.problem()).into_response()
            }
        };
        count_answer(response)
    }
}

/// Reads the body of a refused request and forgets it, so that its sender sees the answer: for two seconds, and as much as four of the
/// largest bodies.
pub async fn discard(mut body: Body) {
    body::discard(&mut body, DISCARD_BODIES * alluvium_core::limits::BODY_BYTES, DISCARD_TIME).await;
}

/// The gateway's routes. Merge them with those of other rooms: other methods of the same paths may be added, for which
/// there is a 405 here until then.
pub fn router(gateway: Gateway) -> Router {
    Router::new()
        .route("/v1/{dataset}", post(post_dataset).fallback(method_not_allowed))
        .route("/data", post(post_data).fallback(method_not_allowed))
        .with_state(gateway)
}

async fn post_dataset(
    State(gateway): State<Gateway>,
    dataset: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    // A path that is no UTF-8 names no dataset.
    let dataset = dataset.map_or_else(|_| String::from("\u{FFFD}"), |Path(name)| name);
    gateway.answer(&dataset, request).await
}

async fn post_data(State(gateway): State<Gateway>, request: Request) -> Response {
    gateway.answer(DATA, request).await
}

async fn method_not_allowed(method: Method) -> Response {
    let mut response = ProblemAnswer(Rejection::Method { method: method.to_string() }.problem()).into_response();
    response.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static("POST"));
    count_answer(response)
}

fn count_answer(response: Response) -> Response {
    metrics::counter!("alluvium_requests_total", "status" => response.status().as_str().to_owned()).increment(1);
    response
}

fn describe_metrics() {
    metrics::describe_counter!("alluvium_requests_total", "Requests to the gateway, by the status of the answer.");
    metrics::describe_counter!("alluvium_events_accepted_total", "Events acknowledged, by dataset.");
    metrics::describe_counter!(
        "alluvium_ingest_bytes_total",
        metrics::Unit::Bytes,
        "Bytes of the events acknowledged, decompressed."
    );
    metrics::describe_histogram!(
        "alluvium_ack_seconds",
        metrics::Unit::Seconds,
        "From a request read whole to its acknowledgement."
    );
}

#[cfg(test)]
mod tests;
