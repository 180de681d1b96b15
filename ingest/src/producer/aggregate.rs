//! An aggregate that is being filled.

use std::time::Duration;

use alluvium_core::{DestinationLimits, EntryId, PutRecord, ShardId};
use bytes::Bytes;

use super::entry::{Carried, Entry, History, Item, Layout, Loose};
use super::key_table::KeyTable;
use super::kpl::{self, HashKeyTable};
use super::lot::LotHold;
use super::moment::Moment;
use super::record::UserRecord;
use super::settings::{Aggregation, ProducerSettings};
use super::shard_map::Shards;

/// zstd's fastest ordinary level: lines of telemetry shrink by most of what higher levels reach.
const ZSTD_LEVEL: i32 = 1;

/// A user record on its way into an aggregate.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    pub(super) record: UserRecord<'a>,
    pub(super) hash_key: u128,
    pub(super) tracking_bytes: u32,
    pub(super) ordinal: u64,
    pub(super) arrival: Moment,
    /// `None`: it has been taken in just now.
    pub(super) carried: Option<Box<Carried>>,
}

impl Loose {
    pub(super) fn incoming(&self) -> Incoming<'_> {
        let explicit_hash_key = self.explicit.then_some(self.hash_key);
        Incoming {
            record: UserRecord { partition_key: &self.partition_key, explicit_hash_key, data: &self.data },
            hash_key: self.hash_key,
            tracking_bytes: self.tracking_bytes,
            ordinal: self.ordinal,
            arrival: self.arrival,
            carried: Some(self.carried.clone()),
        }
    }
}

/// What an aggregate is built for.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) lane: u32,
    pub(super) epoch: u32,
    pub(super) route: Route,
}

/// How an aggregate of several user records finds its shard.
#[derive(Debug, Clone)]
pub(super) enum Route {
    /// By a hash key inside the hash keys of the shard, or of the part of a destination without shards, that it was built for.
    HashKey { predicted: Option<ShardId> },
    /// By the partition key that all of them have.
    PartitionKey,
}

impl Target {
    /// The shard that it is built for, if one is known.
    pub(super) fn predicted(self) -> Option<ShardId> {
        match self.route {
            Route::HashKey { predicted } => predicted,
            Route::PartitionKey => None,
        }
    }
}

/// What keeping track of a user record takes, at most, beside its data and its key, where it travels with others.
const TRACKING_BYTES: u32 = 128;
/// The same where each travels alone: the record that it becomes, that record in a call, and the call's own copy of it.
const TRACKING_BYTES_ALONE: u32 = 1_024;

/// What shapes aggregates, out of the settings and the destination's limits.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    aggregation: Aggregation,
    max_bytes: usize,
    max_records: usize,
    linger: Duration,
    time_to_live: Duration,
    limits: DestinationLimits,
}

impl Shape {
    pub(super) fn new(settings: &ProducerSettings, limits: DestinationLimits) -> Self {
        // An aggregate travels with a key of its own, which counts.
        let room = limits.bytes_per_entry.min(limits.bytes_per_call).saturating_sub(256);
        let max_records = if settings.aggregation == Aggregation::None { 1 } else { settings.aggregation_max_records };
        Self {
            aggregation: settings.aggregation,
            max_bytes: settings.aggregation_max_bytes.min(room),
            max_records,
            linger: settings.linger,
            time_to_live: settings.record_time_to_live,
            limits,
        }
    }

    /// What a user record takes of the budget beside its data and its key. Without a shard map those of different keys travel alone.
    pub(super) fn tracking_bytes(&self, shards: &Shards) -> u32 {
        let alone = self.max_records == 1 || *shards == Shards::Unknown;
        if alone { TRACKING_BYTES_ALONE } else { TRACKING_BYTES }
    }

    fn is_lines(&self) -> bool {
        matches!(self.aggregation, Aggregation::Ndjson | Aggregation::NdjsonZstd)
    }

    /// The bytes of a user record that travels alone.
    pub(super) fn alone_bytes(&self, record: &UserRecord<'_>) -> usize {
        let line_break = usize::from(self.is_lines() && !record.data.ends_with(b"\n"));
        self.limits.counted(record.partition_key.len(), record.data.len() + line_break)
    }

    /// Whether a user record can share a record with others at all.
    fn may_share(&self, data: &[u8]) -> bool {
        let text = data.strip_suffix(b"\n").unwrap_or(data);
        !self.is_lines() || memchr::memchr(b'\n', text).is_none()
    }
}

/// The user records that will travel as one record.
#[derive(Debug, Default)]
pub(super) struct Aggregate {
    keys: KeyTable,
    key_table_bytes: usize,
    hash_keys: HashKeyTable,
    records: Vec<u8>,
    items: Vec<Item>,
    lot: LotHold,
    /// Nothing more goes into it.
    sealed: bool,
}

impl Aggregate {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// When it has waited long enough.
    pub(super) fn due(&self, shape: &Shape) -> Moment {
        self.items.first().map_or(Moment::NEVER, |first| first.arrival + shape.linger)
    }

    /// Whether one more user record may go into it. Anything fits an empty one.
    pub(super) fn fits(&self, incoming: &Incoming<'_>, shape: &Shape) -> bool {
        let Some(first) = self.items.first() else { return true };
        let record = &incoming.record;
        !self.sealed
            && self.items.len() < shape.max_records
            && self.bytes_with(record, shape) <= shape.max_bytes
            // Apart by more than the linger, they would not share a deadline.
            && incoming.arrival.since(first.arrival) <= shape.linger
            && shape.may_share(record.data)
    }

