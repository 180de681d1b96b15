use std::time::Duration;

use alluvium_core::destination::ShardRates;

use super::*;

fn at(ms: u64) -> Moment {
    Moment::default() + Duration::from_millis(ms)
}

fn waiting(entry: u64, bytes: usize) -> Waiting {
    Waiting { entry, bytes, due: at(100) }
}

fn collector(ordering: Ordering) -> Collector {
    Collector::new(ordering, 4, 1_000)
}

#[test]
fn a_call_takes_one_entry_of_each_lane_in_turn() {
    let mut collector = collector(Ordering::Throughput);
    (0..6).for_each(|entry| collector.push(0, waiting(entry, 10)));
    collector.push(1, waiting(10, 10));
    collector.push(2, waiting(20, 10));
    assert_eq!(collector.collect(at(0)), [0, 10, 20, 1]);
    assert_eq!(collector.collect(at(0)), [2, 3, 4, 5]);
    assert_eq!(collector.collect(at(0)), [0_u64; 0]);
}

#[test]
fn a_call_holds_no_more_bytes_than_it_may_but_one_entry_always() {
    let mut collector = collector(Ordering::Throughput);
    [400, 400, 400, 5_000].into_iter().enumerate().for_each(|(n, bytes)| collector.push(0, waiting(n as u64, bytes)));
    assert_eq!(
        [collector.collect(at(0)), collector.collect(at(0)), collector.collect(at(0))],
        [vec![0, 1], vec![2], vec![3]]
    );
}

#[test]
fn calls_are_due_with_what_waits_or_when_they_are_full() {
    let mut collector = collector(Ordering::Throughput);
    assert_eq!(collector.next_due(), Moment::NEVER);
    collector.push(0, waiting(0, 10));
    collector.push(1, Waiting { due: at(50), ..waiting(1, 10) });
    assert_eq!(collector.next_due(), at(50));
    collector.remove(1, 1);
    assert_eq!(collector.next_due(), at(100));
    (2..5).for_each(|entry| collector.push(3, waiting(entry, 10)));
    assert_eq!(collector.next_due(), at(0));
}

#[test]
fn where_order_is_kept_a_lane_waits_for_its_entry() {
    let mut collector = collector(Ordering::PerKey);
    (0..3).for_each(|entry| collector.push(0, waiting(entry, 10)));
    collector.push(1, waiting(10, 10));
    assert_eq!(collector.collect(at(0)), [0, 10]);
    assert!(!collector.is_ready());
    collector.put_back(0, waiting(0, 10));
    assert_eq!(collector.collect(at(0)), [0]);
    // One that waits behind can go away meanwhile, and the lane still waits.
    collector.remove(0, 1);
    assert!(!collector.is_ready());
    collector.settled(0);
    assert_eq!(collector.collect(at(0)), [2]);
    collector.settled(0);
    assert!(collector.is_empty(0) && !collector.is_empty(1));
}

#[test]
fn a_hot_lane_sleeps_and_the_others_go_on() {
    let rates = ShardRates { bytes_per_second: 1_000_000, records_per_second: 4 };
    let limiters = vec![ShardLimiter::new(rates, 1.0, at(0)), ShardLimiter::new(rates, 1.0, at(0))];
    let mut collector = collector(Ordering::Throughput);
    assert!(collector.restart(limiters).is_empty());
    (0..3).for_each(|entry| collector.push(0, waiting(entry, 10)));
    collector.push(1, waiting(10, 10));
    assert_eq!(collector.collect(at(0)), [0, 10]);
    assert!(!collector.is_ready());
    let awake = collector.next_awake();
    assert!(awake > at(200) && awake <= at(300), "{awake:?}");
    collector.wake(at(200));
    assert!(!collector.is_ready());
    collector.wake(awake);
    assert_eq!(collector.collect(awake), [1]);
}
