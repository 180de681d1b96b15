//! What is handed over together: by size, by time, and never more than an event may have.

use tokio::time::Instant;

use alluvium_core::limits::INVOCATION_BYTES;

use super::super::buffer::Buffer;
use super::super::cut::{Batch, Work};
use super::super::idle::Idle;
use super::*;

fn cut(records: Vec<StreamRecord>) -> Vec<Batch> {
    Cutter::new(Arc::new(settings()), 7).cut(records)
}

fn events(batches: &[Batch]) -> Vec<&event::Event> {
    batches.iter().filter_map(|batch| if let Work::Invoke(event) = &batch.work { Some(event) } else { None }).collect()
}

fn payload(event: &event::Event) -> Bytes {
    event.payload(uuid::Uuid::nil())
}

#[test]
fn a_buffer_is_full_by_size_and_due_by_the_age_of_its_first_record() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let mut buffer = Buffer::new(100, 5 * second);
    assert!(buffer.is_empty() && !buffer.is_full());
    assert_eq!(buffer.due(), None);
    buffer.add(vec![], start);
    assert_eq!(buffer.due(), None, "nothing came");
    buffer.add(vec![record(1, vec![0; 60])], start + second);
    buffer.add(vec![record(2, vec![0; 39])], start + 2 * second);
    assert_eq!(buffer.due(), Some(start + 6 * second));
    assert!(!buffer.is_full());
    buffer.add(vec![record(3, vec![0; 1]), record(4, vec![0; 5])], start + 3 * second);
    assert!(buffer.is_full());
    let taken = buffer.take(start + 4 * second);
    assert_eq!(taken.len(), 3, "as many as make it full");
    assert!(!buffer.is_full());
    assert_eq!(buffer.due(), Some(start + 9 * second), "what is left waits anew");
    assert_eq!(buffer.take(start + 5 * second), [record(4, vec![0; 5])]);
    assert_eq!(buffer.due(), None);
    assert!(buffer.is_empty());
}

#[test]
fn a_buffer_of_many_small_records_is_full_too() {
    let mut buffer = Buffer::new(1 << 20, Duration::from_secs(60));
    buffer.add((0..10_001).map(|n| record(n, "")).collect(), Instant::now());
    assert!(buffer.is_full());
    assert_eq!(buffer.take(Instant::now()).len(), 10_000);
}

#[test]
fn a_stream_is_idle_when_all_its_shards_are() {
    let (start, second) = (Instant::now(), Duration::from_secs(1));
    let idle = Idle::new(2, Some(5 * second));
    idle.note(0, false, start);
    assert!(!idle.is_over(start + 9 * second), "the other shard was not read yet");
    idle.note(1, true, start);
    idle.note(1, false, start + second);
    idle.note(1, false, start + 2 * second);
    assert!(!idle.is_over(start + 5 * second));
    assert!(idle.is_over(start + 6 * second));
    idle.note(0, true, start + 6 * second);
    assert!(!idle.is_over(start + 20 * second));
    let never = Idle::new(1, None);
    never.note(0, false, start);
    assert!(!never.is_over(start + 1000 * second));
}

#[test]
fn events_are_as_large_as_they_may_be_and_no_larger() {
    // About 4.5 MiB of bytes make 6 MiB of base64.
    let records: Vec<_> = (0..12).map(|n| record(n, vec![b'x'; 1 << 20])).collect();
    let batches = cut(records.clone());
    let events = events(&batches);
    assert_eq!(events.iter().map(|event| event.records.len()).collect::<Vec<_>>(), [4, 4, 4]);
    assert!(events.iter().all(|event| payload(event).len() <= INVOCATION_BYTES));
    let handed_over: Vec<_> = events.iter().flat_map(|event| event.records.clone()).collect();
    assert_eq!(handed_over, records);
    let through: Vec<_> = batches.iter().map(|batch| batch.through).collect();
    assert_eq!(through, [3, 7, 11].map(|n: usize| Some(records[n].identity.sequence)));
    let ids: Vec<_> = events.iter().flat_map(|event| event.ids.clone()).collect();
    assert!(ids.is_sorted_by(|one, next| one < next) && ids.iter().all(|id| id.len() == 62), "{ids:?}");
}

#[test]
fn an_aggregate_is_divided_only_where_no_event_holds_it() {
    let small = aggregate(&vec!["ten bytes."; 3_000]);
    let large = aggregate(&vec!["ten bytes."; 40_000]);
    let plain = record(0, vec![b'x'; 3 << 20]);
    let batches = cut(vec![plain, record(1, small.clone()), record(2, small), record(3, large)]);
    let events = events(&batches);
    assert!(events.iter().all(|event| payload(event).len() <= INVOCATION_BYTES));
    let shape: Vec<_> = events.iter().map(|event| event.records.len()).collect();
    assert_eq!(shape[..2], [1 + 3_000, 3_000], "whole aggregates");
    assert_eq!(shape[2..].iter().sum::<usize>(), 40_000);
    assert!(shape[2..].len() > 2, "{shape:?}");
    let subsequences: Vec<_> = events[2..].iter().flat_map(|event| &event.records).collect();
    assert!(subsequences.iter().enumerate().all(|(n, record)| record.identity.subsequence == n as u64));
    // Only the last event of the divided aggregate takes the position past it.
    let through: Vec<_> = batches.iter().map(|batch| batch.through.unwrap()).collect();
    let of = |n| record(n, "").identity.sequence;
    assert_eq!(through[..2], [of(1), of(2)]);
    assert!(through[2..through.len() - 1].iter().all(|through| *through == of(2)));
    assert_eq!(through.last(), Some(&of(3)));
}

#[test]
fn a_record_that_no_event_holds_stands_alone_and_in_order() {
    let large = record(1, vec![b'x'; 5 << 20]);
    let batches = cut(vec![record(0, "a"), large.clone(), record(2, "b")]);
    let told: Vec<_> = batches
        .iter()
        .map(|batch| match &batch.work {
            Work::Invoke(event) => (event.records.clone(), batch.through),
            Work::TooLarge(record) => (vec![record.clone()], None),
        })
        .filter(|(records, _)| !records.is_empty())
        .collect();
    let through = |n| Some(record(n, "").identity.sequence);
    let expected = [(vec![record(0, "a")], through(0)), (vec![large], None), (vec![record(2, "b")], through(2))];
    assert_eq!(told, expected);
}

#[test]
fn an_aggregate_of_none_is_passed_by() {
    let batches = cut(vec![record(0, aggregate::<&str>(&[]))]);
    let [Batch { work: Work::Invoke(event), through }] = &batches[..] else { panic!("one batch, not {batches:?}") };
    assert!(event.is_empty());
    assert_eq!(*through, Some(record(0, "").identity.sequence));
}
