//! Index, notes, bucket and queue in memory, none of them reliable.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::hot::{
    ErasableHotIndex, HotChunk, HotQuery, Left, Newest, PutPosition, PutQuery, Puts, Screen, TakeOut, TakenOut, Waiting,
};
use alluvium_core::ports::{Advice, CommitQueue, DataFiles, Delivery, HotIndex, PortError, Put};
use async_trait::async_trait;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::super::take_out::{Parcels, StoredParcel};
use super::super::{Note, Notes, OfferedIndex};

/// Dataset, bucket and sort key.
type Key = (String, u16, String);

#[derive(Debug, Default)]
struct Held {
    /// The chunks, and the how many-th put each was.
    chunks: BTreeMap<Key, (Micros, HotChunk)>,
    puts: Micros,
    marks: BTreeMap<String, Micros>,
    waiting: BTreeMap<(String, String), Note>,
    drained: BTreeSet<(String, String)>,
    files: BTreeMap<String, Bytes>,
    /// Drains begun, and those of them under way.
    begun: u64,
    under_way: BTreeSet<u64>,
    messages: Vec<String>,
    answered: Vec<HotChunk>,
}

#[derive(Debug)]
pub(in super::super) struct World {
    random: Mutex<StdRng>,
    throttled: Mutex<f64>,
    failing: Mutex<f64>,
    held: Mutex<Held>,
}

impl World {
    /// A world in which nothing fails yet.
    pub(in super::super) fn calm(seed: u64) -> Arc<Self> {
        let random = Mutex::new(StdRng::seed_from_u64(seed));
        Arc::new(Self { random, throttled: Mutex::default(), failing: Mutex::default(), held: Mutex::default() })
    }

    /// How likely it is that a chunk is refused.
    pub(in super::super) fn throttle(&self, likely: f64) {
        *self.throttled.lock().unwrap() = likely;
    }

    /// How likely it is that a call fails.
    pub(in super::super) fn fail(&self, likely: f64) {
        *self.failing.lock().unwrap() = likely;
    }

    pub(in super::super) fn random(&self, range: Range<usize>) -> usize {
        self.random.lock().unwrap().random_range(range)
    }

    fn chance(&self, likely: f64) -> bool {
        self.random.lock().unwrap().random_bool(likely)
    }

    /// Lets others go on for a while.
    pub(in super::super) async fn pause(&self) {
        // Now and then for as long as others take to do all that they do.
        let longest = if self.chance(0.1) { 60 } else { 4 };
        for _ in 0..self.random(0..longest) {
            tokio::task::yield_now().await;
        }
    }

    pub(in super::super) fn chunks(&self) -> Vec<HotChunk> {
        self.held.lock().unwrap().chunks.values().map(|(_, chunk)| chunk.clone()).collect()
    }

    pub(in super::super) fn notes(&self) -> usize {
        self.held.lock().unwrap().waiting.len()
    }

    pub(in super::super) fn messages(&self) -> Vec<String> {
        self.held.lock().unwrap().messages.clone()
    }

    pub(in super::super) fn answered(&self, chunks: Vec<HotChunk>) {
        self.held.lock().unwrap().answered.extend(chunks);
    }

    pub(in super::super) fn all_answered(&self) -> Vec<HotChunk> {
        self.held.lock().unwrap().answered.clone()
    }

    /// One of the messages, which stays.
    pub(in super::super) fn deliver(&self) -> Option<String> {
        let messages = self.messages();
        if messages.is_empty() { None } else { Some(messages[self.random(0..messages.len())].clone()) }
    }

    pub(in super::super) fn acknowledge(&self, path: &str) {
        let mut held = self.held.lock().unwrap();
        if let Some(place) = held.messages.iter().position(|message| message == path) {
            held.messages.swap_remove(place);
        }
    }

    pub(in super::super) fn spoil(&self, path: &str) {
        self.held.lock().unwrap().files.insert(path.to_owned(), Bytes::from_static(b"spoilt"));
    }

