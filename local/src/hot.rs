//! The hot index in one redb file: the chunks of newest rows, kept so that one range scan finds a bucket's newest.
//!
//! The index is rebuilt from the log and the lake, so it trades durability for speed: a put is visible at once and durable at the
//! next [`flush`](HotIndex::flush). A process that dies loses the puts since then; the log hands their batches out again,
//! because the committer flushes the index before it moves the position to resume from.
//!
//! Chunks of many batches are made chunks of few sources when they are some seconds old ([`cluster`](RedbHotIndex::cluster)): the newest rows
//! of one source lie in a few then.
//!
//! A file that redb cannot open is set aside and an empty index takes its place; its *complete since* marks are unset then, so
//! that readers turn to the lake ([`Opened::SetAside`]).

mod cluster;
mod error;
mod layout;
mod newest;
mod open;
mod puts;
mod rewrite;
mod tables;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts};
use alluvium_core::hot_block::HotBlockError;
use alluvium_core::ports::{HotIndex, HotSnapshot, PortError};
use async_trait::async_trait;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::runtime::{Handle, RuntimeFlavor};

use cluster::Clustering;
pub use error::HotIndexError;
use layout::Put;
use open::Files;
pub use open::Opened;

/// How many buckets a dataset's sources are spread over: more than an index that pays by the item would have, for a read touches all chunks
/// of a bucket in the stretch of time that it reaches over, and decodes the smaller ones sooner.
pub const BUCKETS: u16 = 256;

/// Chunks: [`layout::place`] to what is known of them without their blocks, so that a walk over a bucket passes many in a page.
const CHUNKS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("chunks.v3");
/// Their blocks, by when they were put, which is different for each: they are written one after the other.
const BLOCKS: TableDefinition<Put, &[u8]> = TableDefinition::new("blocks.v3");
/// Where chunks lie: [`layout::name`] to the times within the place, so that one that is put again is found whatever its times were.
const NAMES: TableDefinition<&[u8], [u8; 16]> = TableDefinition::new("names.v3");
/// When chunks expire, and when they were put.
const EXPIRY: TableDefinition<(Micros, Put), ()> = TableDefinition::new("expiry.v3");
/// In which order chunks were put: when, to [`layout::place`].
const PUTS: TableDefinition<Put, &[u8]> = TableDefinition::new("puts.v3");
/// When the last chunk was put: every later put has a later time, whatever the clock says.
const LAST_PUT: TableDefinition<(), i64> = TableDefinition::new("last_put.v3");
/// The marks that say since when a dataset is complete: dataset to event time.
const COMPLETE_SINCE: TableDefinition<&str, i64> = TableDefinition::new("complete_since.v3");

/// A question of one bucket for no more chunks than this, and which passes no more than that many others, is answered in a millisecond or so.
const QUICK_CHUNKS: usize = 256;
const QUICK_PASSED: usize = 1_024;

/// The most chunks that one transaction of [`HotIndex::expire`] forgets, so that writers get their turn in between.
const EXPIRE_AT_ONCE: usize = 1_000;

/// [`HotIndex`] over one redb file.
#[derive(Debug, Clone)]
pub struct RedbHotIndex {
    /// Written to when another file takes the place of the one that it is of.
    database: Arc<RwLock<Arc<Database>>>,
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
    /// Up to when it was told what was put: later puts have later times. Held while chunks are put.
    told: Arc<Mutex<Micros>>,
    clustering: Arc<Mutex<Clustering>>,
    /// The marks, as they are in the file.
    complete_since: Arc<RwLock<HashMap<String, Micros>>>,
}

impl RedbHotIndex {
    /// Opens the index in the folder `dir`, making the folder and the file where they are missing. `cache_bytes` bounds what redb
    /// keeps in memory; `clock` says when chunks are put. Blocks while an unclean file is repaired.
    ///
    /// # Errors
    ///
    /// When another process has it open, or the folder cannot be read or written. A damaged file is no error: see
    /// [`Opened::SetAside`].
    pub fn open(dir: &Path, cache_bytes: usize, clock: Arc<dyn Clock>) -> Result<(Self, Opened), HotIndexError> {
        let files = Files { dir: dir.to_owned(), cache_bytes };
        let (database, opened) = open::open(&files)?;
        let told = Arc::new(Mutex::new(Micros::MIN));
        let complete_since = Arc::new(RwLock::new(open::marks(&database)?));
        let (database, files) = (Arc::new(RwLock::new(Arc::new(database))), Arc::new(files));
        Ok((Self { database, files, clock, told, clustering: Arc::default(), complete_since }, opened))
    }

