//! Callers who are known by their access keys (AU-1).

use alluvium_core::envelope::{EnvelopeWriter, OwnedRecord};
use alluvium_core::limits::STREAM_RECORD_BYTES;
use alluvium_core::{Caller, Roles};

use super::super::signature::tests::authorization;
use super::*;

/// A key for each set of roles: its id is that of a role, its owner `owner-<id>`, its secret `secret-<id>`.
struct Keys;

impl AccessKeys for Keys {
    fn key(&self, access_key_id: &str) -> Option<AccessKey> {
        let roles = ["read", "write", "admin", "none"].into_iter().find(|id| *id == access_key_id)?;
        let caller = Caller::new(format!("owner-{roles}"), Roles::of_text(&format!("data.{roles}")))?;
        Some(AccessKey { secret: format!("secret-{roles}"), caller })
    }
}

fn keyed(settings: KinesisSettings) -> Fixture {
    let fixture = over(MemoryStream::default(), settings);
    Fixture { endpoint: fixture.endpoint.with_keys(Some(Arc::new(Keys))), ..fixture }
}

const DATE: &str = "20260101T000000Z";
const SCOPE: &str = "20260101/us-east-1/kinesis/aws4_request";

/// A call as it is signed, and as it is sent.
struct Sent {
    operation: &'static str,
    id: &'static str,
    secret: Option<&'static str>,
    date: &'static str,
    scope: &'static str,
    /// Lists all headers but this one among the signed.
    unsigned: &'static str,
    signed_body: String,
    body: String,
    /// Headers that are sent with another value than the one that was signed, or beside those that were.
    altered: Vec<(&'static str, String)>,
}

impl Sent {
    fn by(id: &'static str, operation: &'static str, input: &Value) -> Self {
        let (signed_body, body) = (input.to_string(), input.to_string());
        let (secret, date, scope, unsigned, altered) = (None, DATE, SCOPE, "", Vec::new());
        Self { operation, id, secret, date, scope, unsigned, signed_body, body, altered }
    }

    fn request(&self) -> Request {
        let target = format!("Kinesis_20131202.{}", self.operation);
        let headers = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", "127.0.0.1:7171"),
            ("x-amz-date", self.date),
            ("x-amz-target", &target),
        ];
        let signed: Vec<_> = headers.into_iter().filter(|(name, _)| *name != self.unsigned).collect();
        let secret = self.secret.map_or(format!("secret-{}", self.id), str::to_owned);
        let authorization = authorization((self.id, &secret), &signed, self.scope, self.signed_body.as_bytes());
        let mut sent: http::HeaderMap = http::HeaderMap::new();
        for (name, value) in headers.into_iter().chain([("authorization", authorization.as_str())]) {
            sent.insert(name, value.parse().unwrap());
        }
        for (name, value) in &self.altered {
            if value.is_empty() {
                sent.remove(*name);
            } else {
                sent.insert(*name, value.parse().unwrap());
            }
        }
        let mut request = Request::builder().method("POST").uri("/").body(Body::from(self.body.clone())).unwrap();
        *request.headers_mut() = sent;
        request
    }
}

impl Fixture {
    /// Calls an operation, signed, of which all goes well.
    async fn signed(&self, id: &'static str, operation: &'static str, input: Value) -> Value {
        let said = self.ask(Sent::by(id, operation, &input).request()).await;
        assert_eq!(said.status, 200, "{operation} {input}: {}", String::from_utf8_lossy(&said.body));
        said.json()
    }

    async fn turned_away(&self, sent: Sent, code: &str, words: &str) {
        let (status, found, message) = self.ask(sent.request()).await.failure();
        assert_eq!((status, found.as_str()), (400, code), "{message}");
        assert!(message.contains(words), "{words}: {message}");
        assert!(!message.contains("secret-"), "{message}");
    }

    /// What an admin reads from the beginning of the first shard.
    async fn read_all(&self) -> Value {
        let place = json!({
            "StreamName": "alluvium", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON",
        });
        let iterator = self.signed("admin", "GetShardIterator", place).await["ShardIterator"].clone();
        self.signed("admin", "GetRecords", json!({"ShardIterator": iterator})).await["Records"].clone()
    }
}

