#![allow(clippy::unwrap_used)]

use alluvium_core::contract::hot_index::chunk as any_chunk;
use alluvium_core::hot::TIME_BUCKET_MICROS;

use super::*;

/// The item of a chunk that is put at some time.
fn item_of(chunk: HotChunk) -> Result<Item, PortError> {
    let put = PutPosition::of(17, &chunk);
    of_chunk(chunk, &put)
}

fn damaged_item(change: impl FnOnce(&mut Item)) -> String {
    let mut item = item_of(any_chunk("telemetry", 3, 1, (100, 200))).unwrap();
    change(&mut item);
    chunk("telemetry", 3, item).unwrap_err().message
}

#[test]
fn a_chunk_is_read_back_whole() {
    let mut whole = any_chunk("telemetry", 31, 7, (-5, -1));
    whole.part = u16::MAX;
    whole.rows = u32::MAX;
    for expires_at in [Micros::MIN, -1, 0, 1, Micros::MAX] {
        whole.expires_at = expires_at;
        assert_eq!(chunk("telemetry", 31, item_of(whole.clone()).unwrap()).unwrap(), whole);
    }
}

#[test]
fn an_item_has_the_keys_and_the_expiry_that_the_table_was_made_for() {
    let mut with_expiry = any_chunk("telemetry", 31, 7, (100, 200));
    for (expires_at, seconds) in [
        (0, "0"),
        (1, "1"),
        (999_999, "1"),
        (1_000_000, "1"),
        (1_000_001, "2"),
        (-1, "0"),
        (Micros::MAX, "9223372036855"),
    ] {
        with_expiry.expires_at = expires_at;
        let item = item_of(with_expiry.clone()).unwrap();
        assert_eq!(item[PK], AttributeValue::S("telemetry#31".into()));
        assert_eq!(item[SK], AttributeValue::S(sort_key(&with_expiry)));
        assert_eq!(item["put"], AttributeValue::S(PutPosition::of(17, &with_expiry).to_string()));
        assert_eq!(item["expires_at"], AttributeValue::N(seconds.into()), "{expires_at}");
        assert_eq!(item["expires"], AttributeValue::N(expires_at.to_string()));
    }
}

#[test]
fn the_largest_chunk_fits_and_a_larger_one_is_refused() {
    let dataset = "d".repeat(64);
    let mut large = any_chunk(&dataset, 31, 1, (-200, -100));
    large.block = vec![0; HOT_CHUNK_BYTES].into();
    item_of(large.clone()).unwrap();
    large.block = vec![0; HOT_ITEM_BYTES].into();
    let error = item_of(large).unwrap_err();
    assert_eq!(error.advice, Advice::Stop);
    assert!(error.message.contains("409600") && error.message.contains("405504 at most"), "{error}");
}

#[test]
fn a_damaged_item_is_named_with_what_is_wrong() {
    for (message, names) in [
        (damaged_item(|item| drop(item.insert(VERSION.into(), number(3)))), "version 3, and this release reads 1 to 2"),
        (damaged_item(|item| drop(item.remove(BLOCK))), "`block` is not bytes"),
        (damaged_item(|item| drop(item.insert(ROWS.into(), number(-1)))), "`rows` is not a whole number"),
        (damaged_item(|item| drop(item.insert(SK.into(), AttributeValue::S("x".into())))), "`sk` is not a sort key"),
    ] {
        assert!(message.contains(names) && message.contains("of `telemetry`, bucket 3"), "{message}");
    }
}

#[test]
fn a_mark_is_read_back() {
    for since in [Micros::MIN, -3, 0, Micros::MAX] {
        let item = of_mark("telemetry", since);
        assert_eq!(mark(&item).unwrap(), since);
        assert_eq!(item[PK], AttributeValue::S("telemetry#complete".into()));
        assert_eq!(item[SK], AttributeValue::S("since".into()));
    }
}

#[test]
fn a_sort_key_tells_its_time_bucket() {
    for time_bucket in [Micros::MIN, -TIME_BUCKET_MICROS, 0, TIME_BUCKET_MICROS] {
        assert_eq!(time_bucket_of_sort_key(&sort_key_prefix(time_bucket)), Some(time_bucket));
    }
    for wrong in ["", "12", "since", "zzzzzzzzzzzzzzzz#"] {
        assert_eq!(time_bucket_of_sort_key(wrong), None, "{wrong}");
    }
}

#[test]
fn keys_ascend_as_the_newest_rows_do_and_those_of_before_follow_them() {
    let times =
        [(-TIME_BUCKET_MICROS, -5), (0, 0), (1, 7), (2, 300), (5, 301), (TIME_BUCKET_MICROS, TIME_BUCKET_MICROS + 1)];
    let chunks: Vec<_> = (0..).zip(times).map(|(batch, times)| any_chunk("telemetry", 3, 90 - batch, times)).collect();
    let keys: Vec<_> = chunks.iter().map(sort_key).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    for (chunk, key) in chunks.iter().zip(&keys) {
        assert_eq!(
            (time_bucket_of_sort_key(key), max_time_of_sort_key(key)),
            (Some(chunk.time_bucket), Some(chunk.max_time))
        );
        assert!(
            key.starts_with(&by_time(chunk.time_bucket, chunk.max_time))
                && *key < by_time(chunk.time_bucket, chunk.max_time + 1)
        );
        let before = chunk.sort_key();
        assert!(
            after_those_by_time(chunk.time_bucket) <= before && *key < after_those_by_time(chunk.time_bucket),
            "{key} {before}"
        );
        assert_eq!((time_bucket_of_sort_key(&before), max_time_of_sort_key(&before)), (Some(chunk.time_bucket), None));
    }
}

#[test]
fn an_item_of_the_release_before_is_read() {
    let chunk_of_before = any_chunk("telemetry", 3, 1, (100, 200));
    let mut item = item_of(chunk_of_before.clone()).unwrap();
    item.insert(VERSION.into(), number(1));
    item.insert(SK.into(), AttributeValue::S(chunk_of_before.sort_key()));
    assert_eq!(chunk("telemetry", 3, item).unwrap(), chunk_of_before);
}
