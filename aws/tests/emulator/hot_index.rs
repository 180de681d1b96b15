//! The hot index in the emulator's DynamoDB.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use alluvium_aws::{DynamoHotIndex, Retries, SETTLE};
use alluvium_core::clock::Micros;
use alluvium_core::contract::hot_index::{self as contract, everything};
use alluvium_core::hot::{
    BUCKETS, ErasableHotIndex as _, HotChunk, HotQuery, Left, PutPosition, PutQuery, TIME_BUCKET_MICROS, TakeOut,
};
use alluvium_core::ports::{Advice, HotIndex as _};
use alluvium_core::{BatchIdentity, ManualClock, SystemClock};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};

use crate::endpoint::{config, unique};

/// A block with which a page of 1 MB holds no more than four chunks. Larger ones fit an item of AWS's and of ministack's; moto
/// counts a block by its base64.
const LARGE_BYTES: usize = 256 * 1024;

/// A new table, as the stack makes it, but without TTL: the suite's chunks all expired in 1970.
pub async fn new_table() -> (Client, String) {
    let client = Client::new(&config().await);
    let table = unique("hot");
    let mut create = client.create_table().table_name(&table).billing_mode(BillingMode::PayPerRequest);
    let key = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    for name in ["pk", "sk", "put"] {
        let of_type = AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
        create = create.attribute_definitions(of_type.build().unwrap());
    }
    let puts = GlobalSecondaryIndex::builder()
        .index_name("puts")
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("put", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
    let create = create.key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range));
    create.global_secondary_indexes(puts.build().unwrap()).send().await.unwrap();
    (client, table)
}

/// The index in it. The emulators' tables have no delay, but for what a test says.
fn index(client: Client, table: impl Into<String>) -> DynamoHotIndex {
    DynamoHotIndex::new(client, table, Arc::new(SystemClock), Retries::new(1)).settled_at_once()
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let (client, table) = new_table().await;
    contract::all(&index(client, table)).await;
}

#[tokio::test]
async fn large_chunks_are_written_and_read_in_pages() {
    let (client, table) = new_table().await;
    let index = index(client, table);
    // Several requests to write, and several pages of 1 MB to read each time bucket.
    let chunks: Vec<_> = (0..30)
        .map(|batch| {
            let time = (batch as i64 % 2) * TIME_BUCKET_MICROS + batch as i64;
            let mut chunk = contract::chunk("large", 7, batch, (time, time));
            chunk.block = vec![batch as u8; LARGE_BYTES].into();
            chunk
        })
        .collect();
    index.put(chunks.clone()).await.unwrap();
    let mut expected = chunks.clone();
    expected.sort_by_key(|chunk| std::cmp::Reverse(chunk.max_time));
    assert_eq!(contract::newest(&index, HotQuery { bucket: Some(7), ..everything("large") }).await, expected);
    let older = HotQuery { to: TIME_BUCKET_MICROS - 1, ..everything("large") };
    assert_eq!(contract::newest(&index, older).await, expected[15..]);
}

/// Adds up how many bytes a client was answered with.
#[derive(Debug, Clone, Default)]
struct Answered(Arc<AtomicU64>);

impl Intercept for Answered {
    fn name(&self) -> &'static str {
        "Answered"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let length = context.response().headers().get("content-length");
        self.0.fetch_add(length.unwrap().parse().unwrap(), Ordering::Relaxed);
        Ok(())
    }
}