fn put(data: impl AsRef<[u8]>) -> Value {
    let data = base64_simd::STANDARD.encode_to_string(data);
    json!({"StreamName": "alluvium", "PartitionKey": "key", "ExplicitHashKey": "0", "Data": data})
}

#[tokio::test]
async fn a_record_goes_in_sealed_with_its_owner_and_comes_out_as_it_was_put() {
    let fixture = keyed(KinesisSettings::default());
    fixture.signed("write", "PutRecord", put("one")).await;
    let entries = json!({"StreamName": "alluvium", "Records": [
        {"Data": "aGk=", "PartitionKey": "a", "ExplicitHashKey": "0"}, {"Data": "", "PartitionKey": "b", "ExplicitHashKey": "1"},
    ]});
    fixture.signed("admin", "PutRecords", entries).await;
    let stored: Vec<_> =
        fixture.stream.records().iter().map(|record| OwnedRecord::open(&record.data).unwrap()).collect();
    let stored: Vec<_> = stored.iter().map(|owned| (owned.owner.as_str(), &owned.record[..])).collect();
    let expected: [(&str, &[u8]); 3] = [("owner-write", b"one"), ("owner-admin", b"hi"), ("owner-admin", b"")];
    assert_eq!(stored, expected);
    let read = fixture.read_all().await;
    let arrival = 1_767_225_600.0;
    let record = |sequence: &str, data: &str, key: &str| json!({"SequenceNumber": sequence, "ApproximateArrivalTimestamp": arrival, "Data": data, "PartitionKey": key});
    assert_eq!(read, json!([record("1", "b25l", "key"), record("2", "aGk=", "a"), record("3", "", "b")]));
    // And when keys are switched off again.
    let open = Fixture { endpoint: fixture.endpoint.clone().with_keys(None), ..fixture };
    let iterator = open.call(
        "GetShardIterator",
        json!({
            "StreamName": "alluvium", "ShardId": "shardId-000000000000", "ShardIteratorType": "TRIM_HORIZON",
        }),
    );
    let iterator = iterator.await["ShardIterator"].clone();
    assert_eq!(open.call("GetRecords", json!({"ShardIterator": iterator})).await["Records"], read);
}

