use alluvium_core::limits::STREAM_RECORD_BYTES;
use alluvium_core::ports::{Advice, Refusal};

use super::*;

fn put_record(changes: Value) -> Value {
    let mut input = json!({"StreamName": "alluvium", "PartitionKey": "key", "Data": "aGk="});
    for (name, value) in changes.as_object().unwrap() {
        input[name] = value.clone();
    }
    input
}

#[tokio::test]
async fn a_record_is_put_as_it_was_sent_and_answered_with_its_place() {
    let fixture = fixture();
    let answer = fixture.call("PutRecord", put_record(json!({"SequenceNumberForOrdering": "1"}))).await;
    // The key's MD5 begins with 3c, so it is the lower half's.
    assert_eq!(answer, json!({"ShardId": "shardId-000000000000", "SequenceNumber": "1"}));
    let answer = fixture.call("PutRecord", put_record(json!({"ExplicitHashKey": u128::MAX.to_string()}))).await;
    assert_eq!(answer, json!({"ShardId": "shardId-000000000001", "SequenceNumber": "1"}));
    let answer = fixture.call("PutRecord", put_record(json!({"ExplicitHashKey": "0", "Data": ""}))).await;
    assert_eq!(answer, json!({"ShardId": "shardId-000000000000", "SequenceNumber": "2"}));
    let records = fixture.stream.records();
    assert_eq!(records.iter().map(|record| record.data.as_ref()).collect::<Vec<_>>(), [b"hi".as_slice(), b"hi", b""]);
    assert_eq!(records[1].partition_key, "key");
    assert_eq!(records[1].explicit_hash_key, Some(u128::MAX));
}

#[tokio::test]
async fn a_record_that_cannot_be_is_refused_and_not_stored() {
    let fixture = fixture();
    let long = "ä".repeat(257);
    let large = "A".repeat((STREAM_RECORD_BYTES + 3) / 3 * 4);
    let cases = [
        (json!({"Data": null}), "ValidationException", "`Data` is missing"),
        (json!({"Data": "aGk"}), "SerializationException", "`Data` is not base64"),
        (json!({"Data": "a-k="}), "SerializationException", "`Data` is not base64"),
        (json!({"Data": 1}), "SerializationException", "expected a string"),
        (json!({"Data": large}), "ValidationException", "a record has at most 1048576"),
        (json!({"PartitionKey": null}), "ValidationException", "`PartitionKey` is missing"),
        (json!({"PartitionKey": ""}), "ValidationException", "has 0 characters; expected 1 to 256"),
        (json!({"PartitionKey": long}), "ValidationException", "has 257 characters"),
        (json!({"ExplicitHashKey": "-1"}), "InvalidArgumentException", "from 0 to 2^128 - 1"),
        (json!({"ExplicitHashKey": "01"}), "InvalidArgumentException", "from 0 to 2^128 - 1"),
        (json!({"ExplicitHashKey": "+1"}), "InvalidArgumentException", "from 0 to 2^128 - 1"),
        (json!({"ExplicitHashKey": ""}), "InvalidArgumentException", "from 0 to 2^128 - 1"),
        (
            json!({"ExplicitHashKey": "340282366920938463463374607431768211456"}),
            "InvalidArgumentException",
            "`ExplicitHashKey`",
        ),
        (json!({"SequenceNumberForOrdering": "x"}), "InvalidArgumentException", "`SequenceNumberForOrdering`"),
        (json!({"StreamName": "other"}), "ResourceNotFoundException", "\"alluvium\""),
        (json!({"Data": "oUxWTQEA"}), "InvalidArgumentException", "`Data` begins like an envelope"),
        (json!({"DryRun": true}), "DryRunOperationException", "PutRecord would have succeeded"),
    ];
    for (changes, code, words) in cases {
        fixture.refused("PutRecord", put_record(changes), code, words).await;
    }
    assert!(fixture.stream.records().is_empty());
    fixture.call("PutRecord", put_record(json!({"DryRun": false, "PartitionKey": "ä".repeat(256)}))).await;
}

#[tokio::test]
async fn the_largest_record_counts_its_key() {
    let fixture = fixture();
    let data = |bytes: usize| base64_simd::STANDARD.encode_to_string(vec![b'x'; bytes]);
    fixture.call("PutRecord", put_record(json!({"Data": data(STREAM_RECORD_BYTES - 3)}))).await;
    let over = put_record(json!({"Data": data(STREAM_RECORD_BYTES - 2)}));
    fixture.refused("PutRecord", over, "ValidationException", "have 1048577 bytes").await;
}

#[tokio::test]
async fn many_records_are_put_in_order_escapes_and_all() {
    let fixture = fixture();
    let body = r#"{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream\/alluvium","Unknown":{"a":[1]},"Records":[
        {"Data":"aGk=","PartitionKey":"a"},{"PartitionKey":"caf\u00e9","Data":"\/\/79","ExplicitHashKey":"0"},
        {"Data":"","PartitionKey":"key"}]}"#;
    let said = fixture.send("PutRecords", body).await;
    let expected = json!({"FailedRecordCount": 0, "Records": [
        {"SequenceNumber": "1", "ShardId": "shardId-000000000000"},
        {"SequenceNumber": "2", "ShardId": "shardId-000000000000"},
        {"SequenceNumber": "3", "ShardId": "shardId-000000000000"},
    ]});
    assert_eq!((said.status, said.json()), (200, expected));
    let records = fixture.stream.records();
    assert_eq!(records[1].partition_key, "café");
    assert_eq!(records[1].data, b"\xFF\xFE\xFD"[..]);
    assert_eq!(records[2].data, b""[..]);
}

