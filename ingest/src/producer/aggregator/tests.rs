use std::time::Duration;

use alluvium_core::{DestinationLimits, HashKeyRange, ShardId};
use proptest::prelude::*;

use super::*;
use crate::producer::decode;
use crate::producer::record::UserRecord;
use crate::producer::settings::{Aggregation, ProducerSettings};
use crate::producer::shard_map::Shards;

fn aggregator(settings: &ProducerSettings) -> Aggregator {
    Aggregator::new(Shape::new(settings, DestinationLimits::KINESIS), 0)
}

fn incoming<'a>(record: UserRecord<'a>, ordinal: u64, ms: u64) -> Incoming<'a> {
    let arrival = Moment::default() + Duration::from_millis(ms);
    Incoming { record, hash_key: record.hash_key(), tracking_bytes: 0, ordinal, arrival, carried: None }
}

fn two_shards() -> ShardMap {
    let middle = u128::MAX / 2;
    let range = |n, first, last| HashKeyRange { shard: ShardId::numbered(n), first, last };
    let mut map = ShardMap::unknown();
    map.change(Shards::Known(vec![range(0, 0, middle), range(1, middle + 1, u128::MAX)]));
    map
}

/// What is put together of these records, each its key, explicit hash key and data.
fn aggregate(
    settings: &ProducerSettings,
    map: &mut ShardMap,
    records: &[(String, Option<u128>, Vec<u8>)],
) -> Vec<Entry> {
    let mut aggregator = aggregator(settings);
    let mut closed = Vec::new();
    for (ordinal, (partition_key, explicit_hash_key, data)) in records.iter().enumerate() {
        let record = UserRecord { partition_key, explicit_hash_key: *explicit_hash_key, data };
        let _ = aggregator.push(incoming(record, ordinal as u64, 0), map, &mut closed);
    }
    aggregator.close_due(Moment::NEVER, map, &mut closed);
    assert_eq!(aggregator.next_due(), Moment::NEVER);
    closed
}

#[test]
fn the_bytes_are_those_that_the_library_writes() {
    let records = [("k1", None, &b"one"[..]), ("k2", Some(5), b"two"), ("k1", None, b"")]
        .map(|(key, explicit, data)| (key.to_owned(), explicit, data.to_vec()));
    let mut map = ShardMap::unknown();
    map.change(Shards::None { lanes: 1 });
    let entries = aggregate(&ProducerSettings::default(), &mut map, &records);
    assert_eq!(entries.len(), 1);
    let record = &entries[0].record;
    let message = b"\x0a\x02k1\x0a\x02k2\x12\x015\x1a\x07\x08\x00\x1a\x03one\x1a\x09\x08\x01\x10\x00\x1a\x03two\x1a\x04\x08\x00\x1a\x00";
    assert_eq!(&record.data[..4], [0xF3, 0x89, 0x9A, 0xC2]);
    assert_eq!(&record.data[4..record.data.len() - 16], message);
    // The MD5 is checked by the decoder.
    assert_eq!(decode::kpl(record).len(), 3);
    assert_eq!(
        (record.partition_key.as_str(), record.explicit_hash_key),
        ("a", Some(alluvium_core::record::hash_key("k1")))
    );
}

#[test]
fn a_lone_record_travels_as_it_is() {
    let mut map = two_shards();
    for explicit in [None, Some(7)] {
        let entries =
            aggregate(&ProducerSettings::default(), &mut map, &[("key".to_owned(), explicit, b"data".to_vec())]);
        let record = &entries[0].record;
        assert_eq!(
            (record.partition_key.as_str(), record.explicit_hash_key, &record.data[..]),
            ("key", explicit, &b"data"[..])
        );
    }
}

#[test]
fn without_a_shard_map_records_of_one_key_travel_by_it() {
    let record = |key: &str| (key.to_owned(), None, b"data".to_vec());
    let entries =
        aggregate(&ProducerSettings::default(), &mut ShardMap::unknown(), &[record("x"), record("y"), record("x")]);
    let keys: Vec<_> = entries.iter().map(|entry| (entry.record.partition_key.as_str(), entry.items.len())).collect();
    assert_eq!(keys, [("x", 2), ("y", 1)]);
    assert!(entries.iter().all(|entry| entry.record.explicit_hash_key.is_none()));
}

#[test]
fn an_aggregate_is_due_when_its_oldest_record_has_waited() {
    let mut aggregator = aggregator(&ProducerSettings::default());
    let (mut map, mut closed) = (two_shards(), Vec::new());
    for (ordinal, ms) in [(0, 10), (1, 60)] {
        let _ = aggregator.push(incoming(UserRecord::new("a", b"data"), ordinal, ms), &mut map, &mut closed);
    }
    let due = Moment::default() + Duration::from_millis(110);
    assert_eq!((aggregator.next_due(), aggregator.open()), (due, 1));
    aggregator.close_due(Moment::default() + Duration::from_millis(109), &map, &mut closed);
    assert!(closed.is_empty());
    aggregator.close_due(due, &map, &mut closed);
    let deadline = Moment::default() + Duration::from_millis(30_060);
    assert_eq!((closed.len(), closed[0].items.len(), closed[0].deadline), (1, 2, deadline));
}