    fn bytes_with(&self, record: &UserRecord<'_>, shape: &Shape) -> usize {
        if shape.aggregation != Aggregation::Kpl {
            return self.records.len() + record.data.len() + 1;
        }
        let key = self.keys.find(record.partition_key);
        let new_key = if key.is_some() { 0 } else { kpl::key_bytes(record.partition_key) };
        let hash_key = record.explicit_hash_key.map(|hash_key| (self.hash_keys.find(hash_key), hash_key));
        let new_hash_key = match hash_key {
            Some((None, hash_key)) => kpl::hash_key_bytes(hash_key),
            _ => 0,
        };
        // What has no number yet gets none above the number of records.
        let next = self.items.len() as u32;
        let hash_key = hash_key.map(|(number, _)| number.unwrap_or(next));
        let more = kpl::record_bytes(key.unwrap_or(next), hash_key, record.data.len());
        let tables = self.key_table_bytes + new_key + self.hash_keys.bytes() + new_hash_key;
        kpl::FRAME_BYTES + tables + self.records.len() + more
    }

    /// Adds a user record that fits; its place.
    pub(super) fn push(&mut self, incoming: Incoming<'_>, shape: &Shape) -> u32 {
        let record = &incoming.record;
        let key = self.keys.find(record.partition_key).unwrap_or_else(|| {
            self.key_table_bytes += kpl::key_bytes(record.partition_key);
            self.keys.add(record.partition_key)
        });
        let begin = match shape.aggregation {
            Aggregation::Kpl => {
                let explicit = record.explicit_hash_key;
                let table = &mut self.hash_keys;
                let hash_key = explicit.map(|hash_key| table.find(hash_key).unwrap_or_else(|| table.add(hash_key)));
                kpl::write_record(key, hash_key, record.data, &mut self.records)
            }
            Aggregation::Ndjson | Aggregation::NdjsonZstd => {
                let begin = self.records.len();
                self.records.extend_from_slice(record.data);
                if !record.data.ends_with(b"\n") {
                    self.records.push(b'\n');
                }
                self.sealed |= !shape.may_share(record.data);
                begin
            }
            Aggregation::None => {
                self.records.extend_from_slice(record.data);
                0
            }
        };
        let place = self.items.len() as u32;
        self.items.push(Item {
            ordinal: incoming.ordinal,
            arrival: incoming.arrival,
            hash_key: incoming.hash_key,
            data_begin: begin as u32,
            data_bytes: record.data.len() as u32,
            key,
            tracking_bytes: incoming.tracking_bytes,
            explicit: record.explicit_hash_key.is_some(),
            carried: incoming.carried,
        });
        place
    }

    /// What its user records wait on.
    pub(super) fn lot(&self) -> &LotHold {
        &self.lot
    }

    /// Whether the next user record would have to begin another one in any case.
    pub(super) fn is_full(&self, shape: &Shape) -> bool {
        self.sealed || self.items.len() >= shape.max_records || self.records.len() >= shape.max_bytes
    }

    /// Makes an entry of its user records, of which there is at least one; it is empty then and keeps its memory.
    pub(super) fn close(&mut self, id: EntryId, target: &Target, shape: &Shape) -> Entry {
        let due = self.due(shape);
        let keys = self.keys.take();
        let mut items: Vec<_> = self.items.drain(..).collect();
        let alone = items.len() == 1;
        let (data, layout) = match shape.aggregation {
            Aggregation::Kpl if !alone => {
                let (data, records_begin) = kpl::finish(&keys, &self.hash_keys, &self.records);
                items.iter_mut().for_each(|item| item.data_begin += records_begin as u32);
                (data.into(), Layout::Plain)
            }
            Aggregation::Kpl => {
                let begin = std::mem::take(&mut items[0].data_begin) as usize;
                (Bytes::copy_from_slice(&self.records[begin..]), Layout::Plain)
            }
            Aggregation::NdjsonZstd => compressed(&self.records),
            Aggregation::Ndjson | Aggregation::None => (Bytes::copy_from_slice(&self.records), Layout::Plain),
        };
        self.records.clear();
        self.hash_keys.clear();
        self.key_table_bytes = 0;
        self.sealed = false;
        let first = &items[0];
        let (predicted, by_hash_key) = match &target.route {
            Route::HashKey { predicted } => (predicted.clone(), !alone),
            Route::PartitionKey => (None, false),
        };
        let record = if by_hash_key {
            PutRecord { partition_key: kpl::PARTITION_KEY.to_owned(), explicit_hash_key: Some(first.hash_key), data }
        } else {
            let explicit_hash_key = first.explicit.then_some(first.hash_key);
            PutRecord { partition_key: keys.get(first.key).to_owned(), explicit_hash_key, data }
        };
        let youngest = items.iter().map(|item| item.arrival).max().expect("an entry has a user record");
        Entry {
            id,
            counted_bytes: shape.limits.counted_bytes(&record),
            record,
            layout,
            lane: target.lane,
            epoch: target.epoch,
            predicted,
            due,
            deadline: youngest + shape.time_to_live,
            history: History::default(),
            items,
            keys,
            lot: std::mem::take(&mut self.lot),
        }
    }
}

/// Lines compressed, or as they are when that does not make them smaller.
fn compressed(lines: &[u8]) -> (Bytes, Layout) {
    // The frame holds the length, so that a reader can refuse what expands too far before it does.
    let mut out = zstd::bulk::compress(lines, ZSTD_LEVEL).expect("compressing in memory does not fail");
    if out.len() < lines.len() {
        out.shrink_to_fit();
        return (out.into(), Layout::Zstd { raw_bytes: lines.len() });
    }
    (Bytes::copy_from_slice(lines), Layout::Plain)
}
