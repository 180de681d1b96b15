#![allow(clippy::unwrap_used)]

use super::*;

fn at(shard: u32, sequence: &str) -> (ShardId, SequenceNumber) {
    (ShardId::numbered(shard), sequence.parse().unwrap())
}

#[test]
fn neighbours_join_and_strangers_do_not() {
    let receipt = Receipt::of([at(1, "4"), at(0, "19"), at(0, "17"), at(0, "18"), at(0, "21")]);
    assert_eq!(receipt.to_string(), "shardId-000000000000:17-19,shardId-000000000000:21,shardId-000000000001:4");
    assert_eq!(receipt.to_string().parse::<Receipt>().unwrap(), receipt);
}

#[test]
fn the_long_numbers_of_kinesis_stay_apart() {
    let (first, next) = (
        "49590338271490256608559692538361571095921575989136588898",
        "49590338271490256608559692538361571095921575989136588899",
    );
    let receipt = Receipt::of([at(0, first), at(0, next)]);
    assert_eq!(receipt.runs().len(), 2);
    assert_eq!(receipt.to_string().parse::<Receipt>().unwrap(), receipt);
}

#[test]
fn what_is_no_receipt_is_refused_by_its_part() {
    for (text, part) in [
        ("nonsense", "nonsense"),
        ("s:1,t", "t"),
        ("s:2-1", "s:2-1"),
        ("s:-1", "s:-1"),
        (":1", ":1"),
        ("s:1-2-3", "s:1-2-3"),
        ("s:1,", ""),
    ] {
        assert_eq!(text.parse::<Receipt>(), Err(ReceiptError(part.to_owned())), "{text}");
    }
}
