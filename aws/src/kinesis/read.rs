//! One read: what is held, else what the shard gives, at its pace.

use std::time::Duration;

use super::position::{Next, Position, Positions};
use crate::timer::Timer;
use alluvium_core::identity::{SequenceNumber, ShardId};
use alluvium_core::ports::{Advice, PortError, ReadPage};
use alluvium_core::record::StreamRecord;

/// A wait too long for the clock is as good as this one.
const NO_END: Duration = Duration::from_secs(365 * 24 * 3600);

/// What one call of `GetRecords` gave.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) records: Vec<StreamRecord>,
    /// `None`: the shard is closed, and this was the end of it.
    pub(super) next: Option<String>,
    /// Whether the shard held more.
    pub(super) behind: bool,
}

/// Why it gave nothing.
#[derive(Debug)]
pub(super) enum FetchError {
    /// The iterator was too old.
    Expired,
    /// The shard was asked too often, or for too much.
    Throttled(PortError),
    /// Anything else.
    Failed(PortError),
}

/// The two calls that reading takes.
pub(super) trait GetRecords: Sync {
    /// An iterator that begins with the record `at`; `None`: with the oldest.
    fn iterator(
        &self,
        shard: &ShardId,
        at: Option<SequenceNumber>,
    ) -> impl Future<Output = Result<String, PortError>> + Send;

    /// What comes at an iterator: as much as the service gives at once.
    fn records(&self, shard: &ShardId, iterator: &str) -> impl Future<Output = Result<Fetched, FetchError>> + Send;
}

/// Reads a page. The reader's place is kept when that went well; otherwise the next read starts anew from `after`.
pub(super) async fn read(
    calls: &impl GetRecords,
    timer: &impl Timer,
    positions: &Positions,
    shard: &ShardId,
    after: Option<SequenceNumber>,
    max_bytes: usize,
    wait: Duration,
) -> Result<ReadPage, PortError> {
    let begun = timer.now();
    let until = begun.checked_add(wait).unwrap_or(begun + NO_END);
    let mut position = positions.take(shard, after);
    let mut asked = false;
    let page = loop {
        let page = position.page(max_bytes);
        if !page.records.is_empty() {
            break page;
        }
        // A shard is asked once at least, and while it says that there is more.
        let caught_up = asked && !position.behind;
        let ended = matches!(position.next, Next::Ended) || (caught_up && timer.now() >= until);
        let Some(slot) = (if ended { None } else { positions.slot(shard, timer.now(), caught_up.then_some(until)) })
        else {
            // The end of a closed shard is waited at too, or whoever reads on in a loop would never rest.
            timer.sleep_until(until).await;
            break page;
        };
        timer.sleep_until(slot).await;
        match position.fetch(calls, shard).await {
            Ok(bytes) => {
                positions.gave(shard, timer.now(), bytes);
                asked = true;
            }
            Err(FetchError::Expired) => position.next = Next::Unknown,
            Err(FetchError::Throttled(error)) => {
                positions.throttled(shard, timer.now());
                if timer.now() >= until {
                    return Err(error);
                }
            }
            Err(FetchError::Failed(error)) => return Err(error),
        }
    };
    positions.keep(shard, position);
    Ok(page)
}

impl Position {
    /// Hands out what is held, up to `max_bytes` of data but at least one record.
    fn page(&mut self, max_bytes: usize) -> ReadPage {
        let mut bytes = 0;
        let mut records = Vec::new();
        while let Some(record) = self.held.front() {
            bytes += record.data.len();
            if bytes > max_bytes && !records.is_empty() {
                break;
            }
            self.after = Some(record.identity.sequence);
            records.extend(self.held.pop_front());
        }
        ReadPage { more: !records.is_empty() && (!self.held.is_empty() || self.behind), records }
    }

    /// Fetches what comes after what is held, which is nothing; says how many bytes came.
    async fn fetch(&mut self, calls: &impl GetRecords, shard: &ShardId) -> Result<usize, FetchError> {
        debug_assert!(self.held.is_empty(), "only a reader that has handed everything out fetches more");
        let iterator = match std::mem::take(&mut self.next) {
            Next::At(iterator) => iterator,
            Next::Unknown | Next::Ended => {
                let iterator = calls.iterator(shard, self.after).await.map_err(FetchError::of_call)?;
                self.unproven = self.after.is_some();
                iterator
            }
        };
        let fetched = match calls.records(shard, &iterator).await {
            Ok(fetched) => fetched,
            Err(error) => {
                self.next = Next::At(iterator);
                return Err(error);
            }
        };
        let bytes = fetched.records.iter().map(|record| record.data.len()).sum();
        let none = fetched.records.is_empty();
        let mut records = fetched.records;
        if let (Some(after), Some(first)) = (self.after, records.first()) {
            if self.unproven && first.identity.sequence > after {
                return Err(FetchError::Failed(gone(shard, after, first)));
            }
            records.retain(|record| record.identity.sequence > after);
        }
        // A shard that has nothing to give from there on has lost nothing that came after it.
        self.unproven &= none && fetched.behind;
        self.held = records.into();
        self.behind = fetched.behind;
        self.next = fetched.next.map_or(Next::Ended, Next::At);
        Ok(bytes)
    }
}

impl FetchError {
    fn of_call(error: PortError) -> Self {
        match error.advice {
            Advice::BackOff => Self::Throttled(error),
            Advice::Retry | Advice::Stop => Self::Failed(error),
        }
    }
}

fn gone(shard: &ShardId, after: SequenceNumber, first: &StreamRecord) -> PortError {
    let message = format!(
        "{shard} no longer holds record {after}, nor perhaps some that came after it: they are older than the stream's \
         retention. It begins with record {}; to go on without them, read from the oldest",
        first.identity.sequence
    );
    PortError::new(Advice::Stop, message)
}

#[cfg(test)]
mod tests;
