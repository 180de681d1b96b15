//! An entry: a record that travels, and the user records that travel with it.

use std::sync::Arc;

use alluvium_core::{EntryId, PutRecord, ShardId};
use bytes::Bytes;

use super::key_table::Keys;
use super::lot::{How, LotHold, Settlement};
use super::moment::Moment;

/// What happened to an entry or a user record so far.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// How often it was sent.
    pub(super) attempts: u32,
    /// When it was first sent.
    pub(super) first_sent: Option<Moment>,
    pub(super) last_error: Option<Arc<str>>,
    /// Whether an attempt of it may have been stored, although the producer cannot count it as delivered.
    pub(super) may_be_stored: bool,
}

impl History {
    /// What happened to a user record that had a history before it came into the entry of this one.
    fn after(&self, before: &Self) -> Self {
        Self {
            attempts: before.attempts + self.attempts,
            first_sent: before.first_sent.or(self.first_sent),
            last_error: self.last_error.clone().or_else(|| before.last_error.clone()),
            may_be_stored: before.may_be_stored || self.may_be_stored,
        }
    }
}

/// The place of a user record that is not in the aggregate that it was taken into.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    pub(super) lot: LotHold,
    pub(super) index: u32,
    pub(super) history: History,
}

/// A user record in an entry.
#[derive(Debug)]
pub(super) struct Item {
    /// Its number in the order in which records were taken in.
    pub(super) ordinal: u64,
    pub(super) arrival: Moment,
    pub(super) hash_key: u128,
    /// Where its data is: see [`Layout`].
    pub(super) data_begin: u32,
    pub(super) data_bytes: u32,
    /// Its partition key's number.
    pub(super) key: u32,
    /// What keeping track of it was counted at.
    pub(super) tracking_bytes: u32,
    /// Whether its hash key was given with it.
    pub(super) explicit: bool,
    /// `None`: the entry's lot is its own, and its place in the entry its place there.
    pub(super) carried: Option<Box<Carried>>,
}

/// How the data of the user records lies in that of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As it is, from the byte that an item names.
    Plain,
    /// The same once this many bytes are decompressed.
    Zstd { raw_bytes: usize },
}

/// A user record out of its entry.
#[derive(Debug)]
pub(super) struct Loose {
    pub(super) partition_key: Box<str>,
    pub(super) explicit: bool,
    pub(super) hash_key: u128,
    pub(super) data: Bytes,
    pub(super) tracking_bytes: u32,
    pub(super) ordinal: u64,
    pub(super) arrival: Moment,
    pub(super) carried: Box<Carried>,
}

/// What an entry is to be counted as settled with.
pub(super) struct Settled {
    /// User records.
    pub(super) records: usize,
    /// Bytes of their data.
    pub(super) data_bytes: usize,
    /// What they took of the budget.
    pub(super) charge: usize,
}

/// A record that travels.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: EntryId,
    pub(super) record: PutRecord,
    pub(super) counted_bytes: usize,
    pub(super) layout: Layout,
    /// In order of their ordinals; at least one.
    pub(super) items: Vec<Item>,
    pub(super) keys: Keys,
    pub(super) lot: LotHold,
    /// The lane that it waits in, in the shard map of `epoch`.
    pub(super) lane: u32,
    pub(super) epoch: u32,
    /// The shard that it was built for.
    pub(super) predicted: Option<ShardId>,
    /// When it has waited long enough for others to travel with.
    pub(super) due: Moment,
    /// When the time to live of its youngest user record is over. No two of them were taken in further apart than the linger.
    pub(super) deadline: Moment,
    pub(super) history: History,
}

impl Entry {
    /// The number of its oldest user record.
    pub(super) fn first_ordinal(&self) -> u64 {
        self.items[0].ordinal
    }

    /// Whether all its user records belong to the same shard in whatever shard map.
    pub(super) fn has_one_hash_key(&self) -> bool {
        self.items.iter().all(|item| item.hash_key == self.items[0].hash_key)
    }

    fn settlement(history: &History, how: &How, at: Moment) -> Settlement {
        let mut how = how.clone();
        if let How::GivenUp { last_error, may_be_stored, .. } = &mut how {
            *may_be_stored |= history.may_be_stored;
            if last_error.is_none() {
                last_error.clone_from(&history.last_error);
            }
        }
        Settlement { how, attempts: history.attempts, first_sent: history.first_sent, at }
    }

    /// Settles all its user records. What an attempt left open is added to `how`.
    pub(super) fn settle(self, how: &How, at: Moment) -> Settled {
        let settled = self.settled(self.items.iter());
        let mut own = false;
        for (place, item) in self.items.iter().enumerate() {
            match &item.carried {
                None => own = true,
                Some(carried) => self.settle_carried(carried, how, at, place as u32),
            }
        }
        if own {
            self.lot.settle(Self::settlement(&self.history, how, at));
        }
        settled
    }

    fn settle_carried(&self, carried: &Carried, how: &How, at: Moment, place: u32) {
        let history = self.history.after(&carried.history);
        carried.lot.settle_one(carried.index, Self::settlement(&history, how, at), place);
    }

    fn settled<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Settled {
        let mut settled = Settled { records: 0, data_bytes: 0, charge: 0 };
        for item in items {
            settled.records += 1;
            settled.data_bytes += item.data_bytes as usize;
            settled.charge += self.keys.get(item.key).len() + (item.data_bytes + item.tracking_bytes) as usize;
        }
        settled
    }

    /// Takes out all user records.
    pub(super) fn take_apart(self) -> Vec<Loose> {
        let raw = self.raw();
        self.items.iter().enumerate().map(|(place, item)| self.loosen(item, place as u32, &raw)).collect()
    }

    /// Settles the user records of whose hash key `belongs` is true, and takes out the others.
    pub(super) fn settle_some(self, belongs: impl Fn(u128) -> bool, how: &How, at: Moment) -> (Settled, Vec<Loose>) {
        let settled = self.settled(self.items.iter().filter(|item| belongs(item.hash_key)));
        let raw = self.raw();
        let mut loose = Vec::with_capacity(self.items.len() - settled.records);
        for (place, item) in self.items.iter().enumerate() {
            let place = place as u32;
            match belongs(item.hash_key) {
                true => self.settle_carried(&self.carried(item, place), how, at, place),
                false => loose.push(self.loosen(item, place, &raw)),
            }
        }
        (settled, loose)
    }

    /// The bytes in which the user records lie.
    fn raw(&self) -> Bytes {
        match self.layout {
            Layout::Plain => self.record.data.clone(),
            Layout::Zstd { raw_bytes } => zstd::bulk::decompress(&self.record.data, raw_bytes)
                .expect("what was compressed here can be decompressed")
                .into(),
        }
    }

    /// What settles a user record alone, wherever it came from.
    fn carried(&self, item: &Item, place: u32) -> Carried {
        let here = || Carried { lot: self.lot.clone(), index: place, history: History::default() };
        item.carried.as_deref().cloned().unwrap_or_else(here)
    }

    fn loosen(&self, item: &Item, place: u32, raw: &Bytes) -> Loose {
        let carried = self.carried(item, place);
        let history = self.history.after(&carried.history);
        let begin = item.data_begin as usize;
        Loose {
            partition_key: self.keys.get(item.key).into(),
            explicit: item.explicit,
            hash_key: item.hash_key,
            data: raw.slice(begin..begin + item.data_bytes as usize),
            tracking_bytes: item.tracking_bytes,
            ordinal: item.ordinal,
            arrival: item.arrival,
            carried: Box::new(Carried { history, ..carried }),
        }
    }
}
