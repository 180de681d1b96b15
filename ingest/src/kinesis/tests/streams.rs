use super::*;

#[tokio::test]
async fn shards_divide_the_hash_keys() {
    let fixture = fixture();
    let range = |first: &str, last: &str| json!({"StartingHashKey": first, "EndingHashKey": last});
    let shard = |name: &str, range: Value| json!({"ShardId": name, "HashKeyRange": range, "SequenceNumberRange": {"StartingSequenceNumber": "0"}});
    let middle = (1_u128 << 127).to_string();
    let first = shard("shardId-000000000000", range("0", &((1_u128 << 127) - 1).to_string()));
    let second = shard("shardId-000000000001", range(&middle, &u128::MAX.to_string()));
    let all = json!({"Shards": [first, second]});
    for filter in [
        json!(null),
        json!({"Type": "AT_LATEST"}),
        json!({"Type": "FROM_TRIM_HORIZON"}),
        json!({"Type": "AT_TRIM_HORIZON"}),
        json!({"Type": "AT_TIMESTAMP", "Timestamp": 1_767_225_600.5}),
        json!({"Type": "FROM_TIMESTAMP", "Timestamp": 0}),
    ] {
        assert_eq!(fixture.call("ListShards", json!({"StreamName": "alluvium", "ShardFilter": filter})).await, all);
    }
    let second = json!({"Shards": [second]});
    for after in [
        json!({"StreamName": "alluvium", "ExclusiveStartShardId": "shardId-000000000000"}),
        json!({"StreamName": "alluvium", "ShardFilter": {"Type": "AFTER_SHARD_ID", "ShardId": "shardId-000000000000"}}),
    ] {
        assert_eq!(fixture.call("ListShards", after).await, second);
    }
    let page = fixture.call("ListShards", json!({"StreamName": "alluvium", "MaxResults": 1})).await;
    assert_eq!(page["Shards"], json!([first]));
    let token = page["NextToken"].clone();
    for rest in [json!({"NextToken": token}), json!({"NextToken": token, "StreamName": "alluvium"})] {
        assert_eq!(fixture.call("ListShards", rest).await, second);
    }
    fixture.clock.advance(300_000_001);
    fixture.refused("ListShards", json!({"NextToken": token}), "ExpiredNextTokenException", "five minutes").await;
}

#[tokio::test]
async fn a_list_of_shards_that_cannot_be_is_refused() {
    let fixture = fixture();
    let named = |extra: Value| {
        let mut input = json!({"StreamName": "alluvium"});
        input.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        input
    };
    for (input, code, words) in [
        (json!({}), "InvalidArgumentException", "neither"),
        (json!({"NextToken": "x"}), "InvalidArgumentException", "was not given out"),
        (named(json!({"MaxResults": 0})), "InvalidArgumentException", "`MaxResults` is 0; expected 1 to 10000"),
        (named(json!({"ShardFilter": {}})), "ValidationException", "`ShardFilter.Type` is missing"),
        (named(json!({"ShardFilter": {"Type": "ALL"}})), "ValidationException", "\"ALL\"; expected AFTER_SHARD_ID"),
        (named(json!({"ShardFilter": {"Type": "AFTER_SHARD_ID"}})), "ValidationException", "`ShardFilter.ShardId`"),
        (named(json!({"ShardFilter": {"Type": "AT_TIMESTAMP"}})), "ValidationException", "`ShardFilter.Timestamp`"),
    ] {
        fixture.refused("ListShards", input, code, words).await;
    }
}

