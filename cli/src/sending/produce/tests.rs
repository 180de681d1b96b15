use std::sync::Mutex;

use alluvium_core::destination::{CallEffect, CountedBytes};
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::{DestinationLimits, EntryVerdict, HashKeyRange, PutEntry, PutError, SequenceNumber, ShardId};

use super::*;

/// Stores what comes until it refuses for good.
#[derive(Debug)]
struct Place {
    stored: Mutex<Vec<Vec<u8>>>,
    takes: usize,
}

impl Place {
    fn taking(takes: usize) -> Arc<Self> {
        Arc::new(Self { stored: Mutex::default(), takes })
    }
}

#[async_trait::async_trait]
impl Destination for Place {
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError> {
        let mut stored = self.stored.lock().unwrap();
        if stored.len() >= self.takes {
            return Err(PutError::new(CallEffect::NothingStored, Advice::Stop, "full for good"));
        }
        let verdicts = entries.into_iter().map(|entry| {
            stored.push(entry.record.data.to_vec());
            EntryVerdict::Stored { shard: ShardId::new("s"), sequence: SequenceNumber::from(stored.len() as u64) }
        });
        Ok(verdicts.collect())
    }

    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        Ok(None)
    }

    fn limits(&self) -> DestinationLimits {
        DestinationLimits {
            entries_per_call: 1,
            bytes_per_call: 1 << 20,
            bytes_per_entry: 1 << 20,
            shard_rates: None,
            counted: CountedBytes::Data,
        }
    }
}

async fn sent(place: &Arc<Place>, travels: Travels, bodies: Vec<Result<EventBody, IngestError>>) -> Sent {
    let settings = ProducerSettings { max_calls: 1, ..ProducerSettings::for_bodies() };
    let way = Way { destination: place.clone(), settings, travels };
    produce(way, bodies.into_iter(), |_| ()).await.unwrap()
}

const BODIES: Travels = Travels::Body { at_a_time: 2 };

#[tokio::test]
async fn bodies_travel_whole_and_events_alone() {
    let bodies = || (0..5).map(|n| Ok(EventBody::of([format!("{n}a"), format!("{n}b")]))).collect();
    let place = Place::taking(usize::MAX);
    let whole = sent(&place, BODIES, bodies()).await;
    assert_eq!((whole.events, whole.calls, whole.bytes, whole.latencies.count()), (10, 5, 30, 5));
    assert_eq!(place.stored.lock().unwrap()[4], b"4a\n4b\n");
    let place = Place::taking(usize::MAX);
    let apart = sent(&place, Travels::Event, bodies()).await;
    assert_eq!((apart.events, apart.bytes, apart.failure), (10, 20, None));
    assert!(place.stored.lock().unwrap().contains(&b"4b".to_vec()));
}

#[tokio::test]
async fn what_is_refused_ends_sending_and_what_was_acknowledged_stays_counted() {
    let place = Place::taking(3);
    let bodies = (0..1_000).map(|_| Ok(EventBody::of(["{}", "{}"]))).collect();
    let sent = sent(&place, BODIES, bodies).await;
    assert_eq!(sent.events, 6);
    assert!((2..=6).contains(&sent.failed_events), "{sent:?}");
    assert_eq!(sent.failure.as_deref(), Some("2 events were given up (denied, sent 1 time): full for good"));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_ends_sending_behind_those_before_it() {
    let place = Place::taking(usize::MAX);
    let error = IngestError::Setting { setting: "x", problem: "wrong".to_owned() };
    let sent = sent(&place, BODIES, vec![Ok(EventBody::of(["{}"])), Err(error)]).await;
    assert_eq!((sent.events, sent.failure.as_deref()), (1, Some("x: wrong")));
}

#[tokio::test]
async fn paced_bodies_wait_until_they_are_due_and_a_failure_does_not() {
    let paced = |due| [Duration::ZERO, due].map(|due| Ok(EventBody { due, ..EventBody::of(["{}"]) })).into();
    let due = Duration::from_millis(60);
    let started = Instant::now();
    assert_eq!(sent(&Place::taking(usize::MAX), BODIES, paced(due)).await.events, 2);
    assert!(started.elapsed() >= due);
    let sending = async { sent(&Place::taking(0), BODIES, paced(Duration::from_secs(3600))).await };
    let sent = tokio::time::timeout(Duration::from_secs(20), sending).await.unwrap();
    assert_eq!((sent.events, sent.failed_events), (0, 1));
}

#[test]
fn events_of_one_source_share_a_key() {
    assert_eq!(partition_key(br#"{"id":"1","source":"device-7","value":1}"#), "device-7");
    assert_eq!(partition_key(br#"{"source":"caf\u00e9"}"#), "caf\u{e9}");
    let long = format!(r#"{{"source":"{}"}}"#, "x".repeat(257));
    for other in [r#"{"value":1}"#, "no json", r#"{"source":7}"#, r#"{"source":""}"#, &long] {
        assert_eq!(partition_key(other.as_bytes()), content_hash(other.as_bytes()), "{other}");
    }
}