    /// Whether a parcel has this byte among its chunks'.
    pub(in super::super) fn holds(&self, path: &str, byte: u8) -> bool {
        let bytes = self.held.lock().unwrap().files[path].clone();
        let unpacked = super::super::parcel::unpack(path, &bytes);
        unpacked.is_ok_and(|unpacked| unpacked.chunks.iter().any(|chunk| chunk.block.contains(&byte)))
    }

    /// When any parcel was stored.
    pub(in super::super) fn stored_at(&self) -> Micros {
        7_000_000
    }

    /// A drain is under way from now on until what is returned is dropped.
    pub(in super::super) fn drain_begins(self: &Arc<Self>) -> UnderWay {
        let mut held = self.held.lock().unwrap();
        held.begun += 1;
        let number = held.begun;
        held.under_way.insert(number);
        UnderWay(self.clone(), number)
    }

    /// Waits until the drains have ended that are under way.
    pub(in super::super) async fn drains_end(&self) {
        let begun = self.held.lock().unwrap().under_way.clone();
        while !self.held.lock().unwrap().under_way.is_disjoint(&begun) {
            tokio::task::yield_now().await;
        }
    }

    /// Makes a change, slowly; it may fail before or after it is made.
    async fn change<T>(&self, change: impl FnOnce(&mut Held) -> T) -> Result<T, PortError> {
        let failing = *self.failing.lock().unwrap();
        let failed = || PortError::new(Advice::Retry, "the line is cut");
        self.pause().await;
        if self.chance(failing) {
            return Err(failed());
        }
        let changed = change(&mut self.held.lock().unwrap());
        self.pause().await;
        if self.chance(failing) { Err(failed()) } else { Ok(changed) }
    }
}

/// A drain.
pub(in super::super) struct UnderWay(Arc<World>, u64);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.held.lock().unwrap().under_way.remove(&self.1);
    }
}

#[async_trait]
impl ErasableHotIndex for World {
    async fn take_out(&self, mode: TakeOut, _: Micros, screen: &Screen<'_>) -> Result<TakenOut, PortError> {
        let mut taken = TakenOut::default();
        for held in self.chunks() {
            self.pause().await;
            let mut all = self.held.lock().unwrap();
            let Some((_, chunk)) = all.chunks.get(&key(&held)).cloned() else { continue };
            if let Left::Without(rows, left) = screen(&chunk)? {
                taken.add(&rows);
                match left {
                    _ if mode == TakeOut::Count => {}
                    Some(left) => all.chunks.get_mut(&key(&held)).unwrap().1 = left,
                    None => _ = all.chunks.remove(&key(&held)),
                }
            }
        }
        Ok(taken)
    }
}

#[async_trait]
impl Parcels for World {
    async fn stored_since(&self, since: Micros) -> Result<Vec<String>, PortError> {
        self.pause().await;
        let held = self.held.lock().unwrap();
        Ok(held.files.keys().filter(|_| since <= self.stored_at()).cloned().collect())
    }

    async fn read(&self, path: &str) -> Result<Option<StoredParcel>, PortError> {
        self.pause().await;
        let bytes = self.held.lock().unwrap().files.get(path).cloned();
        Ok(bytes.map(|bytes| StoredParcel { bytes, stored_at: self.stored_at(), tag: None }))
    }

    async fn replace(&self, path: &str, read: &StoredParcel, bytes: Bytes) -> Result<bool, PortError> {
        self.pause().await;
        let mut held = self.held.lock().unwrap();
        let is_as_read = held.files.get(path) == Some(&read.bytes);
        if is_as_read {
            held.files.insert(path.to_owned(), bytes);
        }
        Ok(is_as_read)
    }
}

fn key(chunk: &HotChunk) -> Key {
    (chunk.dataset.clone(), chunk.bucket, chunk.sort_key())
}

fn note_key(note: &Note) -> (String, String) {
    (note.dataset.clone(), note.parcel.clone())
}

#[async_trait]
impl OfferedIndex for World {
    async fn offer(&self, chunks: Vec<HotChunk>) -> Result<Vec<HotChunk>, PortError> {
        let throttled = *self.throttled.lock().unwrap();
        let (refused, taken): (Vec<_>, Vec<_>) = chunks.into_iter().partition(|_| self.chance(throttled));
        self.put(taken).await?;
        Ok(refused)
    }
}