#[tokio::test]
async fn of_a_full_time_bucket_no_more_is_read_than_is_wanted() {
    let (client, table) = new_table().await;
    let answered = Answered::default();
    let counting = Client::from_conf(client.config().to_builder().interceptor(answered.clone()).build());
    let index = index(counting, table);
    // Ten megabytes in one time bucket, put in no order, and as old as the newest time bucket there is.
    let chunks: Vec<_> = (0..40)
        .map(|batch| {
            let time = batch as i64 * 7 % 40;
            let mut chunk = contract::chunk("bounded", 7, batch, (time, time));
            chunk.block = vec![batch as u8; LARGE_BYTES].into();
            chunk
        })
        .collect();
    index.put(chunks).await.unwrap();
    let (mut below, mut times) = (Micros::MAX, Vec::new());
    while times.len() < 12 {
        answered.0.store(0, Ordering::Relaxed);
        let query = HotQuery { bucket: Some(7), most: 2, below, ..everything("bounded") };
        let newest = index.newest(query).await.unwrap();
        assert!(newest.chunks.len() >= 2);
        times.extend(newest.chunks.iter().map(|chunk| chunk.max_time));
        below = newest.below.unwrap();
        let read = answered.0.load(Ordering::Relaxed);
        // A page of 1 MB, of which base64 makes a third more, wherever in the time bucket it lies.
        assert!(read < 2_000_000, "{read} bytes below {below}");
    }
    assert!(times.iter().copied().eq((40 - times.len() as i64..40).rev()), "{times:?}");
}

#[tokio::test]
async fn chunks_of_the_release_before_are_read_among_those_of_this_one() {
    let (client, table) = new_table().await;
    let index = index(client.clone(), &table);
    let chunks: Vec<_> = (0..60)
        .map(|batch| {
            let time = (batch as i64 * 37 % 60) * TIME_BUCKET_MICROS / 25;
            contract::chunk("mixed", 1 + (batch % 2) as u16, batch, (time, time))
        })
        .collect();
    index.put(chunks.clone()).await.unwrap();
    for chunk in chunks.iter().filter(|chunk| chunk.max_time % 3 == 0 && chunk.time_bucket > 0) {
        let mut item = item_of(&client, &table, chunk).await;
        let key = ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
        client.delete_item().table_name(&table).set_key(Some(key.into())).send().await.unwrap();
        item.insert("sk".to_owned(), AttributeValue::S(chunk.sort_key()));
        item.insert("version".to_owned(), AttributeValue::N("1".into()));
        client.put_item().table_name(&table).set_item(Some(item)).send().await.unwrap();
    }
    for (most, bucket) in [(3, Some(1)), (20, Some(1)), (1_000, None)] {
        for below in [Micros::MAX, 40 * TIME_BUCKET_MICROS / 25, TIME_BUCKET_MICROS] {
            let query = HotQuery { bucket, most, below, ..everything("mixed") };
            let of_bucket = |chunk: &&HotChunk| bucket.is_none_or(|bucket| bucket == chunk.bucket);
            let wanted = chunks.iter().filter(of_bucket).filter(|chunk| chunk.max_time <= below);
            let mut wanted: Vec<_> = wanted.cloned().collect();
            wanted.sort_by_key(|chunk| std::cmp::Reverse(chunk.max_time));
            assert_eq!(contract::newest(&index, query).await, wanted, "{most} {bucket:?} {below}");
        }
    }
}

/// The item that a chunk is.
async fn item_of(client: &Client, table: &str, chunk: &HotChunk) -> HashMap<String, AttributeValue> {
    let pk = AttributeValue::S(format!("{}#{}", chunk.dataset, chunk.bucket));
    let query = client.query().table_name(table).key_condition_expression("pk = :pk");
    let items = query.expression_attribute_values(":pk", pk).send().await.unwrap().items.unwrap();
    let batch = format!("#{}#", chunk.batch);
    items.into_iter().find(|item| item["sk"].as_s().unwrap().contains(&batch)).unwrap()
}

#[tokio::test]
async fn the_newest_chunk_wanted_lies_behind_many_that_are_not() {
    let (client, table) = new_table().await;
    let index = index(client, table);
    let wanted = contract::chunk("behind", 5, 1_000, (1, 2));
    let mut chunks = vec![wanted.clone()];
    for batch in 0..8 {
        let mut expired = contract::chunk("behind", 5, batch, (TIME_BUCKET_MICROS, TIME_BUCKET_MICROS));
        expired.expires_at = 0;
        expired.block = vec![0; LARGE_BYTES].into();
        chunks.push(expired);
    }
    index.put(chunks).await.unwrap();
    assert_eq!(index.newest(everything("behind")).await.unwrap().chunks, [wanted]);
}

