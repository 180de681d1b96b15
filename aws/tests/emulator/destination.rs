//! Kinesis as a producer's destination.

use alluvium_aws::KinesisDestination;
use alluvium_core::contract::destination::{self as contract, Stored, StoredEntry};
use alluvium_core::{Destination as _, SequenceNumber, ShardId};
use async_trait::async_trait;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::ShardIteratorType;

use crate::endpoint;
use crate::kinesis::TestStream;

/// Everything that a stream holds, read by the SDK alone.
struct Records {
    client: Client,
    stream: String,
}

#[async_trait]
impl Stored for Records {
    async fn entries(&self, _: usize) -> Option<Vec<StoredEntry>> {
        let listed = self.client.list_shards().stream_name(&self.stream).send().await.unwrap();
        let mut entries = Vec::new();
        for shard in listed.shards() {
            let start = self.client.get_shard_iterator().stream_name(&self.stream).shard_id(shard.shard_id());
            let start = start.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
            let mut next = start.shard_iterator;
            while let Some(iterator) = next {
                let page = self.client.get_records().shard_iterator(iterator).send().await.unwrap();
                for record in page.records() {
                    let sequence: SequenceNumber = record.sequence_number().parse().unwrap();
                    entries.push(StoredEntry {
                        place: Some((ShardId::new(shard.shard_id()), sequence)),
                        partition_key: record.partition_key().map(str::to_owned),
                        data: record.data().as_ref().to_vec().into(),
                    });
                }
                next = page.next_shard_iterator.filter(|_| !page.records.is_empty());
            }
        }
        Some(entries)
    }
}

#[tokio::test]
async fn a_stream_keeps_a_destinations_contract() {
    let test = TestStream::create(3).await;
    let config = endpoint::config().await;
    let destination = KinesisDestination::new(&config, &test.name);
    assert_eq!(destination.shard_map().await.unwrap().map(|map| map.len()), Some(3));
    let records = Records { client: Client::new(&config), stream: test.name.clone() };
    // The emulators take larger entries than Kinesis does, so that what becomes of those shows nothing here.
    contract::the_shard_map_gives_each_hash_key_to_one_shard(&destination).await;
    contract::a_call_of_as_many_entries_as_it_takes_is_read_back_once(&destination, &records).await;
    contract::sequence_numbers_grow_from_call_to_call(&destination, &records).await;
    contract::an_explicit_hash_key_lies_in_the_shard_of_the_map(&destination, &records).await;
    contract::an_entry_of_as_many_bytes_as_it_takes_is_stored_whole(&destination, &records).await;
    test.remove().await;
}