#[tokio::test]
async fn a_seal_counts_against_no_limit() {
    let settings = KinesisSettings { shard_limits: ShardLimits::Service, ..KinesisSettings::default() };
    let fixture = keyed(settings);
    fixture.signed("write", "PutRecord", put(vec![b'x'; STREAM_RECORD_BYTES - 3])).await;
    assert!(fixture.stream.records()[0].data.len() > STREAM_RECORD_BYTES);
    let large = Sent::by("write", "PutRecord", &put(vec![b'x'; STREAM_RECORD_BYTES - 2]));
    fixture.turned_away(large, "ValidationException", "have 1048577 bytes").await;
    let settings = KinesisSettings { buffered_bytes: 32 << 20, ..KinesisSettings::default() };
    let fixture = keyed(settings);
    let entry = put(vec![b'x'; STREAM_RECORD_BYTES - 3]);
    let full = json!({"StreamName": "alluvium", "Records": vec![entry; 10]});
    assert_eq!(fixture.signed("write", "PutRecords", full).await["FailedRecordCount"], 0);
    assert_eq!(fixture.read_all().await.as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn an_envelope_is_refused_of_known_callers_too() {
    let fixture = keyed(KinesisSettings::default());
    let envelope = EnvelopeWriter::new(&Default::default(), 0).finish();
    let sealed = OwnedRecord { owner: "ann".to_owned(), dataset: String::new(), record: Bytes::new() }.seal();
    for data in [envelope, sealed] {
        let sent = Sent::by("write", "PutRecord", &put(data));
        fixture.turned_away(sent, "InvalidArgumentException", "`Data` begins like an envelope").await;
    }
    assert!(fixture.stream.records().is_empty());
}

#[tokio::test]
async fn each_operation_takes_its_role() {
    let fixture = keyed(KinesisSettings::default());
    for (operation, permitted) in [
        ("PutRecord", vec!["write", "admin"]),
        ("PutRecords", vec!["write", "admin"]),
        ("GetRecords", vec!["admin"]),
        ("GetShardIterator", vec!["admin"]),
        ("ListShards", vec!["read", "write", "admin"]),
        ("ListStreams", vec!["read", "write", "admin"]),
        ("DescribeStream", vec!["read", "write", "admin"]),
        ("DescribeStreamSummary", vec!["read", "write", "admin"]),
        ("DescribeLimits", vec!["read", "write", "admin"]),
        ("CreateStream", vec!["read", "write", "admin"]),
        ("DeleteStream", vec!["read", "write", "admin"]),
    ] {
        for id in ["read", "write", "admin", "none"] {
            // A secret that is wrong is found only when the role is right.
            let secret = Some("wrong");
            let sent = Sent { secret, ..Sent::by(id, operation, &json!({})) };
            let (_, code, message) = fixture.ask(sent.request()).await.failure();
            let expected = if permitted.contains(&id) { "InvalidSignatureException" } else { "AccessDeniedException" };
            assert_eq!(code, expected, "{operation} by {id}: {message}");
        }
    }
    let sent = Sent::by("read", "PutRecord", &put("x"));
    fixture
        .turned_away(sent, "AccessDeniedException", "needs the role `data.write`, and the key has `data.read`")
        .await;
}

#[tokio::test]
async fn whoever_cannot_be_known_is_told_why_and_nothing_is_done() {
    let fixture = keyed(KinesisSettings::default());
    let sent = || Sent::by("write", "PutRecord", &put("x"));
    let with = |name: &'static str, value: &str| Sent { altered: vec![(name, value.to_owned())], ..sent() };
    let (missing, incomplete) = ("MissingAuthenticationTokenException", "IncompleteSignatureException");
    let (unknown, invalid) = ("UnrecognizedClientException", "InvalidSignatureException");
    let other_body = put("y").to_string();
    let hour = "20260101/us-east-1/kinesis/aws4_request";
    let signature = "0".repeat(64);
    let plain = format!("AWS4-HMAC-SHA256 Credential=write/{hour}, SignedHeaders=host;x-amz-date;x-amz-target");
    let cases = [
        (with("authorization", ""), missing, "no header `Authorization`"),
        (with("authorization", "Bearer abc"), incomplete, "does not begin with AWS4-HMAC-SHA256"),
        (with("authorization", "AWS4-HMAC-SHA256"), incomplete, "does not begin with AWS4-HMAC-SHA256"),
        (with("authorization", "AWS4-HMAC-SHA256 Credential=write"), incomplete, "no field `SignedHeaders`"),
        (with("authorization", &plain), incomplete, "no field `Signature`"),
        (with("authorization", &format!("{plain}, Signature=12")), incomplete, "64 digits"),
        (with("authorization", &format!("{plain}, Signature={}", "A".repeat(64))), incomplete, "lower-case"),
        (with("authorization", &format!("{plain}, Signature={signature}, A=b")), incomplete, "beside the three"),
        (with("authorization", &format!("{plain}, Signature=1, Signature=2")), incomplete, "`Signature` twice"),
        (
            with("authorization", &format!("AWS4-HMAC-SHA256 Credential=w,SignedHeaders=host,Signature={signature}")),
            incomplete,
            "<access key id>/<date>",
        ),
        (with("authorization", &format!("{plain};x-other, Signature={signature}")), incomplete, "\"x-other\""),
        (with("authorization", &format!("{plain};Host, Signature={signature}")), incomplete, "lower case"),
        (Sent { id: "nobody", ..sent() }, unknown, "\"nobody\" is no access key of this node"),
        (Sent { secret: Some("secret-read"), ..sent() }, invalid, "does not match"),
        (Sent { secret: Some(""), ..sent() }, invalid, "does not match"),
        (Sent { body: other_body, ..sent() }, invalid, "does not match"),
        (Sent { body: String::new(), ..sent() }, invalid, "does not match"),
        (with("content-type", "text/plain"), invalid, "does not match"),
        (with("host", "127.0.0.1:7172"), invalid, "does not match"),
        (with("x-amz-target", "Kinesis_20131202.PutRecords"), invalid, "does not match"),
        (with("x-amz-date", "20260101T000001Z"), invalid, "does not match"),
        (with("x-amz-date", ""), incomplete, "no header `X-Amz-Date`"),
        (with("x-amz-date", "2026-01-01T00:00:00Z"), incomplete, "is not a time such as"),
        (with("x-amz-date", "20260101T000060Z"), incomplete, "is not a time such as"),
        (Sent { unsigned: "host", ..sent() }, incomplete, "does not list `host`"),
        (Sent { unsigned: "x-amz-date", ..sent() }, incomplete, "does not list `x-amz-date`"),
        (Sent { unsigned: "x-amz-target", ..sent() }, incomplete, "does not list `x-amz-target`"),
        (
            Sent { date: "20251231T235459Z", scope: "20251231/us-east-1/kinesis/aws4_request", ..sent() },
            invalid,
            "Signature expired: 20251231T235459Z is now earlier than 20251231T235500Z (20260101T000000Z - 5 min.)",
        ),
        (
            Sent { date: "20260101T000501Z", ..sent() },
            invalid,
            "Signature not yet current: 20260101T000501Z is still later than 20260101T000500Z (20260101T000000Z + 5 min.)",
        ),
        (Sent { scope: "20251231/us-east-1/kinesis/aws4_request", ..sent() }, invalid, "correct service and date"),
        (Sent { scope: "20260101/us-east-1/firehose/aws4_request", ..sent() }, invalid, "/kinesis/aws4_request"),
        (Sent { scope: "20260101/us-east-1/kinesis/aws4_request/", ..sent() }, invalid, "correct service"),
        (Sent { scope: "20260101//kinesis/aws4_request", ..sent() }, invalid, "<region>"),
        (with("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), invalid, "the signature leaves the body out"),
        (with("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), invalid, "sign it too"),
    ];
    for (sent, code, words) in cases {
        fixture.turned_away(sent, code, words).await;
    }
    let unsigned = fixture.send("PutRecord", put("x").to_string()).await.failure();
    assert_eq!(unsigned.1, missing);
    assert!(fixture.stream.records().is_empty());
    for date in ["20251231T235500Z", "20260101T000500Z"] {
        let scope = if date.starts_with("2025") { "20251231/eu-west-1/kinesis/aws4_request" } else { SCOPE };
        assert_eq!(fixture.ask(Sent { date, scope, ..sent() }.request()).await.status, 200, "{date}");
    }
}

#[tokio::test]
async fn who_may_not_call_is_told_before_the_body_is_read() {
    let fixture = keyed(KinesisSettings { request_time: Duration::from_millis(20), ..KinesisSettings::default() });
    for (id, code) in [("read", "AccessDeniedException"), ("nobody", "UnrecognizedClientException")] {
        let mut request = Sent::by(id, "PutRecord", &put("x")).request();
        let started = tokio::time::Instant::now();
        // Half a body, and then nothing: the answer waits only as long as what is unread is discarded.
        *request.body_mut() = Body::from_stream(futures::stream::iter([Ok::<_, std::io::Error>("{")]));
        assert_eq!(fixture.ask(request).await.failure().1, code);
        assert!(started.elapsed() < DISCARD_TIME);
    }
}

#[tokio::test]
async fn the_host_of_http_2_is_the_request_s_authority() {
    let fixture = keyed(KinesisSettings::default());
    let mut request = Sent::by("write", "PutRecord", &put("x")).request();
    request.headers_mut().remove("host");
    *request.uri_mut() = "http://127.0.0.1:7171/".parse().unwrap();
    assert_eq!(fixture.ask(request).await.status, 200);
}

#[test]
fn a_secret_is_not_shown() {
    assert!(!format!("{:?}", Keys.key("write").unwrap()).contains("secret-"));
}