#[tokio::test]
async fn every_bucket_is_read() {
    let (client, table) = new_table().await;
    let index = index(client, table);
    index.put((0..BUCKETS).map(|bucket| contract::chunk("all", bucket, 1, (1, 2))).collect()).await.unwrap();
    let mut buckets: Vec<u16> =
        index.newest(everything("all")).await.unwrap().chunks.into_iter().map(|chunk| chunk.bucket).collect();
    buckets.sort_unstable();
    assert_eq!(buckets, (0..BUCKETS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_mark_is_set_once_by_those_who_set_it_only_if_it_is_absent() {
    let (client, table) = new_table().await;
    let index = index(client, table);
    assert!(index.set_complete_since_if_absent("telemetry", 5).await.unwrap());
    assert!(!index.set_complete_since_if_absent("telemetry", 7).await.unwrap());
    assert_eq!(index.complete_since("telemetry").await.unwrap(), Some(5));
    index.set_complete_since("telemetry", 9).await.unwrap();
    assert!(!index.set_complete_since_if_absent("telemetry", 7).await.unwrap());
    assert_eq!(index.complete_since("telemetry").await.unwrap(), Some(9));
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_tables_name() {
    let client = Client::new(&config().await);
    let index = index(client, "no-such-table");
    for error in [
        index.put(vec![contract::chunk("telemetry", 1, 1, (1, 2))]).await.unwrap_err(),
        index.newest(everything("telemetry")).await.unwrap_err(),
        index.complete_since("telemetry").await.unwrap_err(),
        index.set_complete_since("telemetry", 1).await.unwrap_err(),
        index.expire(0).await.unwrap_err(),
    ] {
        assert_eq!(error.advice, Advice::Stop, "{error}");
        assert!(error.message.contains("`no-such-table`") && error.message.contains("ResourceNotFound"), "{error}");
    }
}

#[tokio::test]
async fn an_item_of_a_later_version_is_refused_by_name() {
    let (client, table) = new_table().await;
    let index = index(client.clone(), &table);
    let chunk = contract::chunk("later", 1, 1, (1, 2));
    index.put(vec![chunk.clone()]).await.unwrap();
    client
        .update_item()
        .table_name(&table)
        .key("pk", AttributeValue::S("later#1".into()))
        .key("sk", item_of(&client, &table, &chunk).await["sk"].clone())
        .update_expression("SET version = :version")
        .expression_attribute_values(":version", AttributeValue::N("3".into()))
        .send()
        .await
        .unwrap();
    let error = index.newest(everything("later")).await.unwrap_err();
    assert!(error.message.contains("of `later`, bucket 1: it is of version 3"), "{error}");
}

#[tokio::test]
async fn what_was_put_just_now_is_told_once_it_has_settled() {
    let (client, table) = new_table().await;
    let clock = Arc::new(ManualClock::at(1_000_000_000));
    let index = DynamoHotIndex::new(client, table, clock.clone(), Retries::new(1));
    let chunks: Vec<_> = (0..130).map(|batch| contract::chunk("settle", 3, batch, (100, 200))).collect();
    index.put(chunks).await.unwrap();
    let puts = async |from: PutPosition, most| {
        let query = PutQuery { dataset: "settle".to_owned(), bucket: Some(3), from, most, now: 0 };
        index.puts(query).await.unwrap()
    };
    let early = puts(PutPosition::at(0), 200).await;
    assert_eq!((early.chunks.len(), early.more), (0, false));
    clock.advance(SETTLE.as_micros() as Micros + 1);
    let some = puts(early.up_to.clone(), 120).await;
    assert_eq!((some.chunks.len(), some.more), (120, true));
    let rest = puts(some.up_to, 120).await;
    assert_eq!((rest.chunks.len(), rest.more), (10, false));
    assert_eq!(puts(rest.up_to, 120).await.chunks, []);
}

/// Leaves chunks with a time before 0 as they are, takes one row out of those of batch 1 and leaves nothing of the others.
fn left_of(chunk: &HotChunk, one: &BatchIdentity) -> Left {
    match chunk.batch == *one {
        _ if chunk.min_time < 0 => Left::All,
        true => Left::Without(vec![1], Some(HotChunk { rows: 2, min_time: 7, block: vec![9].into(), ..chunk.clone() })),
        false => Left::Without(vec![3], None),
    }
}

#[tokio::test]
async fn rows_are_taken_out_of_chunks_and_what_is_left_stays_where_it_was_put() {
    let (client, table) = new_table().await;
    let index = index(client.clone(), &table);
    index.set_complete_since("out", 5).await.unwrap();
    let kept = contract::chunk("out", 3, 7, (-5, -1));
    let narrowed = contract::chunk("out", 3, 1, (5, 9));
    // Several pages of 1 MB.
    let gone = (10..20).map(|batch| {
        let mut chunk = contract::chunk("out", 4, batch, (1, 2));
        chunk.block = vec![0; LARGE_BYTES].into();
        chunk
    });
    index.put([kept.clone(), narrowed.clone()].into_iter().chain(gone).collect()).await.unwrap();
    let of_before = client
        .update_item()
        .table_name(&table)
        .key("pk", AttributeValue::S("out#3".into()))
        .key("sk", item_of(&client, &table, &narrowed).await["sk"].clone());
    of_before.update_expression("REMOVE #put").expression_attribute_names("#put", "put").send().await.unwrap();
    let batch = narrowed.batch.clone();
    let screen = |chunk: &HotChunk| Ok(left_of(chunk, &batch));
    assert_eq!(index.take_out(TakeOut::Count, 0, &screen).await.unwrap().rows, [31]);
    assert_eq!(contract::newest(&index, everything("out")).await.len(), 12, "counting changes nothing");
    let puts = async || {
        let query = PutQuery { dataset: "out".to_owned(), bucket: None, from: PutPosition::at(0), most: 99, now: 0 };
        index.puts(query).await.unwrap().chunks
    };
    let before = puts().await;
    assert_eq!(index.take_out(TakeOut::Remove, 0, &screen).await.unwrap().rows, [31]);
    let left = contract::newest(&index, everything("out")).await;
    assert_eq!(left, [HotChunk { rows: 2, min_time: 7, block: vec![9].into(), ..narrowed }, kept.clone()]);
    let after = puts().await;
    assert_eq!(after.len(), 1);
    assert!(before.contains(&after[0]) && after[0].1 == kept, "{after:?}");
    assert_eq!(index.complete_since("out").await.unwrap(), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_is_put_again_meanwhile_is_looked_at_again() {
    let (client, table) = new_table().await;
    let index = index(client.clone(), &table);
    let chunk = contract::chunk("again", 3, 1, (5, 9));
    index.put(vec![chunk.clone()]).await.unwrap();
    let (looked, puts_again) = (AtomicU32::new(0), chunk.clone());
    let screen = |_: &HotChunk| {
        if looked.fetch_add(1, Ordering::Relaxed) == 0 {
            let (index, again) = (index.clone(), puts_again.clone());
            // Between what was read and what is written: the batch is delivered once more.
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(index.put(vec![again]))).unwrap();
        }
        Ok(Left::Without(vec![3], None))
    };
    assert_eq!(index.take_out(TakeOut::Remove, 0, &screen).await.unwrap().rows, [3], "and counted once");
    assert_eq!(looked.load(Ordering::Relaxed), 2);
    assert_eq!(contract::newest(&index, everything("again")).await, []);
}