#[async_trait]
impl HotIndex for World {
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        let put = self.change(|held| {
            held.puts += 1;
            held.chunks.extend(chunks.into_iter().map(|chunk| (key(&chunk), (held.puts, chunk))));
        });
        put.await
    }

    async fn flush(&self) -> Result<(), PortError> {
        Ok(())
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        let mut found = self.chunks();
        found.retain(|chunk| {
            chunk.dataset == query.dataset
                && query.bucket.is_none_or(|bucket| bucket == chunk.bucket)
                && chunk.expires_at > query.now
                && chunk.min_time <= query.to
                && chunk.max_time >= query.from
                && chunk.max_time <= query.below
        });
        found.sort_by_key(|chunk| std::cmp::Reverse(chunk.max_time));
        Ok(Newest { chunks: found, below: None })
    }

    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError> {
        let held = self.held.lock().unwrap();
        let wanted = held.chunks.values().filter(|(_, chunk)| {
            chunk.dataset == query.dataset && query.bucket.is_none_or(|bucket| bucket == chunk.bucket)
        });
        let mut noted: Vec<_> = wanted.map(|(at, chunk)| (PutPosition::of(*at, chunk), chunk.clone())).collect();
        noted.retain(|(position, _)| *position >= query.from);
        noted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = noted.len() > query.most;
        noted.truncate(query.most);
        let end = PutPosition::at(held.puts + 1);
        let up_to = if more { noted.last().unwrap().0.past() } else { end.max(query.from) };
        noted.retain(|(_, chunk)| chunk.expires_at > query.now);
        Ok(Puts { chunks: noted, up_to, more })
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        Ok(PutPosition::at(self.held.lock().unwrap().puts + 1))
    }

    async fn waiting(&self, dataset: &str, now: Micros) -> Result<Vec<Waiting>, PortError> {
        self.pause().await;
        let held = self.held.lock().unwrap();
        let wanted = held.waiting.values().filter(|note| note.dataset == dataset && note.expires_at > now);
        Ok(wanted.map(|note| note.waiting).collect())
    }

    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        Ok(self.held.lock().unwrap().marks.get(dataset).copied())
    }

    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError> {
        self.held.lock().unwrap().marks.insert(dataset.to_owned(), since);
        Ok(())
    }

    async fn expire(&self, now: Micros) -> Result<usize, PortError> {
        let mut held = self.held.lock().unwrap();
        let before = held.chunks.len();
        held.chunks.retain(|_, (_, chunk)| chunk.expires_at > now);
        Ok(before - held.chunks.len())
    }
}

#[async_trait]
impl Notes for World {
    async fn wait(&self, note: &Note) -> Result<(), PortError> {
        let noted = self.change(|held| {
            if !held.drained.contains(&note_key(note)) {
                held.waiting.insert(note_key(note), note.clone());
            }
        });
        noted.await
    }

    async fn drained(&self, dataset: &str, parcel: &str) -> Result<(), PortError> {
        let key = (dataset.to_owned(), parcel.to_owned());
        let noted = self.change(|held| {
            held.waiting.remove(&key);
            held.drained.insert(key);
        });
        noted.await
    }
}

#[async_trait]
impl DataFiles for World {
    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<Put, PortError> {
        let put = self.change(|held| {
            if held.files.contains_key(path) {
                return Put::AlreadyThere;
            }
            held.files.insert(path.to_owned(), bytes);
            Put::Written
        });
        put.await
    }

    async fn get(&self, path: &str) -> Result<Bytes, PortError> {
        let got = self.change(|held| held.files.get(path).cloned()).await?;
        got.ok_or_else(|| PortError::new(Advice::Stop, format!("there is no `{path}`")))
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        unreachable!("parcels go by age")
    }
}

#[async_trait]
impl CommitQueue for World {
    async fn enqueue(&self, path: &str) -> Result<(), PortError> {
        self.change(|held| held.messages.push(path.to_owned())).await
    }

    async fn receive(&self, _: usize, _: Duration) -> Result<Vec<Delivery>, PortError> {
        unreachable!("the service delivers")
    }

    async fn acknowledge(&self, _: &str) -> Result<(), PortError> {
        unreachable!("the service does")
    }
}
