use futures::FutureExt;

use super::*;

#[tokio::test]
async fn other_operations_other_services_and_none_are_told_what_is_here() {
    let fixture = fixture();
    for (target, words) in [
        (Some("Kinesis_20131202.SplitShard"), "ListShards"),
        (Some("Kinesis_20131202.putrecord"), "PutRecord"),
        (Some("DynamoDB_20120810.PutItem"), "of Kinesis_20131202.* there are"),
        (Some(""), "there are"),
        (None, "X-Amz-Target: Kinesis_20131202.PutRecords"),
    ] {
        let request = Request::builder().method("POST").uri("/");
        let request = target.into_iter().fold(request, |request, target| request.header("x-amz-target", target));
        let (status, code, message) = fixture.ask(request.body("{}".into()).unwrap()).await.failure();
        assert_eq!((status, code.as_str()), (400, "UnknownOperationException"));
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn cbor_is_refused_in_cbor_with_the_names_of_the_switches() {
    let fixture = fixture();
    let request = Request::builder()
        .method("POST")
        .uri("/")
        .header("x-amz-target", "Kinesis_20131202.ListStreams")
        .header("content-type", "application/x-amz-cbor-1.1")
        .body(Body::from(vec![0xBF, 0xFF]))
        .unwrap();
    let said = fixture.ask(request).await;
    assert_eq!((said.status, said.header("content-type")), (400, "application/x-amz-cbor-1.1"));
    assert_eq!(said.header("x-amzn-errortype"), "SerializationException");
    let start = b"\xA2\x66__type\x76SerializationException\x67message\x7A\0\0";
    assert_eq!(said.body[..start.len()], start[..]);
    let length = u16::from_be_bytes([said.body[start.len()], said.body[start.len() + 1]]);
    let message = std::str::from_utf8(&said.body[start.len() + 2..]).unwrap();
    assert_eq!(message.len(), usize::from(length));
    for switch in ["aws.cborEnabled=false", "CBOR_ENABLED=false", "com.amazonaws.sdk.disableCbor", "AWS_CBOR_DISABLE"] {
        assert!(message.contains(switch), "{message}");
    }
}

#[tokio::test]
async fn what_is_no_json_says_where() {
    let fixture = fixture();
    for (body, words) in
        [("{\"StreamName\":", "EOF"), ("7", "invalid type"), ("{\"Records\":{}}", "a list of 1 to 500 records")]
    {
        let (status, code, message) = fixture.send("PutRecords", body).await.failure();
        assert_eq!((status, code.as_str()), (400, "SerializationException"), "{message}");
        assert!(message.contains(words) && message.contains("column"), "{message}");
    }
}

#[tokio::test]
async fn the_stream_is_named_by_name_or_arn_or_both() {
    let fixture = fixture();
    let arn = "arn:aws-cn:kinesis:cn-north-1:123456789012:stream/alluvium";
    for input in [
        json!({"StreamName": "alluvium"}),
        json!({"StreamARN": arn}),
        json!({"StreamName": "alluvium", "StreamARN": arn}),
    ] {
        fixture.call("DescribeStreamSummary", input).await;
    }
    let other = "arn:aws:kinesis:eu-west-1:123456789012:stream/other";
    let summary = "DescribeStreamSummary";
    for input in [
        json!({"StreamName": "other"}),
        json!({"StreamARN": other}),
        json!({"StreamName": "alluvium", "StreamARN": other}),
    ] {
        fixture
            .refused(summary, input, "ResourceNotFoundException", "there is no stream \"other\"; a node has one stream")
            .await;
    }
    fixture.refused(summary, json!({}), "InvalidArgumentException", "neither `StreamName` nor `StreamARN`").await;
    fixture.refused(summary, json!({"StreamARN": "alluvium"}), "ValidationException", "no ARN").await;
}

#[tokio::test]
async fn past_the_limit_of_requests_the_next_is_told_to_come_again() {
    let stream = MemoryStream::fated([Fate::Waits, Fate::Waits]);
    let fixture = over(stream, KinesisSettings { concurrent_requests: 2, ..KinesisSettings::default() });
    let put = || fixture.put("k", "x");
    let ((), _, _) = tokio::join!(
        async {
            tokio::task::yield_now().await;
            fixture.refused("ListStreams", json!({}), "ThrottlingException", "2 requests are being worked on").await;
            fixture.stream.gate.add_permits(2);
        },
        put(),
        put(),
    );
    fixture.call("ListStreams", json!({})).await;
}

#[tokio::test]
async fn bodies_that_are_too_large_too_slow_or_broken_are_refused() {
    let fixture = over(
        MemoryStream::default(),
        KinesisSettings { request_time: Duration::from_millis(20), ..KinesisSettings::default() },
    );
    let large = vec![b' '; super::super::limits::BODY_BYTES + 1];
    let (status, code, message) = fixture.send("PutRecords", large).await.failure();
    assert_eq!((status, code.as_str()), (413, "RequestEntityTooLargeException"), "{message}");
    let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let (status, code, message) = fixture.send("PutRecords", never).await.failure();
    assert_eq!((status, code.as_str()), (408, "RequestTimeoutException"), "{message}");
    let broken = Body::from_stream(futures::stream::iter([Ok("{"), Err(std::io::Error::other("reset"))]));
    let (status, code, message) = fixture.send("PutRecords", broken).await.failure();
    assert_eq!((status, code.as_str()), (400, "SerializationException"), "{message}");
}

#[tokio::test]
async fn once_it_stops_it_takes_nothing_in_and_finishes_what_it_has() {
    let fixture = over(MemoryStream::fated([Fate::Waits]), KinesisSettings::default());
    let mut put = Box::pin(fixture.put("k", "x"));
    assert!((&mut put).now_or_never().is_none());
    fixture.endpoint.stop_intake();
    let (status, code, _) = fixture.fail("ListStreams", json!({})).await;
    assert_eq!((status, code.as_str()), (503, "ServiceUnavailable"));
    let mut drained = Box::pin(fixture.endpoint.drained());
    assert!((&mut drained).now_or_never().is_none());
    fixture.stream.gate.add_permits(1);
    assert_eq!(put.await["SequenceNumber"], "1");
    drained.await;
}

#[tokio::test]
async fn other_methods_of_the_path_are_free_for_others() {
    let fixture = fixture();
    let console = Router::new().route("/", axum::routing::get(|| async { "console" }));
    let app = console.merge(router(fixture.endpoint.clone()));
    let get = Request::builder().uri("/").body(Body::empty()).unwrap();
    let page = app.oneshot(get).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(page, "console");
}

#[test]
fn who_signed_is_read_from_the_header() {
    let signer = |authorization: &'static str| {
        let headers = [(http::header::AUTHORIZATION, http::HeaderValue::from_static(authorization))];
        Signer::of(&headers.into_iter().collect())
    };
    let signed = signer(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/eu-west-1/kinesis/aws4_request, SignedHeaders=host, Signature=5d",
    );
    assert_eq!((signed.access_key_id.as_deref(), signed.region.as_str()), (Some("AKIDEXAMPLE"), "eu-west-1"));
    let packed = signer(
        "AWS4-HMAC-SHA256 SignedHeaders=host,Credential=AKID/20260101/us-west-2/kinesis/aws4_request,Signature=5",
    );
    assert_eq!((packed.access_key_id.as_deref(), packed.region.as_str()), (Some("AKID"), "us-west-2"));
    for none in ["", "Bearer abc", "AWS4-HMAC-SHA256 Credential=", "AWS4-HMAC-SHA256 Credential=/a/\"b/c"] {
        let unsigned = signer(none);
        assert_eq!((unsigned.access_key_id.as_deref(), unsigned.region.as_str()), (None, "us-east-1"), "{none}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let bad = |settings: KinesisSettings| settings.check().unwrap_err().to_string();
    let default = KinesisSettings::default;
    for name in ["", "a b", "ä", &"n".repeat(129)] {
        assert!(bad(KinesisSettings { stream: name.to_owned(), ..default() }).starts_with("kinesis.stream: "));
    }
    assert!(bad(KinesisSettings { concurrent_requests: 0, ..default() }).contains("concurrent_requests"));
    assert!(bad(KinesisSettings { buffered_bytes: 1 << 20, ..default() }).contains("33554432"));
    assert!(bad(KinesisSettings { request_time: Duration::ZERO, ..default() }).contains("request_time"));
    KinesisSettings { stream: "A_b.c-1".to_owned(), ..default() }.check().unwrap();
}