    /// Leaves of each chunk, expired ones included, what `change` makes of it; nothing else can be read in the index's folder
    /// afterwards. Readers and writers wait meanwhile.
    ///
    /// # Errors
    ///
    /// Those of `change`, and when a file cannot be written or made durable. Rewriting once more mends that.
    pub async fn rewrite(
        &self,
        change: impl FnMut(HotChunk) -> Result<Option<HotChunk>, HotBlockError> + Send + 'static,
    ) -> Result<(), PortError> {
        let (database, files) = (self.database.clone(), self.files.clone());
        let mut change = change;
        let change = move |chunk| change(chunk).map_err(HotIndexError::from);
        let outcome = tokio::task::spawn_blocking(move || rewrite::rewrite(&database, &files, change)).await;
        told("be written anew", outcome)
    }

    /// Makes chunks that were put before `until` chunks of few sources, for as long as a few milliseconds; says whether there is more to do.
    /// What is read stays the same, but for the order of what was put within seconds. Run one at a time.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written.
    pub async fn cluster(&self, until: Micros) -> Result<bool, PortError> {
        let clustering = self.clustering.clone();
        self.blocking("cluster its chunks", move |database| {
            clustering.lock().unwrap_or_else(PoisonError::into_inner).some(database, until)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Database) -> Result<T, HotIndexError> + Send + 'static,
    ) -> Result<T, PortError> {
        let database = self.database.clone();
        let work = move || work(&database.read().unwrap_or_else(PoisonError::into_inner));
        told(what, tokio::task::spawn_blocking(work).await)
    }

    /// The index as it is now.
    async fn now(&self) -> Result<Moment, PortError> {
        let begin = |database: &Arc<Database>| Ok(Moment::of(database.begin_read()?, database.clone()));
        let begun = self.database.try_read().ok().map(|database| begin(&database));
        let begun = match begun {
            Some(begun) => Ok(begun),
            // It is being written anew.
            None => {
                let database = self.database.clone();
                let begin = move || begin(&database.read().unwrap_or_else(PoisonError::into_inner));
                tokio::task::spawn_blocking(begin).await
            }
        };
        told("be read", begun)
    }
}

/// The index as it was at a moment.
#[derive(Clone)]
struct Moment(Arc<(ReadTransaction, Arc<Database>)>);

impl Moment {
    /// A file that was closed could not be read any more.
    fn of(reading: ReadTransaction, database: Arc<Database>) -> Self {
        Self(Arc::new((reading, database)))
    }

    /// What little has to be read for; `None`: it is more.
    fn quickly(&self, query: &HotQuery) -> Result<Option<Newest>, HotIndexError> {
        if query.bucket.is_none() || query.most > QUICK_CHUNKS {
            return Ok(None);
        }
        newest::newest(&self.0.0, query, QUICK_PASSED)
    }
}

#[async_trait]
impl HotSnapshot for Moment {
    /// On the thread that asks, where that is one of several: a read takes less time than another thread takes to begin it on a machine whose cores
    /// are busy. What takes longer lets others have the worker.
    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        let moment = self.clone();
        let asked = query.clone();
        let whole = move || newest::newest(&moment.0.0, &asked, usize::MAX).map(Option::unwrap_or_default);
        let read = match Handle::current().runtime_flavor() {
            RuntimeFlavor::MultiThread => match self.quickly(&query) {
                Ok(Some(found)) => Ok(Ok(found)),
                Ok(None) => Ok(tokio::task::block_in_place(whole)),
                Err(error) => Ok(Err(error)),
            },
            _ => tokio::task::spawn_blocking(whole).await,
        };
        told("be read", read)
    }
}

