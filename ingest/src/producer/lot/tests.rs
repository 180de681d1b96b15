use std::time::Duration;

use super::*;

fn settlement(how: How) -> Settlement {
    let at = Moment::default() + Duration::from_millis(50);
    Settlement { how, attempts: 2, first_sent: Some(Moment::default() + Duration::from_millis(20)), at }
}

fn delivered() -> How {
    How::Delivered { shard: ShardId::numbered(3), sequence: SequenceNumber::from(9) }
}

fn arrival() -> Moment {
    Moment::default() + Duration::from_millis(5)
}

#[tokio::test]
async fn everyone_who_waits_is_told_when_a_lot_is_settled() {
    let lot = LotHold::default();
    let deliveries: Vec<_> = (0..3).map(|index| Delivery::new(&lot, index, arrival())).collect();
    assert_eq!(deliveries[0].now(), None);
    let settle = async {
        tokio::task::yield_now().await;
        lot.settle(settlement(delivered()));
    };
    let waits = futures::future::join_all(deliveries.iter().map(Delivery::outcome));
    let (outcomes, ()) = tokio::join!(waits, settle);
    for (index, outcome) in outcomes.iter().enumerate() {
        let delivered = outcome.delivered().unwrap();
        assert_eq!((delivered.subsequence, delivered.attempts), (index as u64, 2));
        assert_eq!((delivered.buffered, delivered.total), (Duration::from_millis(15), Duration::from_millis(45)));
    }
}

#[test]
fn user_records_of_a_lot_that_was_taken_apart_have_outcomes_of_their_own() {
    let lot = LotHold::default();
    let delivery = |index| Delivery::new(&lot, index, arrival());
    lot.settle_one(1, settlement(delivered()), 40);
    assert_eq!(delivery(0).now(), None);
    assert_eq!(delivery(1).now().unwrap().delivered().unwrap().subsequence, 40);
    let given_up = How::GivenUp { why: GivenUp::Expired, last_error: None, may_be_stored: true };
    lot.settle_one(0, settlement(given_up), 0);
    let Some(Outcome::Undelivered(undelivered)) = delivery(0).now() else { panic!() };
    assert!(undelivered.may_be_stored && undelivered.why == GivenUp::Expired);
}

#[tokio::test]
async fn what_nobody_can_settle_any_more_is_abandoned() {
    let lot = LotHold::default();
    let deliveries = [0, 1].map(|index| Delivery::new(&lot, index, arrival()));
    let other = lot.clone();
    drop(lot);
    other.settle_one(1, settlement(delivered()), 0);
    assert_eq!(deliveries[0].now(), None);
    let goes = async {
        tokio::task::yield_now().await;
        drop(other);
    };
    let (outcome, ()) = tokio::join!(deliveries[0].outcome(), goes);
    let Outcome::Undelivered(undelivered) = outcome else { panic!("nobody delivered it") };
    assert!(undelivered.may_be_stored && undelivered.why == GivenUp::Abandoned);
    assert!(deliveries[1].now().unwrap().delivered().is_some());
}
