use std::sync::Mutex;

use alluvium_core::identity::RecordIdentity;
use bytes::Bytes;

use tokio::time::Instant;

use super::*;
use crate::timer::LeapingTime;

/// A shard of records of 10 bytes, numbered from `oldest`; notes its calls.
struct Shard {
    time: LeapingTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    numbers: Vec<u64>,
    closed: bool,
    /// How the next calls of `GetRecords` fail, last first.
    failures: Vec<FetchError>,
    /// Calls that give nothing before one that does, as over a gap in the shard.
    gaps: usize,
    /// When a record comes of itself, and its number.
    comes: Option<(Instant, u64)>,
    iterators: usize,
    asked: Vec<Instant>,
}

impl Shard {
    fn holding(numbers: impl IntoIterator<Item = u64>) -> Self {
        let state = State { numbers: numbers.into_iter().collect(), ..State::default() };
        Self { time: LeapingTime::new(), state: Mutex::new(state) }
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    fn iterators(&self) -> usize {
        self.state.lock().unwrap().iterators
    }
}

fn shard() -> ShardId {
    ShardId::numbered(0)
}

fn record(number: u64) -> StreamRecord {
    let identity = RecordIdentity { shard: shard(), sequence: number.into(), subsequence: 0 };
    StreamRecord { identity, arrival: 0, partition_key: "k".to_owned(), data: Bytes::from_static(b"0123456789") }
}

impl GetRecords for Shard {
    async fn iterator(&self, _: &ShardId, at: Option<SequenceNumber>) -> Result<String, PortError> {
        self.with(|state| state.iterators += 1);
        Ok(at.map_or_else(|| "0".to_owned(), |at| at.to_string()))
    }