impl RedbHotIndex {
    /// The sum of what `of` says of each chunk, expired ones included.
    ///
    /// # Errors
    ///
    /// Those of `of`, and when the file cannot be read.
    pub async fn sum(
        &self,
        of: impl Fn(&HotChunk) -> Result<u64, HotBlockError> + Send + 'static,
    ) -> Result<u64, PortError> {
        self.blocking("be read", move |database| {
            let reading = database.begin_read()?;
            let (chunks, blocks) = (reading.open_table(CHUNKS)?, reading.open_table(BLOCKS)?);
            let mut sum = 0;
            for entry in chunks.iter()? {
                let (place, known) = entry?;
                sum += of(&tables::chunk(place.value(), layout::Known::read(known.value())?, &blocks)?)?;
            }
            Ok(sum)
        })
        .await
    }
}

/// What became of work on another thread.
fn told<T>(
    what: &'static str,
    outcome: Result<Result<T, HotIndexError>, tokio::task::JoinError>,
) -> Result<T, PortError> {
    let outcome = outcome.unwrap_or_else(|stopped| Err(HotIndexError::Stopped(stopped.to_string())));
    outcome.map_err(|error| PortError::because(error.advice(), format!("the hot index cannot {what}"), error))
}

#[async_trait]
impl HotIndex for RedbHotIndex {
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        if chunks.is_empty() {
            return Ok(());
        }
        let (clock, told) = (self.clock.clone(), self.told.clone());
        let store = move |database: &Database| {
            let told = told.lock().unwrap_or_else(PoisonError::into_inner);
            tables::put(database, &chunks, clock.now_micros().max(*told))
        };
        self.blocking("store chunks", store).await
    }

    async fn flush(&self) -> Result<(), PortError> {
        // An empty commit makes every one before it durable.
        self.blocking("make its chunks durable", |database| write(database, Durability::Immediate, |_| Ok(()))).await
    }

    fn buckets(&self) -> u16 {
        BUCKETS
    }

    async fn newest(&self, query: HotQuery) -> Result<Newest, PortError> {
        self.now().await?.newest(query).await
    }

    async fn snapshot(&self) -> Result<Option<Arc<dyn HotSnapshot>>, PortError> {
        Ok(Some(Arc::new(self.now().await?)))
    }

    async fn puts(&self, query: PutQuery) -> Result<Puts, PortError> {
        let (clock, told) = (self.clock.clone(), self.told.clone());
        let tell =
            move |database: &Database| puts::puts(&puts::Reading::begin(database, &told, clock.as_ref())?, &query);
        self.blocking("say what was put", tell).await
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        let (clock, told) = (self.clock.clone(), self.told.clone());
        let end = move |database: &Database| Ok(puts::Reading::begin(database, &told, clock.as_ref())?.end);
        self.blocking("say where its puts end", end).await
    }

    async fn complete_since(&self, dataset: &str) -> Result<Option<Micros>, PortError> {
        Ok(self.complete_since.read().unwrap_or_else(PoisonError::into_inner).get(dataset).copied())
    }

    async fn set_complete_since(&self, dataset: &str, since: Micros) -> Result<(), PortError> {
        let (dataset, marks) = (dataset.to_owned(), self.complete_since.clone());
        self.blocking("store since when it is complete", move |database| {
            let mut marks = marks.write().unwrap_or_else(PoisonError::into_inner);
            // Durable at once: a mark that a crash moved back would hide a gap.
            write(database, Durability::Immediate, |transaction| {
                transaction.open_table(COMPLETE_SINCE)?.insert(dataset.as_str(), since)?;
                Ok(())
            })?;
            marks.insert(dataset, since);
            Ok(())
        })
        .await
    }

    async fn expire(&self, now: Micros) -> Result<usize, PortError> {
        let mut forgotten = 0;
        loop {
            let some = self.blocking("forget expired chunks", move |database| tables::expire(database, now)).await?;
            forgotten += some;
            if some < EXPIRE_AT_ONCE {
                return Ok(forgotten);
            }
        }
    }
}

fn write<T>(
    database: &Database,
    durability: Durability,
    work: impl FnOnce(&WriteTransaction) -> Result<T, HotIndexError>,
) -> Result<T, HotIndexError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(durability)?;
    let outcome = work(&transaction)?;
    transaction.commit()?;
    Ok(outcome)
}

#[cfg(test)]
mod tests;
