use std::time::Duration;

use alluvium_core::ShardId;

use super::*;
use crate::producer::moment::Moment;

fn range(n: u32, first: u128, last: u128) -> HashKeyRange {
    HashKeyRange { shard: ShardId::numbered(n), first, last }
}

#[test]
fn a_hash_key_lies_in_the_shard_whose_range_has_it() {
    let mut map = ShardMap::unknown();
    map.change(Shards::of(Some(vec![range(7, 100, u128::MAX), range(3, 0, 99)]), 1));
    let shard = |map: &mut ShardMap, hash_key| {
        let lane = map.lane(hash_key);
        map.target(lane).predicted().unwrap()
    };
    for (hash_key, expected) in [(0, 3), (99, 3), (100, 7), (u128::MAX, 7)] {
        assert_eq!(shard(&mut map, hash_key), ShardId::numbered(expected));
    }
    // Between two maps a shard may be missing.
    map.change(Shards::of(Some(vec![range(3, 0, 99)]), 1));
    assert_eq!(shard(&mut map, 100), ShardId::numbered(3));
    assert_eq!(map.epoch(), 2);
}

#[test]
fn without_shards_lanes_divide_the_hash_keys_and_predict_nothing() {
    let mut map = ShardMap::unknown();
    map.change(Shards::of(None, 4));
    assert_eq!([map.lane(0), map.lane(u128::MAX / 2), map.lane(u128::MAX)], [0, 1, 3]);
    assert_eq!(map.target(0).predicted(), None);
}

#[test]
fn without_a_map_each_hash_key_has_a_lane_until_nothing_waits_in_it() {
    let mut map = ShardMap::unknown();
    let (one, two) = (map.lane(1), map.lane(2));
    assert!(one != two && map.lane(1) == one && matches!(map.target(one).route, Route::PartitionKey));
    map.release(one);
    map.release(one);
    assert_eq!(map.lane(3), one);
    let three = map.lane(4);
    assert!(three != one && three != two);
}

#[test]
fn the_map_is_asked_for_at_once_then_when_it_is_old_and_there_is_something_to_send() {
    let at = |secs| Moment::default() + Duration::from_secs(secs);
    let mut refresh = Refresh::new(Duration::from_secs(60));
    assert_eq!(refresh.due(0), at(0));
    refresh.ask();
    assert_eq!(refresh.due(5), Moment::NEVER);
    assert_eq!(refresh.answered(at(1)), TooOld::No);
    assert_eq!((refresh.due(0), refresh.due(1)), (Moment::NEVER, at(61)));
    refresh.astray(at(30));
    assert_eq!(refresh.due(1), at(30));
    refresh.ask();
    refresh.astray(at(31));
    assert_eq!(refresh.answered(at(32)), TooOld::Maybe);
    assert_eq!(refresh.due(1), at(33));
    refresh.ask();
    refresh.failed(at(34));
    assert_eq!(refresh.due(1), at(35));
    refresh.ask();
    refresh.failed(at(36));
    assert_eq!(refresh.due(1), at(38));
    refresh.ask();
    refresh.answered_for_good(at(40));
    assert_eq!(refresh.due(1), Moment::NEVER);
}
