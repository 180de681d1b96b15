//! SQL over HTTP, for commands on the same machine: the body is one Arrow IPC stream.

use std::sync::Arc;

use alluvium_core::ports::{Advice, PortError, ResultPage, SqlEngine, Statement, StatementId};
use alluvium_core::{Problem, body};
use arrow::ipc::writer::StreamWriter;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Uri, header};
use serde::Deserialize;

use super::parameters::takes_nothing;
use super::problem_response;

/// The media type of an Arrow IPC stream. IANA registry of media types.
pub const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// The longest statement. Amazon Athena User Guide, "Service Quotas": 262,144 bytes.
pub(super) const SQL_BYTES: usize = 262_144;
/// The largest body: a statement in which every character is escaped, parameters included.
pub(super) const BODY_BYTES: usize = 2 * SQL_BYTES + 1024;

/// The route `POST /admin/sql`. It reads everybody's data: the caller keeps it to those who may.
pub fn sql_routes(engine: Arc<dyn SqlEngine>) -> Router {
    Router::new().route("/admin/sql", post(run)).layer(DefaultBodyLimit::max(BODY_BYTES)).with_state(engine)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    sql: String,
}

async fn run(
    State(engine): State<Arc<dyn SqlEngine>>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = async {
        takes_nothing(&uri)?;
        check_encoding(&headers)?;
        let statement = engine.start(Statement::new(statement(body)?)).await.map_err(|error| problem(&error))?;
        let first = engine.results(&statement, None).await.map_err(|error| problem(&error))?;
        stream_body(engine, statement, first).map_err(|error| Problem::new(500, "query-failed", error.to_string()))
    };
    match answer.await {
        Ok(body) => {
            let mut response = Response::new(body);
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(ARROW_STREAM));
            response
        }
        Err(problem) => problem_response(&problem),
    }
}

fn statement(body: Result<Bytes, BytesRejection>) -> Result<String, Problem> {
    let body =
        body.map_err(|rejection| Problem::new(rejection.status().as_u16(), "unreadable-body", rejection.body_text()))?;
    let Request { sql } = body::object(&body)
        .map_err(|error| Problem::new(400, "bad-request", format!("expected {{\"sql\": \"select …\"}}: {error}")))?;
    if sql.len() > SQL_BYTES {
        let detail = format!("the statement has {} bytes, more than the {SQL_BYTES} allowed", sql.len());
        return Err(Problem::new(413, "statement-too-long", detail));
    }
    Ok(sql)
}

/// Refuses a body that is sent compressed: a statement is short.
pub(super) fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let is_plain = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    match headers.get_all(header::CONTENT_ENCODING).iter().find(|value| !is_plain(value)) {
        None => Ok(()),
        Some(value) => {
            let named: String = String::from_utf8_lossy(value.as_bytes()).chars().take(80).collect();
            let detail = format!("`Content-Encoding` is `{named}`; send a statement as it is, without that header");
            Err(Problem::new(415, "unknown-encoding", detail))
        }
    }
}

fn problem(error: &PortError) -> Problem {
    match error.advice {
        Advice::Stop => Problem::new(400, "statement-failed", &error.message),
        Advice::BackOff => Problem::new(429, "too-many-queries", &error.message).retry_after(1),
        Advice::Retry => Problem::new(503, "storage-unavailable", &error.message).retry_after(5),
    }
}

/// What is left to send.
struct Sending {
    engine: Arc<dyn SqlEngine>,
    statement: StatementId,
    writer: StreamWriter<Vec<u8>>,
    next: Next,
}

enum Next {
    Page(ResultPage),
    Ask(String),
    Nothing,
}

/// Sends page after page, each when the client has taken the one before. A failure on the way breaks the body off, which a client
/// notices: the stream lacks its end.
fn stream_body(engine: Arc<dyn SqlEngine>, statement: StatementId, first: ResultPage) -> Result<Body, PortError> {
    let schema = first.batches.first().map(|batch| batch.schema());
    let schema = schema.ok_or_else(|| PortError::new(Advice::Stop, "the engine answered no RecordBatch"))?;
    let writer = StreamWriter::try_new(Vec::new(), &schema)
        .map_err(|error| PortError::because(Advice::Stop, "the results cannot be written as Arrow", error))?;
    let sending = Sending { engine, statement, writer, next: Next::Page(first) };
    Ok(Body::from_stream(stream::try_unfold(sending, |mut sending| async move {
        let sent = sending.send_next().await;
        if let Err(error) = &sent {
            tracing::warn!(%error, "a statement failed after the first of its results were sent");
        }
        sent.map(|bytes| bytes.map(|bytes| (bytes, sending)))
    })))
}

impl Sending {
    async fn send_next(&mut self) -> Result<Option<Bytes>, PortError> {
        let page = match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Nothing => return Ok(None),
            Next::Page(page) => page,
            Next::Ask(page) => self.engine.results(&self.statement, Some(&page)).await?,
        };
        let written = (|| {
            page.batches.iter().try_for_each(|batch| self.writer.write(batch))?;
            if page.next.is_none() { self.writer.finish() } else { self.writer.flush() }
        })();
        written.map_err(|error| PortError::because(Advice::Stop, "the results cannot be written as Arrow", error))?;
        self.next = page.next.map_or(Next::Nothing, Next::Ask);
        Ok(Some(std::mem::take(self.writer.get_mut()).into()))
    }
}
