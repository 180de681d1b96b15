//! Who the records of error lines are: the same bytes at the same time in the stream.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use alluvium_core::StreamRecord;
use alluvium_core::identity::content_hash;
use alluvium_core::ports::{PortError, Stream};
use alluvium_transform::firehose::user_records;
use bytes::Bytes;

use super::super::event::millis;
use super::Line;

/// How much of a shard is read at a time.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// What a line tells of its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    arrival_ms: i64,
    content: String,
}

impl Key {
    pub(super) fn of(line: &Line) -> Self {
        Self { arrival_ms: line.arrival_ms, content: content_hash(&line.data) }
    }
}

/// A record of the stream, without its bytes, and its place.
#[derive(Debug)]
struct Candidate {
    record: StreamRecord,
    /// The shard's place among all, and the record's among all that were read of the shard.
    place: (usize, u64),
    taken: bool,
}

/// When a candidate arrived, measured by what a line says.
#[derive(Debug, Clone, Copy)]
enum When {
    /// In that millisecond.
    Then,
    /// In one before it, or in that.
    Before,
}

impl Candidate {
    fn arrived(&self, when: When, key: &Key) -> bool {
        let arrival_ms = millis(self.record.arrival);
        match when {
            When::Then => arrival_ms == key.arrival_ms,
            When::Before => arrival_ms <= key.arrival_ms,
        }
    }
}

/// The records of the stream that have the bytes of a line.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// By content; each list by shard, then in the shard's order.
    by_content: HashMap<String, Vec<Candidate>>,
}

impl Lookup {
    /// Reads the stream from its start, and keeps what may be one of the records looked for.
    pub(super) async fn read(stream: &dyn Stream, wanted: Vec<Key>) -> Result<Self, PortError> {
        let mut lookup = Self::default();
        let Some(newest_ms) = wanted.iter().map(|key| key.arrival_ms).max() else { return Ok(lookup) };
        let contents: HashSet<String> = wanted.into_iter().map(|key| key.content).collect();
        for (at, state) in stream.shards().await?.into_iter().enumerate() {
            let (mut after, mut count) = (None, 0);
            loop {
                let page = stream.read(&state.shard, after, PAGE_BYTES, Duration::ZERO).await?;
                let Some(last) = page.records.last() else { break };
                let end = !page.more || millis(last.arrival) > newest_ms;
                after = Some(last.identity.sequence);
                for record in page.records.into_iter().flat_map(user_records) {
                    let content = content_hash(&record.data);
                    if millis(record.arrival) <= newest_ms && contents.contains(&content) {
                        let record = StreamRecord { data: Bytes::new(), ..record };
                        let candidate = Candidate { record, place: (at, count), taken: false };
                        lookup.by_content.entry(content).or_default().push(candidate);
                    }
                    count += 1;
                }
                if end {
                    break;
                }
            }
        }
        Ok(lookup)
    }

    /// The records of lines that were one batch, without their bytes; `None` where the stream does not hold it. A record is given to
    /// a second line only where that one can be no other: then the line is written twice.
    pub(super) fn assign(&mut self, batch: &[Line]) -> Vec<Option<StreamRecord>> {
        let keys: Vec<Key> = batch.iter().map(Key::of).collect();
        let run = self.run(&keys, When::Then).or_else(|| {
            let told_then = keys.iter().any(|key| self.arrived(key, When::Then));
            if told_then { None } else { self.run(&keys, When::Before) }
        });
        if let Some((shard, first)) = run {
            let places = (first..).map(|place| (shard, place));
            return keys.iter().zip(places).map(|(key, place)| self.take_at(key, place)).collect();
        }
        keys.iter().map(|key| self.take_any(key)).collect()
    }

    fn arrived(&self, key: &Key, when: When) -> bool {
        self.by_content.get(&key.content).is_some_and(|alike| alike.iter().any(|one| one.arrived(when, key)))
    }

    /// Where the whole batch stands, record by record, in one shard.
    fn run(&self, keys: &[Key], when: When) -> Option<(usize, u64)> {
        let is_free = |key: &Key, place| {
            let alike = self.by_content.get(&key.content)?;
            let found = alike.binary_search_by_key(&place, |candidate| candidate.place).ok()?;
            Some(&alike[found]).filter(|candidate| !candidate.taken && candidate.arrived(when, key))
        };
        let starts = self.by_content.get(&keys.first()?.content)?.iter().map(|candidate| candidate.place);
        let mut whole = starts.filter(|(shard, first)| {
            keys.iter().zip(*first..).all(|(key, place)| is_free(key, (*shard, place)).is_some())
        });
        match when {
            When::Then => whole.next(),
            When::Before => whole.next_back(),
        }
    }

    fn take_at(&mut self, key: &Key, place: (usize, u64)) -> Option<StreamRecord> {
        let alike = self.by_content.get_mut(&key.content)?;
        let found = alike.binary_search_by_key(&place, |candidate| candidate.place).ok()?;
        alike[found].taken = true;
        Some(alike[found].record.clone())
    }

    /// The oldest of the line's millisecond, one that was not given out before others; else the newest before it that was not.
    fn take_any(&mut self, key: &Key) -> Option<StreamRecord> {
        let alike = self.by_content.get_mut(&key.content)?;
        let found = |when, taken| {
            let found = alike.iter().enumerate().filter(move |(_, one)| one.taken == taken && one.arrived(when, key));
            found.map(|(at, one)| (at, one.record.arrival))
        };
        let then = found(When::Then, false).next().or_else(|| found(When::Then, true).next());
        let (found, _) = then.or_else(|| found(When::Before, false).max_by_key(|(_, arrival)| *arrival))?;
        alike[found].taken = true;
        Some(alike[found].record.clone())
    }
}
