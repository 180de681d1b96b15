use super::*;

fn limited() -> Fixture {
    let settings = KinesisSettings { shard_limits: ShardLimits::Service, ..KinesisSettings::default() };
    over(MemoryStream::default(), settings)
}

const THROTTLED: &str = "ProvisionedThroughputExceededException";

#[tokio::test]
async fn a_shard_that_has_taken_its_second_refuses_entry_by_entry() {
    let fixture = limited();
    let entry = |hash_key: &str| json!({"Data": "aGk=", "PartitionKey": "a", "ExplicitHashKey": hash_key});
    let full = json!({"StreamName": "alluvium", "Records": vec![entry("0"); 500]});
    for _ in 0..2 {
        assert_eq!(fixture.call("PutRecords", full.clone()).await["FailedRecordCount"], 0);
    }
    let high = u128::MAX.to_string();
    let mixed = json!({"StreamName": "alluvium", "Records": [entry("0"), entry(&high), entry("1")]});
    let answer = fixture.call("PutRecords", mixed.clone()).await;
    assert_eq!(answer["FailedRecordCount"], 2);
    for failed in [&answer["Records"][0], &answer["Records"][2]] {
        assert_eq!(failed["ErrorCode"], THROTTLED);
        let message = failed["ErrorMessage"].as_str().unwrap();
        let words = "Rate exceeded for shard shardId-000000000000 in stream alluvium under account 000000000000";
        assert!(message.contains(words) && message.contains("kinesis.shard_limits"), "{message}");
    }
    assert_eq!(answer["Records"][1], json!({"SequenceNumber": "1", "ShardId": "shardId-000000000001"}));
    let alone = json!({"StreamName": "alluvium", "Data": "", "PartitionKey": "a", "ExplicitHashKey": "0"});
    fixture.refused("PutRecord", alone, THROTTLED, "1,000 records a second").await;
    assert_eq!(fixture.stream.records().len(), 1001);
    fixture.clock.advance(2_000);
    assert_eq!(fixture.call("PutRecords", mixed).await["FailedRecordCount"], 0);
}

#[tokio::test]
async fn a_shard_is_read_at_the_service_s_pace() {
    let fixture = limited();
    fixture.put("key", &"x".repeat((1 << 20) - 3)).await;
    let place = json!({"StreamName": "alluvium", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"});
    let iterator = fixture.call("GetShardIterator", place.clone()).await["ShardIterator"].clone();
    let get = json!({"ShardIterator": iterator});
    for _ in 0..5 {
        fixture.call("GetRecords", get.clone()).await;
    }
    fixture.refused("GetRecords", get.clone(), THROTTLED, "is read five times a second").await;
    let other = json!({"StreamName": "alluvium", "ShardId": "shardId-000000000001", "ShardIteratorType": "LATEST"});
    let other = fixture.call("GetShardIterator", other).await["ShardIterator"].clone();
    fixture.call("GetRecords", json!({"ShardIterator": other})).await;
    fixture.clock.advance(10_000_000);
    for _ in 0..5 {
        fixture.put("key", &"x".repeat((1 << 20) - 3)).await;
        fixture.clock.advance(1_000_000);
    }
    let page = fixture.call("GetRecords", get.clone()).await;
    assert_eq!(page["Records"].as_array().unwrap().len(), 5);
    fixture.clock.advance(2_499_900);
    fixture.refused("GetRecords", get.clone(), THROTTLED, "gives 2 MiB a second").await;
    fixture.clock.advance(200);
    fixture.call("GetRecords", get).await;
}

#[tokio::test]
async fn without_limits_a_shard_takes_what_it_can() {
    let fixture = fixture();
    let entry = json!({"Data": "aGk=", "PartitionKey": "a"});
    let full = json!({"StreamName": "alluvium", "Records": vec![entry; 500]});
    for _ in 0..5 {
        assert_eq!(fixture.call("PutRecords", full.clone()).await["FailedRecordCount"], 0);
    }
}
