use super::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn retrier(seed: u64) -> Retrier {
    Retrier::new(&ProducerSettings::default(), seed)
}

#[test]
fn pauses_are_any_share_of_a_step_that_doubles() {
    let mut retrier = retrier(1);
    for (attempts, step) in [(1, 100), (2, 200), (4, 800), (7, 5_000), (60, 5_000)] {
        let pauses: Vec<_> = (0..200).map(|_| retrier.pause(attempts)).collect();
        assert!(pauses.iter().all(|pause| (MS(1)..=MS(step)).contains(pause)));
        assert!(
            pauses.iter().any(|pause| *pause < MS(step / 4)) && pauses.iter().any(|pause| *pause > MS(step * 3 / 4))
        );
    }
    assert_ne!(self::retrier(1).pause(5), self::retrier(2).pause(5));
}

#[test]
fn entries_come_back_when_their_pause_is_over() {
    let mut retrier = retrier(1);
    let at = |ms| Moment::default() + MS(ms);
    [(7, 30), (8, 10), (9, 20)].into_iter().for_each(|(entry, ms)| retrier.wait(entry, at(ms)));
    assert_eq!((retrier.next_due(), retrier.pop_due(at(9))), (at(10), None));
    retrier.forget(9, at(20));
    assert_eq!([retrier.pop_due(at(30)), retrier.pop_due(at(30)), retrier.pop_due(at(30))], [Some(8), Some(7), None]);
    assert_eq!(retrier.next_due(), Moment::NEVER);
}

#[test]
fn calls_that_fail_one_after_the_other_make_a_destination_away_until_one_is_answered() {
    let mut retrier = retrier(1);
    let now = Moment::default() + MS(1_000);
    retrier.call_failed(now);
    retrier.call_failed(now);
    assert!(!retrier.is_away() && retrier.held_until() <= now);
    retrier.call_failed(now);
    assert!(retrier.is_away() && retrier.held_until() > now);
    retrier.call_answered();
    assert!(!retrier.is_away());
}

#[test]
fn a_hold_lasts_until_its_time_whatever_is_answered_meanwhile() {
    let mut retrier = retrier(1);
    let now = Moment::default() + MS(1_000);
    retrier.hold_for(MS(10_000), now);
    retrier.call_answered();
    retrier.hold(1, now);
    let asked = now + MS(10_000);
    assert!(retrier.held_until() > asked && retrier.held_until() <= asked + MS(100));
    retrier.hold_for(Duration::from_secs(3_600), now);
    assert!(retrier.held_until() <= now + MS(60_100), "it is taken at its word for a minute at the most");
}
