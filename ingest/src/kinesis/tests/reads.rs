use super::*;

const SHARD: &str = "shardId-000000000000";

impl Fixture {
    async fn iterator(&self, kind: &str, extra: Value) -> String {
        let mut input = json!({"StreamName": "alluvium", "ShardId": SHARD, "ShardIteratorType": kind});
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        self.call("GetShardIterator", input).await["ShardIterator"].as_str().unwrap().to_owned()
    }

    /// The sequence numbers read from an iterator, and the next one.
    async fn numbers(&self, iterator: &str) -> (Vec<u64>, String) {
        let page = self.call("GetRecords", json!({"ShardIterator": iterator})).await;
        let number = |record: &Value| record["SequenceNumber"].as_str().unwrap().parse().unwrap();
        let numbers = page["Records"].as_array().unwrap().iter().map(number).collect();
        (numbers, page["NextShardIterator"].as_str().unwrap().to_owned())
    }

    /// Puts five records, a second apart.
    async fn five() -> Self {
        let fixture = fixture();
        for number in 0..5 {
            fixture.stream.arrival.store(NOW + number * 1_000_000, Ordering::SeqCst);
            fixture.put("key", &format!("record {number}")).await;
        }
        fixture.clock.set(NOW + 10_000_000);
        fixture
    }
}

#[tokio::test]
async fn records_are_read_as_they_were_put() {
    let fixture = fixture();
    fixture.stream.arrival.store(NOW + 123_456, Ordering::SeqCst);
    fixture.put("key", "hi").await;
    let iterator = fixture.iterator("TRIM_HORIZON", json!({})).await;
    let page = fixture.call("GetRecords", json!({"ShardIterator": iterator})).await;
    let expected = json!([{
        "SequenceNumber": "1",
        "ApproximateArrivalTimestamp": 1_767_225_600.123,
        "Data": "aGk=",
        "PartitionKey": "key",
    }]);
    assert_eq!((&page["Records"], &page["MillisBehindLatest"]), (&expected, &json!(0)));
    let next = json!({"ShardIterator": page["NextShardIterator"], "StreamARN": "arn:aws:kinesis:a:1:stream/alluvium"});
    let page = fixture.call("GetRecords", next).await;
    assert_eq!((&page["Records"], &page["MillisBehindLatest"]), (&json!([]), &json!(0)));
}

#[tokio::test]
async fn each_type_of_iterator_begins_where_it_says() {
    let fixture = Fixture::five().await;
    let at = |number: &str| json!({"StartingSequenceNumber": number});
    let time = |seconds: f64| json!({"Timestamp": 1_767_225_600.0 + seconds});
    let cases = [
        ("TRIM_HORIZON", json!({}), vec![1, 2, 3, 4, 5]),
        ("LATEST", json!({}), vec![]),
        ("AT_SEQUENCE_NUMBER", at("3"), vec![3, 4, 5]),
        ("AT_SEQUENCE_NUMBER", at("0"), vec![1, 2, 3, 4, 5]),
        ("AFTER_SEQUENCE_NUMBER", at("0"), vec![1, 2, 3, 4, 5]),
        ("AFTER_SEQUENCE_NUMBER", at("3"), vec![4, 5]),
        ("AFTER_SEQUENCE_NUMBER", at("5"), vec![]),
        ("AT_TIMESTAMP", time(-1.0), vec![1, 2, 3, 4, 5]),
        ("AT_TIMESTAMP", time(0.0), vec![1, 2, 3, 4, 5]),
        ("AT_TIMESTAMP", time(0.001), vec![2, 3, 4, 5]),
        ("AT_TIMESTAMP", time(2.0), vec![3, 4, 5]),
        ("AT_TIMESTAMP", time(3.5), vec![5]),
        ("AT_TIMESTAMP", time(9.0), vec![]),
    ];
    for (kind, extra, expected) in cases {
        let iterator = fixture.iterator(kind, extra.clone()).await;
        assert_eq!(fixture.numbers(&iterator).await.0, expected, "{kind} {extra}");
    }
    let latest = fixture.iterator("LATEST", json!({})).await;
    fixture.put("key", "new").await;
    let (numbers, next) = fixture.numbers(&latest).await;
    assert_eq!(numbers, [6]);
    assert_eq!(fixture.numbers(&next).await.0, [0; 0]);
}

