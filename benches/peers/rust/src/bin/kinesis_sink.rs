//! The endpoint that all producers send to: as much of the Kinesis API as they need, and a count of what came.
//!
//! It stores nothing and takes everything, so that producers are measured and not a service. `GET /counts` tells how many requests,
//! records and user records came, how many bytes went over the wire in both directions, and a sum over the user records' hashes beside
//! the one that the file of records has; `POST /reset` begins anew.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};

use alluvium_core::record::{hash_key, hash_key_range, shard_of_hash_key};
use alluvium_core::{RecordIdentity, SequenceNumber, ShardId, StreamRecord};
use alluvium_transform::firehose::user_records;
use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use base64_simd::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const SHARDS: u32 = 4;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
const LARGEST_BODY: usize = 16 * 1024 * 1024;
const LARGEST_RECORD: usize = 16 * 1024 * 1024;

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    records: AtomicU64,
    user_records: AtomicU64,
    /// Of the hashes of the user records.
    sum: AtomicU64,
}

/// Bytes over the wire, both ways.
static WIRE: OnceLock<[AtomicU64; 2]> = OnceLock::new();

fn wire() -> &'static [AtomicU64; 2] {
    WIRE.get_or_init(Default::default)
}

#[derive(Debug)]
struct Sink {
    counts: Counts,
    expected: (u64, u64),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, records] = &arguments[..] else { anyhow::bail!("usage: kinesis_sink LISTEN RECORDS") };
    let text = std::fs::read_to_string(records)?;
    let data = text.lines().map(|line| line.split_once('\t').context("expected KEY, a tab, DATA"));
    let mut expected = (0, 0_u64);
    for line in data {
        expected = (expected.0 + 1, expected.1.wrapping_add(hash(line?.1.as_bytes())));
    }
    let sink = Arc::new(Sink { counts: Counts::default(), expected });
    let app = Router::new()
        .route("/", post(call))
        .route("/counts", get(counts))
        .route("/reset", post(reset))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(sink);
    let listener = Counting(TcpListener::bind(listen).await?);
    println!("listening");
    axum::serve(listener, app).await?;
    Ok(())
}

/// 64-bit FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

async fn counts(State(sink): State<Arc<Sink>>) -> Response {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let Counts { requests, records, user_records, sum } = &sink.counts;
    let (expected_records, expected_sum) = sink.expected;
    let [received, sent] = wire();
    axum::Json(json!({
        "requests": read(requests),
        "records": read(records),
        "user_records": read(user_records),
        "sum": read(sum).to_string(),
        "expected_user_records": expected_records,
        "expected_sum": expected_sum.to_string(),
        "bytes_received": read(received),
        "bytes_sent": read(sent),
    }))
    .into_response()
}

async fn reset(State(sink): State<Arc<Sink>>) -> StatusCode {
    let Counts { requests, records, user_records, sum } = &sink.counts;
    [requests, records, user_records, sum]
        .into_iter()
        .chain(wire())
        .for_each(|count| count.store(0, Ordering::Relaxed));
    StatusCode::NO_CONTENT
}

async fn call(State(sink): State<Arc<Sink>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let answer = match target.rsplit('.').next() {
        Some("PutRecords") => sink.put_records(&body),
        Some("ListShards") => Ok(list_shards()),
        _ => Err(anyhow::anyhow!("`{target}` is not known here")),
    };
    match answer {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/x-amz-json-1.1")], answer.to_string()).into_response(),
        Err(error) => {
            let answer = json!({"__type": "ValidationException", "message": error.to_string()});
            (StatusCode::BAD_REQUEST, answer.to_string()).into_response()
        }
    }
}

fn list_shards() -> Value {
    let shard = |number: u32| {
        let (first, last) = hash_key_range(number, SHARDS);
        json!({
            "ShardId": ShardId::numbered(number),
            "HashKeyRange": {"StartingHashKey": first.to_string(), "EndingHashKey": last.to_string()},
            "SequenceNumberRange": {"StartingSequenceNumber": "1"},
        })
    };
    json!({"Shards": (0..SHARDS).map(shard).collect::<Vec<_>>()})
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRecords<'a> {
    #[serde(borrow)]
    records: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    data: &'a str,
    partition_key: std::borrow::Cow<'a, str>,
    explicit_hash_key: Option<&'a str>,
}

impl Sink {
    fn put_records(&self, body: &[u8]) -> anyhow::Result<Value> {
        let PutRecords { records } = serde_json::from_slice(body)?;
        let mut answers = Vec::with_capacity(records.len());
        let (mut users, mut sum) = (0, 0_u64);
        for (index, entry) in records.iter().enumerate() {
            let key = match entry.explicit_hash_key {
                Some(key) => key.parse()?,
                None => hash_key(&entry.partition_key),
            };
            let shard = ShardId::numbered(shard_of_hash_key(key, SHARDS));
            let sequence = SequenceNumber::from(1 + index as u64);
            let identity = RecordIdentity { shard: shard.clone(), sequence, subsequence: 0 };
            let data = Bytes::from(STANDARD.decode_to_vec(entry.data)?);
            for user in user_records(StreamRecord { identity, arrival: 0, partition_key: String::new(), data }) {
                let lines = if user.data.starts_with(&ZSTD_MAGIC) { expand(&user.data)? } else { user.data.to_vec() };
                for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    users += 1;
                    sum = sum.wrapping_add(hash(line));
                }
            }
            answers.push(json!({"SequenceNumber": sequence, "ShardId": shard}));
        }
        let counts = &self.counts;
        counts.requests.fetch_add(1, Ordering::Relaxed);
        counts.records.fetch_add(records.len() as u64, Ordering::Relaxed);
        counts.user_records.fetch_add(users, Ordering::Relaxed);
        counts.sum.fetch_add(sum, Ordering::Relaxed);
        Ok(json!({"FailedRecordCount": 0, "Records": answers}))
    }
}

fn expand(data: &[u8]) -> anyhow::Result<Vec<u8>> {
    Ok(zstd::bulk::decompress(data, LARGEST_RECORD)?)
}

/// Counts what goes over its connections.
struct Counting(TcpListener);

impl Listener for Counting {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        (Counted(stream), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

struct Counted(TcpStream);

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        wire()[0].fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.0).poll_write(cx, buf);
        if let Poll::Ready(Ok(bytes)) = &polled {
            wire()[1].fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