#[tokio::test]
async fn the_stream_is_described_as_the_service_would() {
    let settings = KinesisSettings {
        stream: "devices".to_owned(),
        created: NOW,
        retention: Duration::from_secs(36 * 3600 + 1),
        ..KinesisSettings::default()
    };
    let fixture = over(MemoryStream::default(), settings);
    let signed = |operation: &str| {
        let credential = "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/kinesis/aws4_request, Signature=1";
        request(operation).header("authorization", credential).body(r#"{"StreamName":"devices"}"#.into()).unwrap()
    };
    let summary = fixture.ask(signed("DescribeStreamSummary")).await.json();
    let expected = json!({"StreamDescriptionSummary": {
        "StreamName": "devices",
        "StreamARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/devices",
        "StreamStatus": "ACTIVE",
        "StreamModeDetails": {"StreamMode": "PROVISIONED"},
        "StreamCreationTimestamp": 1_767_225_600.0,
        "RetentionPeriodHours": 37,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
        "OpenShardCount": 2,
        "ConsumerCount": 0,
        "MaxRecordSizeInKiB": 1024,
    }});
    assert_eq!(summary, expected);
    let described = &fixture.ask(signed("DescribeStream")).await.json()["StreamDescription"];
    for name in [
        "StreamName",
        "StreamARN",
        "StreamStatus",
        "RetentionPeriodHours",
        "StreamCreationTimestamp",
        "EnhancedMonitoring",
    ] {
        assert_eq!(described[name], summary["StreamDescriptionSummary"][name]);
    }
    assert_eq!((described["Shards"].as_array().unwrap().len(), &described["HasMoreShards"]), (2, &json!(false)));
    let page = fixture.call("DescribeStream", json!({"StreamName": "devices", "Limit": 1})).await;
    let page = &page["StreamDescription"];
    assert_eq!((page["Shards"].as_array().unwrap().len(), &page["HasMoreShards"]), (1, &json!(true)));
    let rest = json!({"StreamName": "devices", "ExclusiveStartShardId": page["Shards"][0]["ShardId"]});
    let rest = fixture.call("DescribeStream", rest).await;
    assert_eq!(rest["StreamDescription"]["Shards"][0]["ShardId"], "shardId-000000000001");
    let limits = json!({"ShardLimit": 2, "OpenShardCount": 2, "OnDemandStreamCount": 0, "OnDemandStreamCountLimit": 0});
    assert_eq!(fixture.ask(request("DescribeLimits").body(Body::empty()).unwrap()).await.json(), limits);
}

#[tokio::test]
async fn streams_are_listed_created_and_deleted_as_far_as_there_is_one() {
    let fixture = fixture();
    let listed = fixture.call("ListStreams", json!({"Limit": 10})).await;
    assert_eq!((&listed["StreamNames"], &listed["HasMoreStreams"]), (&json!(["alluvium"]), &json!(false)));
    assert_eq!(listed["StreamSummaries"][0]["StreamARN"], "arn:aws:kinesis:us-east-1:000000000000:stream/alluvium");
    for (start, names) in [("alluviul", json!(["alluvium"])), ("alluvium", json!([])), ("z", json!([]))] {
        let listed = fixture.call("ListStreams", json!({"ExclusiveStartStreamName": start})).await;
        assert_eq!(
            (&listed["StreamNames"], listed["StreamSummaries"].as_array().unwrap().len()),
            (&names, names.as_array().unwrap().len())
        );
    }
    fixture.refused("ListStreams", json!({"NextToken": "x"}), "InvalidArgumentException", "`NextToken`").await;
    let create = |name: &str| json!({"StreamName": name, "ShardCount": 4});
    fixture.refused("CreateStream", create("alluvium"), "ResourceInUseException", "is there already").await;
    fixture
        .refused("CreateStream", create("mine"), "ResourceNotFoundException", "this one's is called \"alluvium\"")
        .await;
    fixture.refused("CreateStream", json!({}), "ValidationException", "`StreamName` is missing").await;
    fixture
        .refused("DeleteStream", json!({"StreamName": "alluvium"}), "ResourceInUseException", "the log of this node")
        .await;
    fixture
        .refused("DeleteStream", json!({"StreamName": "mine"}), "ResourceNotFoundException", "no stream \"mine\"")
        .await;
}
