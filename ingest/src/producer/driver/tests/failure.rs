//! Whatever ends the driver, nobody waits for the producer after that.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt;
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

use crate::producer::memory_destination::MemoryDestination;
use crate::producer::{Delivery, GivenUp, Outcome, Producer, ProducerSettings, SendError, Undelivered, UserRecord};

/// A meter that panics once it was used so often: the pipeline tells its meters everything, so it can be made to panic anywhere.
#[derive(Debug)]
struct Breaks {
    meter: &'static str,
    after: u32,
}

#[derive(Debug)]
struct Countdown(AtomicU32);

impl Countdown {
    fn count(&self) {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_ok(), "injected");
    }
}

impl CounterFn for Countdown {
    fn increment(&self, _: u64) {
        self.count();
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Countdown {
    fn record(&self, _: f64) {
        self.count();
    }
}

impl Recorder for Breaks {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match key.name() == self.meter {
            true => Counter::from_arc(Arc::new(Countdown(self.after.into()))),
            false => Counter::noop(),
        }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match key.name() == self.meter {
            true => Histogram::from_arc(Arc::new(Countdown(self.after.into()))),
            false => Histogram::noop(),
        }
    }
}

/// A producer of which each record travels alone.
fn breaking(kept: &Arc<MemoryDestination>, meter: &'static str, after: u32) -> Producer {
    let settings = ProducerSettings {
        aggregation: crate::producer::Aggregation::None,
        linger: std::time::Duration::ZERO,
        collection_max_entries: 1,
        max_calls: 2,
        ..ProducerSettings::default()
    };
    metrics::with_local_recorder(&Breaks { meter, after }, || Producer::start(kept.clone(), settings).unwrap())
}

async fn send(producer: &Producer) -> Delivery {
    producer.send(UserRecord::new("key", b"data")).await.unwrap()
}

async fn abandoned(delivery: &Delivery) -> Undelivered {
    match delivery.outcome().await {
        Outcome::Undelivered(undelivered) if undelivered.why == GivenUp::Abandoned => undelivered,
        outcome => panic!("{outcome:?}"),
    }
}

/// Nobody waits for a producer that failed.
async fn is_over(producer: &Producer) {
    producer.flush().await;
    assert_eq!(producer.send(UserRecord::new("key", b"late")).await.unwrap_err(), SendError::Closed);
    assert_eq!(producer.close().await.received_records, 4);
}

#[tokio::test]
async fn a_panic_of_the_pipeline_settles_what_waits_what_is_on_its_way_and_what_it_lost() {
    let kept = MemoryDestination::closed(0);
    let producer = breaking(&kept, "alluvium_producer_records_put_total", 0);
    let deliveries = [send(&producer).await, send(&producer).await, send(&producer).await, send(&producer).await];
    // Two calls are on their way; the answer to one of them is where the pipeline panics.
    kept.let_through(1).await;
    let outcomes = [abandoned(&deliveries[0]).await, abandoned(&deliveries[1]).await];
    assert!(outcomes.iter().all(|outcome| outcome.may_be_stored), "{outcomes:?}");
    for delivery in &deliveries[2..] {
        assert!(!abandoned(delivery).await.may_be_stored);
    }
    is_over(&producer).await;
    let progress = producer.progress();
    assert_eq!((progress.pending_records, progress.undelivered_records), (0, 4));
}

#[tokio::test]
async fn a_pipeline_that_panics_again_while_it_gives_up_settles_everything_all_the_same() {
    let kept = MemoryDestination::closed(0);
    let producer = breaking(&kept, "alluvium_producer_retries_per_record", 0);
    let deliveries = [send(&producer).await, send(&producer).await, send(&producer).await, send(&producer).await];
    let waits_for_all = producer.flush();
    let goes_wrong = async {
        tokio::task::yield_now().await;
        kept.let_through(1).await;
    };
    tokio::join!(waits_for_all, goes_wrong);
    for delivery in &deliveries {
        assert!(abandoned(delivery).await.may_be_stored);
    }
    is_over(&producer).await;
}

#[tokio::test]
async fn a_panic_in_a_senders_hands_ends_the_producer_too() {
    let kept = MemoryDestination::closed(0);
    let producer = breaking(&kept, "alluvium_producer_user_records_received_total", 3);
    let deliveries = [send(&producer).await, send(&producer).await, send(&producer).await];
    let breaks = AssertUnwindSafe(send(&producer)).catch_unwind().await;
    assert!(breaks.is_err());
    for delivery in &deliveries {
        abandoned(delivery).await;
    }
    is_over(&producer).await;
}

#[test]
fn the_end_of_the_runtime_settles_everything() {
    let kept = MemoryDestination::closed(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (producer, delivery) = runtime.block_on(async {
        let producer = breaking(&kept, "none", 0);
        let delivery = send(&producer).await;
        (producer, delivery)
    });
    drop(runtime);
    assert!(matches!(delivery.now(), Some(Outcome::Undelivered(given_up)) if given_up.why == GivenUp::Abandoned));
    assert_eq!(producer.try_send(UserRecord::new("key", b"late")).unwrap_err(), SendError::Closed);
}
