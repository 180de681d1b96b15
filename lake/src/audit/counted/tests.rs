#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use alluvium_core::BatchIdentity;
use alluvium_core::ports::Advice;
use async_trait::async_trait;

use super::*;

const MINUTE: Micros = 60_000_000;
const HOUR: Duration = Duration::from_secs(3_600);
/// 30 seconds past a full minute.
const NOW: Micros = 1_767_225_630_000_000;

/// So many records a minute, put and read.
struct Steady {
    put: u64,
    read: Option<u64>,
    asked: Mutex<Vec<(Counted, Micros, Micros)>>,
}

#[async_trait]
impl ServiceCounts for Steady {
    fn granularity(&self, ago: Duration) -> Option<Duration> {
        match ago.as_secs() / 86_400 {
            0..15 => Some(Duration::from_secs(60)),
            15..63 => Some(Duration::from_secs(300)),
            _ => None,
        }
    }

    async fn sum(&self, counted: Counted, from: Micros, to: Micros) -> Result<Option<u64>, PortError> {
        self.asked.lock().unwrap().push((counted, from, to));
        let minutes = ((to - from) / MINUTE) as u64;
        if self.put == 13 {
            return Err(PortError::new(Advice::Stop, "AccessDenied"));
        }
        Ok(match counted {
            Counted::Put => Some(minutes * self.put),
            Counted::Read => self.read.map(|read| minutes * read),
        })
    }
}

fn steady(put: u64, read: Option<u64>) -> Steady {
    Steady { put, read, asked: Mutex::default() }
}

fn window(length: Duration) -> AskedWindow {
    AskedWindow { now: NOW, length, buffer: Duration::from_secs(5) }
}

/// So many events, in a batch of each minute.
fn ledger(events: u64) -> Vec<LedgerEntry> {
    let entry = |minute: Micros| LedgerEntry {
        received: events,
        arrival: NOW - minute * MINUTE,
        ..crate::testing::empty_entry(&BatchIdentity::of(&[]), "telemetry", &[])
    };
    (0..200).map(entry).collect()
}

async fn checked(put: u64, read: Option<u64>, events: u64) -> (super::super::Check, Option<CountedWindow>) {
    let counts = window(HOUR).count(&steady(put, read)).await;
    let mut findings = Findings::default();
    let counted = check(&counts, &ledger(events), &mut findings);
    (findings.into_check(COUNTS), counted)
}

#[tokio::test]
async fn a_window_has_whole_minutes_and_has_settled() {
    let counts = steady(10, Some(10));
    let AskedCounts::Window(Some(counted)) = window(HOUR).count(&counts).await else { panic!("it is kept") };
    assert!([counted.from, counted.to, counted.until].iter().all(|time| time % MINUTE == 0));
    assert_eq!((NOW - counted.until, counted.until - counted.to), (15 * MINUTE + MINUTE / 2, 11 * MINUTE));
    assert_eq!(counted.to - counted.from, 60 * MINUTE);
    assert_eq!((counted.put_records, counted.read_records), (600, Some(710)));
    let asked = counts.asked.lock().unwrap().clone();
    assert_eq!(asked, [(Counted::Put, counted.from, counted.to), (Counted::Read, counted.from, counted.until)]);
    // Further back the counts are coarser, and at last there are none.
    let AskedCounts::Window(Some(month)) = window(24 * 30 * HOUR).count(&counts).await else { panic!("it is kept") };
    assert!([month.from, month.to, month.until].iter().all(|time| time % (5 * MINUTE) == 0), "{month:?}");
    assert_eq!(window(24 * 90 * HOUR).count(&counts).await, AskedCounts::Window(None));
}

#[tokio::test]
async fn as_many_events_as_records_or_more_are_in_order() {
    for (read, events) in [(Some(10), 10), (None, 10), (Some(10), 25), (Some(13), 10)] {
        let (check, counted) = checked(10, read, events).await;
        assert!(check.passed, "{check:?}");
        assert_eq!(counted.unwrap().ledger_events, 71 * events);
        let notes = check.notes.join(" ");
        assert!(notes.contains("600 records put into the stream"), "{notes}");
        assert!(notes.contains("events to a record"), "the ledger reaches further: {notes}");
        assert_eq!(notes.contains("more were read than were put"), read.is_some(), "{notes}");
    }
}

#[tokio::test]
async fn records_that_were_not_read_or_left_no_event_are_told_with_how_many_they_are() {
    let (unread, _) = checked(10, Some(8), 10).await;
    assert!(!unread.passed);
    assert!(unread.problems[0].starts_with("32 records fewer were read than were put"), "{unread:?}");
    assert!(unread.problems[0].contains("5.33 %"), "{unread:?}");
    let (lost, counted) = checked(10, Some(10), 8).await;
    assert_eq!((lost.problems.len(), counted.unwrap().ledger_events), (1, 568));
    assert!(lost.problems[0].starts_with("The ledger has 32 events fewer than records were put"), "{lost:?}");
    let (both, _) = checked(1_000, Some(0), 0).await;
    assert_eq!(both.problems.len(), 2);
}

#[tokio::test]
async fn few_records_prove_nothing_and_nothing_is_wrong_where_nobody_can_be_asked() {
    let counted =
        CountedWindow { from: 0, to: MINUTE, until: MINUTE, put_records: 10, read_records: Some(0), ledger_events: 0 };
    let mut findings = Findings::default();
    counted.tell(&mut findings);
    assert!(findings.into_check(COUNTS).passed);
    let (refused, counted) = checked(13, None, 0).await;
    assert!(refused.passed && counted.is_none());
    assert!(refused.notes[0].contains("AccessDenied"), "{refused:?}");
    let mut findings = Findings::default();
    assert_eq!(check(&AskedCounts::Window(None), &[], &mut findings), None);
    assert!(findings.into_check(COUNTS).notes[0].contains("keep nothing"));
}