#[tokio::test]
async fn one_bad_entry_spoils_the_call_and_says_which_it_is() {
    let fixture = fixture();
    let good = json!({"Data": "aGk=", "PartitionKey": "a"});
    let call = |records: Value| json!({"StreamName": "alluvium", "Records": records});
    let bad = [
        (json!({"PartitionKey": "a"}), "ValidationException", "`Records[1].Data` is missing"),
        (json!({"Data": "?", "PartitionKey": "a"}), "SerializationException", "`Records[1].Data` is not base64"),
        (json!({"Data": ""}), "ValidationException", "`Records[1].PartitionKey` is missing"),
        (
            json!({"Data": "", "PartitionKey": "a", "ExplicitHashKey": "x"}),
            "InvalidArgumentException",
            "`Records[1].ExplicitHashKey`",
        ),
    ];
    for (entry, code, words) in bad {
        fixture.refused("PutRecords", call(json!([good, entry, good])), code, words).await;
    }
    fixture
        .refused("PutRecords", json!({"StreamName": "alluvium"}), "ValidationException", "`Records` is missing")
        .await;
    for (count, words) in [(0, "has 0 entries"), (501, "has 501 entries"), (700, "has 700 entries; expected 1 to 500")]
    {
        let records = Value::from(vec![good.clone(); count]);
        fixture.refused("PutRecords", call(records), "ValidationException", words).await;
    }
    let dry = json!({"StreamName": "alluvium", "Records": [good], "DryRun": true});
    fixture.refused("PutRecords", dry, "DryRunOperationException", "nothing was done").await;
    assert!(fixture.stream.records().is_empty());
    fixture.call("PutRecords", call(Value::from(vec![good; 500]))).await;
    assert_eq!(fixture.stream.records().len(), 500);
}

#[tokio::test]
async fn a_call_has_at_most_ten_mebibytes() {
    let fixture = fixture();
    let data = base64_simd::STANDARD.encode_to_string(vec![b'x'; (1 << 20) - 1]);
    let entry = json!({"Data": data, "PartitionKey": "k"});
    let call = |count| json!({"StreamName": "alluvium", "Records": vec![entry.clone(); count]});
    fixture.refused("PutRecords", call(11), "InvalidArgumentException", "have 11534336 bytes").await;
    assert_eq!(fixture.call("PutRecords", call(10)).await["FailedRecordCount"], 0);
}

#[tokio::test]
async fn nothing_is_acknowledged_that_the_stream_did_not_store() {
    let records = json!({"StreamName": "alluvium", "Records": vec![json!({"Data": "aGk=", "PartitionKey": "a"}); 3]});
    let throttled = "ProvisionedThroughputExceededException";
    for (refusal, code, words) in [
        (Refusal::Full, throttled, "until its reader catches up"),
        (Refusal::Failed("/secret/path".into()), "InternalFailure", "the node could not do this"),
        (Refusal::Invalid("too long".into()), "InvalidArgumentException", "too long"),
    ] {
        let fates = [Fate::Refuses(1, refusal.clone()), Fate::Refuses(0, refusal)];
        let fixture = over(MemoryStream::fated(fates), KinesisSettings::default());
        let answer = fixture.call("PutRecords", records.clone()).await;
        assert_eq!(answer["FailedRecordCount"], 2);
        assert_eq!(answer["Records"][0], json!({"SequenceNumber": "1", "ShardId": "shardId-000000000000"}));
        for failed in [&answer["Records"][1], &answer["Records"][2]] {
            assert_eq!((&failed["ErrorCode"], failed.as_object().unwrap().len()), (&json!(code), 2));
            assert!(failed["ErrorMessage"].as_str().unwrap().contains(words), "{failed}");
        }
        let (status, found, message) = fixture.fail("PutRecord", put_record(json!({}))).await;
        let expected = if code == "InternalFailure" { 500 } else { 400 };
        assert_eq!((status, found.as_str()), (expected, code));
        assert!(message.contains(words), "{message}");
        assert_eq!(fixture.stream.records().len(), 1);
    }
    let fates = [Fate::Fails(Advice::BackOff), Fate::Fails(Advice::Retry), Fate::Fails(Advice::BackOff)];
    let fixture = over(MemoryStream::fated(fates), KinesisSettings::default());
    let answer = fixture.call("PutRecords", records.clone()).await;
    assert_eq!((&answer["FailedRecordCount"], &answer["Records"][2]["ErrorCode"]), (&json!(3), &json!(throttled)));
    let (status, code, message) = fixture.fail("PutRecords", records).await;
    assert_eq!((status, code.as_str()), (500, "InternalFailure"));
    assert!(!message.contains("secret"), "{message}");
    assert_eq!(fixture.fail("PutRecord", put_record(json!({}))).await.1, throttled);
    assert!(fixture.stream.records().is_empty());
}

#[tokio::test]
async fn a_stream_that_does_not_answer_is_not_waited_for() {
    let settings = KinesisSettings { request_time: Duration::from_millis(20), ..KinesisSettings::default() };
    let fixture = over(MemoryStream::fated([Fate::Waits]), settings);
    let (status, code, message) = fixture.fail("PutRecord", put_record(json!({}))).await;
    assert_eq!((status, code.as_str()), (500, "InternalFailure"));
    assert!(message.contains("not known what it stored"), "{message}");
}
