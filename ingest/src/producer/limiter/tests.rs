use super::*;

const RATES: ShardRates = ShardRates { bytes_per_second: 1_000_000, records_per_second: 1_000 };

fn at(ms: u64) -> Moment {
    Moment::default() + Duration::from_millis(ms)
}

/// Bytes and records that go in each second, when there is always more of this size.
fn run(limiter: &mut ShardLimiter, seconds: u64, size: usize) -> Vec<(usize, usize)> {
    let mut gone = vec![(0, 0); seconds as usize];
    let mut now = limiter.filled;
    let begin = now;
    loop {
        let second = now.since(begin).as_secs() as usize;
        if second >= gone.len() {
            return gone;
        }
        match limiter.admit(size, now) {
            Admission::Now => gone[second] = (gone[second].0 + size, gone[second].1 + 1),
            Admission::At(later) => {
                assert!(later > now, "a lane that waits makes no progress");
                now = later;
            }
        }
    }
}

#[test]
fn a_shard_gets_what_it_takes_in_a_second_and_a_burst_once() {
    for (size, most) in [(50_000, 1_000_000), (200, 200_000), (1_000, 1_000_000)] {
        let gone = run(&mut ShardLimiter::new(RATES, 1.0, at(0)), 10, size);
        assert!(gone[0].0 <= most * 5 / 4 + size, "{size}: {gone:?}");
        let rest = &gone[1..];
        assert!(rest.iter().all(|(bytes, records)| *bytes <= most + size && *records <= 1_001), "{size}: {gone:?}");
        let total: usize = rest.iter().map(|(bytes, _)| bytes).sum();
        assert!(total >= most * 9 * 95 / 100, "{size}: {gone:?}");
    }
}

#[test]
fn what_is_larger_than_the_bucket_goes_and_is_owed() {
    let gone = run(&mut ShardLimiter::new(RATES, 1.0, at(0)), 10, 900_000);
    let total: usize = gone.iter().map(|(bytes, _)| bytes).sum();
    assert!((8_000_000..=11_000_000).contains(&total), "{gone:?}");
}

#[test]
fn throttling_cuts_the_rate_once_and_time_gives_it_back() {
    let mut limiter = ShardLimiter::new(RATES, 1.0, at(0));
    limiter.throttled(at(1_000));
    limiter.throttled(at(1_001));
    assert!((limiter.share() - 2.0 / 3.0).abs() < 1e-3, "{}", limiter.share());
    let slow: usize = run(&mut limiter, 1, 1_000).iter().map(|(bytes, _)| bytes).sum();
    assert!((550_000..=750_000).contains(&slow), "{slow}");
    (0..100).for_each(|n| limiter.throttled(at(10_000 + n * 300)));
    assert!(limiter.share() >= 0.05);
    limiter.fill(at(100_000));
    assert_eq!(limiter.share(), 1.0);
}

#[test]
fn two_that_share_a_shard_come_to_equal_rates() {
    // One has the shard for itself and is joined by another; whoever goes past the shard's rate together is throttled.
    let mut producers = [ShardLimiter::new(RATES, 1.0, at(0)), ShardLimiter::new(RATES, 1.0, at(0))];
    producers[0].share = 1.0;
    producers[1].share = 0.05;
    let mut taken = [0.0, 0.0];
    for tick in 0..4_000 {
        let now = at(tick * 25);
        if producers.iter().map(|one| one.share).sum::<f64>() > 1.0 {
            producers.iter_mut().for_each(|one| one.throttled(now));
        }
        for (one, taken) in producers.iter_mut().zip(&mut taken) {
            one.fill(now);
            *taken += if tick > 2_000 { one.share } else { 0.0 };
        }
    }
    let ratio: f64 = taken[0] / taken[1];
    assert!((0.8..=1.25).contains(&ratio), "{taken:?}");
}