#[test]
fn text_with_a_line_break_inside_travels_alone() {
    let settings = ProducerSettings { aggregation: Aggregation::Ndjson, ..ProducerSettings::default() };
    let mut map = ShardMap::unknown();
    map.change(Shards::None { lanes: 1 });
    let records = [&b"1"[..], b"2\n", b"[\n3]", b"4", b"5"].map(|data| ("k".to_owned(), None, data.to_vec()));
    let entries = aggregate(&settings, &mut map, &records);
    let data: Vec<_> = entries.iter().map(|entry| &entry.record.data[..]).collect();
    assert_eq!(data, [&b"1\n2\n"[..], b"[\n3]\n", b"4\n5\n"]);
}

fn records() -> impl Strategy<Value = Vec<(String, Option<u128>, Vec<u8>)>> {
    let key = prop_oneof!["[a-z]{1,3}", "\\PC{1,20}", "[a-c]{256}"];
    let data = proptest::collection::vec(any::<u8>(), 0..400);
    let large = proptest::collection::vec(any::<u8>(), 0..4_000);
    let explicit = proptest::option::weighted(0.2, prop_oneof![any::<u128>(), Just(0), Just(u128::MAX), Just(10)]);
    proptest::collection::vec((key, explicit, prop_oneof![9 => data, 1 => large]), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_put_together_comes_apart_again(
        records in records(),
        max_bytes in 100_usize..3_000,
        max_records in 1_usize..50,
        known in any::<u8>(),
    ) {
        let settings = ProducerSettings {
            aggregation_max_bytes: max_bytes,
            aggregation_max_records: max_records,
            ..ProducerSettings::default()
        };
        let mut map = if known % 2 == 0 { two_shards() } else { ShardMap::unknown() };
        let entries = aggregate(&settings, &mut map, &records);
        let mut seen = vec![false; records.len()];
        for entry in &entries {
            let decoded = decode::kpl(&entry.record);
            prop_assert_eq!(decoded.len(), entry.items.len());
            prop_assert!(decoded.len() <= max_records);
            prop_assert!(decoded.len() == 1 || entry.record.data.len() <= max_bytes);
            prop_assert_eq!(entry.counted_bytes, entry.record.data.len() + entry.record.partition_key.len());
            // One lane, and the record lands in it.
            let lands = entry.record.explicit_hash_key.unwrap_or_else(|| alluvium_core::record::hash_key(&entry.record.partition_key));
            prop_assert_eq!(map.lane(lands), entry.lane);
            for (item, decoded) in entry.items.iter().zip(decoded) {
                let (key, explicit, data) = &records[item.ordinal as usize];
                prop_assert_eq!(map.lane(item.hash_key), entry.lane);
                prop_assert_eq!((Some(key), data), (decoded.key.as_ref(), &decoded.data));
                prop_assert_eq!(decoded.hash_key, explicit.or(Some(item.hash_key)));
                prop_assert!(!std::mem::replace(&mut seen[item.ordinal as usize], true));
            }
        }
        prop_assert!(seen.into_iter().all(|seen| seen));
    }

    #[test]
    fn what_is_taken_apart_and_packed_anew_stays_the_same(records in records(), zstd in any::<bool>()) {
        let aggregation = if zstd { Aggregation::NdjsonZstd } else { Aggregation::Kpl };
        let settings = ProducerSettings { aggregation, ..ProducerSettings::default() };
        let mut map = ShardMap::unknown();
        map.change(Shards::None { lanes: 1 });
        let entries = aggregate(&settings, &mut map, &records);
        let loose: Vec<_> = entries.into_iter().flat_map(Entry::take_apart).collect();
        for (ordinal, (record, loose)) in records.iter().zip(&loose).enumerate() {
            prop_assert_eq!((loose.ordinal, &*loose.partition_key, &loose.data[..]), (ordinal as u64, &*record.0, &record.2[..]));
        }
        let mut map = two_shards();
        let packed = aggregator(&settings).pack(loose, &mut map);
        let items: usize = packed.iter().map(|entry| entry.items.len()).sum();
        prop_assert_eq!(items, records.len());
        for entry in &packed {
            prop_assert!(entry.items.iter().all(|item| map.lane(item.hash_key) == entry.lane && item.carried.is_some()));
            prop_assert!(entry.items.is_sorted_by_key(|item| item.ordinal));
        }
    }
}