    async fn records(&self, _: &ShardId, iterator: &str) -> Result<Fetched, FetchError> {
        let mut state = self.state.lock().unwrap();
        state.asked.push(self.time.now());
        if let Some(failure) = state.failures.pop() {
            return Err(failure);
        }
        if state.gaps > 0 {
            state.gaps -= 1;
            return Ok(Fetched { records: Vec::new(), next: Some(iterator.to_owned()), behind: true });
        }
        if let Some((_, number)) = state.comes.take_if(|(at, _)| *at <= self.time.now()) {
            state.numbers.push(number);
        }
        let from: u64 = iterator.parse().unwrap();
        let records: Vec<_> = state.numbers.iter().copied().filter(|number| *number >= from).map(record).collect();
        let next = state.numbers.last().map_or(from, |last| from.max(last + 1));
        Ok(Fetched { records, next: (!state.closed).then(|| next.to_string()), behind: false })
    }
}

async fn read_after(calls: &Shard, positions: &Positions, after: Option<u64>, max_bytes: usize) -> (Vec<u64>, bool) {
    let page = read_waiting(calls, positions, after, max_bytes, Duration::ZERO).await.unwrap();
    (numbers(&page), page.more)
}

async fn read_waiting(
    calls: &Shard,
    positions: &Positions,
    after: Option<u64>,
    max_bytes: usize,
    wait: Duration,
) -> Result<ReadPage, PortError> {
    read(calls, &calls.time, positions, &shard(), after.map(Into::into), max_bytes, wait).await
}

fn numbers(page: &ReadPage) -> Vec<u64> {
    page.records.iter().map(|record| record.identity.sequence.as_u64().unwrap()).collect()
}

#[tokio::test]
async fn what_was_fetched_is_handed_out_page_by_page() {
    let (calls, positions) = (Shard::holding(1..=5), Positions::default());
    assert_eq!(read_after(&calls, &positions, None, 25).await, (vec![1, 2], true));
    assert_eq!(read_after(&calls, &positions, Some(2), 0).await, (vec![3], true), "one at least");
    assert_eq!(read_after(&calls, &positions, Some(3), 20).await, (vec![4, 5], false));
    assert_eq!(read_after(&calls, &positions, Some(5), 20).await, (vec![], false));
    assert_eq!(calls.iterators(), 1, "one iterator serves a reader that continues");
    assert_eq!(calls.state.lock().unwrap().asked.len(), 2);
}

#[tokio::test]
async fn two_readers_of_a_shard_do_not_disturb_each_other() {
    let (calls, positions) = (Shard::holding(1..=3), Positions::default());
    assert_eq!(read_after(&calls, &positions, None, 10).await, (vec![1], true));
    assert_eq!(read_after(&calls, &positions, None, 20).await, (vec![1, 2], true));
    assert_eq!(read_after(&calls, &positions, Some(1), 10).await, (vec![2], true));
    assert_eq!(read_after(&calls, &positions, Some(2), 10).await, (vec![3], false));
    assert_eq!(calls.iterators(), 2);
}

#[tokio::test]
async fn a_shard_is_asked_no_more_than_four_times_a_second() {
    let (calls, positions) = (Shard::holding([]), Positions::default());
    let begun = calls.time.now();
    let page = read_waiting(&calls, &positions, None, 10, Duration::from_millis(1100)).await.unwrap();
    assert!(page.records.is_empty() && !page.more);
    assert_eq!((calls.time.now() - begun), Duration::from_millis(1100));
    let asked: Vec<_> = calls.state.lock().unwrap().asked.iter().map(|at| (*at - begun).as_millis()).collect();
    assert_eq!(asked, [0, 250, 500, 750, 1000]);
}

#[tokio::test]
async fn a_waiting_reader_gets_what_comes() {
    let (calls, positions) = (Shard::holding([1]), Positions::default());
    let begun = calls.time.now();
    calls.with(|state| state.comes = Some((begun + Duration::from_secs(2), 2)));
    let page = read_waiting(&calls, &positions, Some(1), 10, Duration::from_secs(60)).await.unwrap();
    assert_eq!(numbers(&page), [2]);
    assert!((calls.time.now() - begun) <= Duration::from_millis(2250), "{:?}", (calls.time.now() - begun));
}

#[tokio::test]
async fn a_gap_in_the_shard_is_not_its_end() {
    let (calls, positions) = (Shard::holding([1, 2]), Positions::default());
    calls.with(|state| state.gaps = 3);
    assert_eq!(
        read_after(&calls, &positions, Some(1), 100).await,
        (vec![2], false),
        "the record itself is not read again"
    );
}

#[tokio::test]
async fn an_iterator_that_expired_is_made_anew() {
    let (calls, positions) = (Shard::holding([1]), Positions::default());
    assert_eq!(read_after(&calls, &positions, None, 10).await, (vec![1], false));
    calls.with(|state| {
        state.failures.push(FetchError::Expired);
        state.numbers.push(2);
    });
    assert_eq!(read_after(&calls, &positions, Some(1), 10).await, (vec![2], false));
    assert_eq!(calls.iterators(), 2);
}

#[tokio::test]
async fn a_throttled_shard_is_left_alone_for_a_second() {
    let throttled = || FetchError::Throttled(PortError::new(Advice::BackOff, "too often"));
    let (calls, positions) = (Shard::holding([1]), Positions::default());
    calls.with(|state| state.failures.push(throttled()));
    let error = read_waiting(&calls, &positions, None, 10, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.advice, Advice::BackOff);
    calls.with(|state| state.failures.push(throttled()));
    let begun = calls.time.now();
    let page = read_waiting(&calls, &positions, None, 10, Duration::from_secs(10)).await.unwrap();
    assert_eq!((numbers(&page), (calls.time.now() - begun)), (vec![1], Duration::from_secs(2)));
}

#[tokio::test]
async fn a_position_that_the_shard_no_longer_holds_is_an_error() {
    let (calls, positions) = (Shard::holding([5, 6]), Positions::default());
    let error = read_waiting(&calls, &positions, Some(3), 10, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.advice, Advice::Stop);
    assert!(
        error.message.contains("no longer holds record 3") && error.message.contains("begins with record 5"),
        "{error}"
    );
    assert_eq!(read_after(&calls, &positions, Some(5), 10).await, (vec![6], false));
}

#[tokio::test]
async fn a_reader_at_the_end_of_an_idle_shard_goes_on_when_its_record_is_gone() {
    let (calls, positions) = (Shard::holding([]), Positions::default());
    assert_eq!(read_after(&calls, &positions, Some(3), 10).await, (vec![], false));
    calls.with(|state| state.numbers.push(4));
    assert_eq!(read_after(&calls, &positions, Some(3), 10).await, (vec![4], false));
}

#[tokio::test]
async fn the_end_of_a_closed_shard_is_waited_at() {
    let (calls, positions) = (Shard::holding([1]), Positions::default());
    calls.with(|state| state.closed = true);
    assert_eq!(read_after(&calls, &positions, None, 10).await, (vec![1], false));
    let begun = calls.time.now();
    let page = read_waiting(&calls, &positions, Some(1), 10, Duration::from_secs(5)).await.unwrap();
    assert!(page.records.is_empty() && !page.more);
    assert_eq!((calls.time.now() - begun), Duration::from_secs(5));
    assert_eq!(calls.state.lock().unwrap().asked.len(), 1, "it is not asked again");
}