#[tokio::test]
async fn the_latest_of_an_empty_shard_is_what_comes_first() {
    let fixture = fixture();
    let latest = fixture.iterator("LATEST", json!({})).await;
    let timely = fixture.iterator("AT_TIMESTAMP", json!({"Timestamp": 0})).await;
    assert_eq!(fixture.numbers(&latest).await.0, [0; 0]);
    fixture.put("key", "first").await;
    assert_eq!(fixture.numbers(&latest).await.0, [1]);
    assert_eq!(fixture.numbers(&timely).await.0, [1]);
}

#[tokio::test]
async fn a_read_is_limited_by_number_and_by_bytes_and_goes_on_where_it_ended() {
    let fixture = Fixture::five().await;
    let iterator = fixture.iterator("TRIM_HORIZON", json!({})).await;
    let page = fixture.call("GetRecords", json!({"ShardIterator": iterator, "Limit": 2})).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 2);
    // The second record arrived nine seconds ago.
    assert_eq!(page["MillisBehindLatest"], 9000);
    assert_eq!(fixture.numbers(page["NextShardIterator"].as_str().unwrap()).await.0, [3, 4, 5]);
    let large = "x".repeat((1 << 20) - 3);
    for _ in 0..11 {
        fixture.put("key", &large).await;
    }
    let (numbers, next) = fixture.numbers(&iterator).await;
    assert_eq!(numbers, (1..=14).collect::<Vec<_>>(), "five small ones and nine of a mebibyte");
    assert_eq!(fixture.numbers(&next).await.0, [15, 16]);
}

#[tokio::test]
async fn what_was_trimmed_is_passed_over() {
    let fixture = Fixture::five().await;
    let oldest = fixture.iterator("TRIM_HORIZON", json!({})).await;
    let second = fixture.iterator("AT_SEQUENCE_NUMBER", json!({"StartingSequenceNumber": "2"})).await;
    fixture.stream.trimmed.store(3, Ordering::SeqCst);
    let timely = fixture.iterator("AT_TIMESTAMP", json!({"Timestamp": 1_767_225_601})).await;
    for iterator in [&oldest, &second, &timely] {
        assert_eq!(fixture.numbers(iterator).await.0, [4, 5]);
    }
    fixture.stream.trimmed.store(5, Ordering::SeqCst);
    let (none, next) = fixture.numbers(&oldest).await;
    assert_eq!(none, [0; 0]);
    fixture.put("key", "new").await;
    assert_eq!(fixture.numbers(&next).await.0, [6]);
}

#[tokio::test]
async fn iterators_expire_after_five_minutes() {
    let fixture = Fixture::five().await;
    let iterator = fixture.iterator("TRIM_HORIZON", json!({})).await;
    fixture.clock.advance(300_000_000);
    let (_, next) = fixture.numbers(&iterator).await;
    fixture.clock.advance(1);
    let input = json!({"ShardIterator": iterator});
    fixture.refused("GetRecords", input, "ExpiredIteratorException", "300 seconds ago").await;
    fixture.numbers(&next).await;
}

