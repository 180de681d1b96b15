use super::*;

const SECOND: Micros = 1_000_000;

fn granted(times: usize, mut ask: impl FnMut() -> Passage) -> usize {
    (0..times).filter(|_| ask() == Passage::Granted).count()
}

#[test]
fn a_shard_takes_a_thousand_records_a_second_and_no_more() {
    let pace = Pace::default();
    let (one, other) = (ShardId::numbered(0), ShardId::numbered(1));
    assert_eq!(granted(1500, || pace.take_in(&one, 10, 0)), 1000);
    assert_eq!(granted(1500, || pace.take_in(&other, 10, 0)), 1000, "each shard has its own");
    assert_eq!(granted(1500, || pace.take_in(&one, 10, SECOND / 4)), 250);
    assert_eq!(granted(1500, || pace.take_in(&one, 10, 100 * SECOND)), 1000, "a second's worth is saved up at most");
}

#[test]
fn a_shard_takes_a_mebibyte_a_second_and_no_more() {
    let pace = Pace::default();
    let shard = ShardId::numbered(0);
    assert_eq!(pace.take_in(&shard, 1 << 20, 0), Passage::Granted, "the largest record passes");
    assert_eq!(pace.take_in(&shard, 1, 0), Passage::Refused);
    assert_eq!(pace.take_in(&shard, 1 << 19, SECOND / 2 - 1), Passage::Refused);
    assert_eq!(pace.take_in(&shard, 1 << 19, SECOND / 2), Passage::Granted);
}

#[test]
fn what_a_refused_record_would_take_is_left_to_others() {
    let pace = Pace::default();
    let shard = ShardId::numbered(0);
    assert_eq!(pace.take_in(&shard, (1 << 20) + 1, 0), Passage::Refused);
    assert_eq!(granted(1500, || pace.take_in(&shard, 1 << 20, 0)), 1);
}

#[test]
fn a_shard_is_read_five_times_a_second() {
    let pace = Pace::default();
    let shard = ShardId::numbered(0);
    assert_eq!(granted(10, || pace.read(&shard, 0)), 5);
    assert_eq!(pace.read(&shard, SECOND / 5 - 1), Passage::Refused);
    assert_eq!(pace.read(&shard, SECOND / 5), Passage::Granted);
}

#[test]
fn after_ten_mebibytes_a_shard_gives_nothing_for_five_seconds() {
    let pace = Pace::default();
    let shard = ShardId::numbered(0);
    assert_eq!(pace.read(&shard, 0), Passage::Granted);
    pace.gave(&shard, 10 << 20, 0);
    assert_eq!(pace.read(&shard, 5 * SECOND), Passage::Refused);
    assert_eq!(pace.read(&shard, 5 * SECOND + 1), Passage::Granted);
    let pace = Pace::default();
    assert_eq!(pace.read(&shard, 0), Passage::Granted);
    pace.gave(&shard, 1 << 20, 0);
    assert_eq!(pace.read(&shard, 0), Passage::Granted, "half a second's worth leaves the other half");
}

#[test]
fn a_clock_that_is_set_back_gives_nothing_away() {
    let pace = Pace::default();
    let shard = ShardId::numbered(0);
    assert_eq!(granted(10, || pace.read(&shard, 10 * SECOND)), 5);
    assert_eq!(granted(10, || pace.read(&shard, 9 * SECOND)), 0);
    assert_eq!(granted(10, || pace.read(&shard, 10 * SECOND)), 5);
}