#[tokio::test]
async fn what_is_no_iterator_of_this_stream_is_refused() {
    let fixture = Fixture::five().await;
    let good = fixture.iterator("TRIM_HORIZON", json!({})).await;
    let other =
        over(MemoryStream::default(), KinesisSettings { stream: "other".to_owned(), ..KinesisSettings::default() });
    let input = json!({"StreamName": "other", "ShardId": SHARD, "ShardIteratorType": "LATEST"});
    let others = other.call("GetShardIterator", input).await["ShardIterator"].as_str().unwrap().to_owned();
    let token = token::ListToken { after: alluvium_core::ShardId::new(SHARD) }.seal("alluvium", NOW);
    for bad in ["", "x", "AAAA", "ä", &good[1..], &good[..good.len() - 4], &format!("{good}A"), &others, &token] {
        let input = json!({"ShardIterator": bad});
        fixture
            .refused("GetRecords", input, "InvalidArgumentException", "is no iterator of the stream \"alluvium\"")
            .await;
    }
    for (input, code, words) in [
        (json!({}), "ValidationException", "`ShardIterator` is missing"),
        (json!({"ShardIterator": good, "Limit": 0}), "InvalidArgumentException", "`Limit` is 0; expected 1 to 10000"),
        (json!({"ShardIterator": good, "Limit": 10_001}), "InvalidArgumentException", "expected 1 to 10000"),
        (
            json!({"ShardIterator": good, "StreamARN": "arn:aws:kinesis:a:1:stream/b"}),
            "ResourceNotFoundException",
            "\"b\"",
        ),
        (json!({"ShardIterator": good, "DryRun": true}), "DryRunOperationException", "GetRecords would have succeeded"),
    ] {
        fixture.refused("GetRecords", input, code, words).await;
    }
    // A folder that was begun anew holds fewer records than the iterator has passed.
    let ahead =
        token::ShardIterator { shard: alluvium_core::ShardId::new(SHARD), after: 6.into() }.seal("alluvium", NOW);
    let input = json!({"ShardIterator": ahead});
    fixture.refused("GetRecords", input, "InvalidArgumentException", "has no record 6 yet, its newest is 5").await;
}

#[tokio::test]
async fn an_iterator_is_given_only_for_a_place_that_can_be() {
    let fixture = Fixture::five().await;
    let future = (NOW + 11_000_000) as f64 / 1e6;
    let cases = [
        (json!({"ShardId": null}), "ValidationException", "`ShardId` is missing"),
        (
            json!({"ShardId": "shardId-000000000002"}),
            "ResourceNotFoundException",
            "it has 2, the last of which is shardId-000000000001",
        ),
        (json!({"ShardIteratorType": null}), "ValidationException", "`ShardIteratorType` is missing"),
        (json!({"ShardIteratorType": "NEWEST"}), "ValidationException", "\"NEWEST\"; expected AT_SEQUENCE_NUMBER"),
        (
            json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER"}),
            "ValidationException",
            "`StartingSequenceNumber` is missing",
        ),
        (
            json!({"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": "6"}),
            "InvalidArgumentException",
            "has no record 6 yet",
        ),
        (
            json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "9".repeat(56)}),
            "InvalidArgumentException",
            "from another shard or stream",
        ),
        (
            json!({"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": "-1"}),
            "InvalidArgumentException",
            "no sequence number",
        ),
        (json!({"ShardIteratorType": "AT_TIMESTAMP"}), "ValidationException", "`Timestamp` is missing"),
        (json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": -1}), "ValidationException", "`Timestamp` is -1"),
        (json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1e15}), "ValidationException", "seconds since 1970"),
        (
            json!({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": future}),
            "InvalidArgumentException",
            "1000 ms in the future",
        ),
        (json!({"DryRun": true}), "DryRunOperationException", "GetShardIterator"),
    ];
    for (changes, code, words) in cases {
        let mut input = json!({"StreamName": "alluvium", "ShardId": SHARD, "ShardIteratorType": "LATEST"});
        input.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        fixture.refused("GetShardIterator", input, code, words).await;
    }
}

#[tokio::test]
async fn answers_hold_memory_until_they_are_sent() {
    let settings = KinesisSettings { buffered_bytes: 32 << 20, ..KinesisSettings::default() };
    let fixture = over(MemoryStream::default(), settings);
    for _ in 0..8 {
        fixture.put("key", &"x".repeat((1 << 20) - 3)).await;
    }
    let iterator = fixture.iterator("TRIM_HORIZON", json!({})).await;
    let get = || {
        let body = json!({"ShardIterator": iterator}).to_string();
        router(fixture.endpoint.clone()).oneshot(request("GetRecords").body(Body::from(body)).unwrap())
    };
    let large = get().await.unwrap();
    let small = get().await.unwrap();
    let read = async |response: Response| response.into_body().collect().await.unwrap().to_bytes().len();
    // The first is not sent yet, so there is room for a page of a megabyte only.
    assert!(read(small).await < 2 << 20);
    assert!(read(large).await > 8 << 20);
    assert!(read(get().await.unwrap()).await > 8 << 20);
}
