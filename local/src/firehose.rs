//! Amazon Data Firehose's part on a bench that has everything else: reads a stream, hands its records to a function as Firehose
//! does, and follows the documented contract to the letter where it is documented.
//!
//! The emulators' own Firehose keeps none of it, so that a stack proven with theirs would be proven for nothing. This loop reads
//! any [`Stream`] (there a Kinesis stream), invokes any [`Function`] (the deployed transform, or [`InProcess`]) and stores what
//! failed through any [`DataFiles`] (the landing bucket). The loop of one machine is another: [`delivery`](crate::delivery).
//!
//! **What is documented, and kept**
//!
//! - Records are buffered per shard by size (0.2 to 3 MB, default 1) and time (0 to 900 s, default 60), in order; up to five
//!   invocations of a shard are outstanding. Here the default is one, which keeps the order of batches too.
//! - An event and its response have at most 6 MB each. Records that would make a larger event are divided over several; one that
//!   no event can hold goes to the error prefix.
//! - KPL aggregates are taken apart first; their user records are numbered from 0 (`subsequenceNumber`).
//! - A response names each `recordId` exactly once (else `Lambda.MissingRecordId`, `Lambda.DuplicatedRecordId`), with `Dropped`
//!   (delivered), `Ok` (what Firehose would write: it is put under `unexpected/` and counted) or `ProcessingFailed` (the record
//!   goes to the error prefix).
//! - A function that fails, takes longer than five minutes or is throttled is invoked again, three times by default. Then the
//!   batch goes to the error prefix as one object of JSON lines, `processing-failed/YYYY/MM/dd/HH/…`, and the next one follows.
//!
//! **What is not documented, and chosen here**
//!
//! - Every attempt has an `invocationId` of its own, while record ids and their order stay: so was it seen to be, and a function
//!   that relied on the id would be found out.
//! - A response that does not keep the contract is not asked for again (such error objects were seen with `attemptsMade` 1), and
//!   the whole batch fails: it says nothing about any record that could be trusted.
//! - A function that is known to refuse for good ([`Advice::Stop`](alluvium_core::ports::Advice::Stop)) is not asked again either.
//! - The name of an error object, and which records share one: here, those of one batch.
//! - A user record carries the partition key of its aggregate.
//!
//! **Nothing is skipped** without an object under the error prefix that holds it (IN-1): [`drain`] hands these over again. What
//! was delivered is noted per shard ([`Positions`]); after a crash the loop goes on from there, so delivery is at least once.
//!
//! **Not kept**: shards are listed once, at the start, so a stream that is resharded needs a restart; and there is no source backup.
//!
//! Sources: Amazon Data Firehose Developer Guide, "Transform source data in Amazon Data Firehose", "Required parameters for data
//! transformation", "Handle failure in data transformation", "Amazon Data Firehose Quota"; AWS Lambda Developer Guide, "Lambda
//! quotas"; amazon-kinesis-producer, "KPL Aggregated Record Format".

mod buffer;
mod chance;
mod cut;
pub mod drain;
mod event;
pub(crate) mod failed;
mod idle;
mod in_process;
mod invoke;
mod positions;
mod progress;
mod response;
mod settings;
mod settle;
mod shard;

use std::sync::Arc;

use alluvium_core::ShardId;
use alluvium_core::clock::Clock;
use alluvium_core::ports::{DataFiles, Function, PortError, Stream};
use futures::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use chance::Chance;
use cut::Cutter;
pub use failed::ERROR_PREFIX;
use idle::Idle;
pub use in_process::InProcess;
use invoke::Invoker;
pub use positions::{Positions, PositionsError};
pub use progress::{FirehoseProgress, FirehoseReport};
pub use settings::{FirehoseSettings, FirehoseSettingsError, Names};
use settle::Settler;
pub use settle::UNEXPECTED_PREFIX;
use shard::{ShardReader, Shared};

/// What the loop works on.
pub struct Firehose {
    /// Where records come from.
    pub stream: Arc<dyn Stream>,
    /// What takes them.
    pub function: Arc<dyn Function>,
    /// Where goes what it does not take.
    pub landing: Arc<dyn DataFiles>,
    /// How far each shard is dealt with.
    pub positions: Positions,
    /// How the loop buffers, invokes and gives up.
    pub settings: FirehoseSettings,
    /// What tells the time of error objects.
    pub clock: Arc<dyn Clock>,
    /// What the loop has done so far, for others to watch.
    pub progress: Arc<FirehoseProgress>,
}

/// Why the loop ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum FirehoseError {
    /// The loop does not run with these settings.
    #[error(transparent)]
    Settings(#[from] FirehoseSettingsError),
    /// The stream cannot be read.
    #[error("the stream cannot be read: {0}")]
    Stream(#[source] PortError),
    /// What failed cannot be set aside.
    #[error("records that were not processed could not be set aside: {0}")]
    Landing(#[source] PortError),
    /// How far a shard is dealt with cannot be noted.
    #[error(transparent)]
    Positions(#[from] PositionsError),
}

impl Firehose {
    /// Delivers until `stop` is cancelled or the stream is idle, and everything in the buffers is delivered or set aside.
    ///
    /// # Errors
    ///
    /// When the stream is damaged, or the landing store or the file of positions refuse for good. What was not delivered or set
    /// aside comes again at the next start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: what was handed over and not noted is handed over again at the next start.
    pub async fn run(self, stop: CancellationToken) -> Result<FirehoseReport, FirehoseError> {
        self.settings.check()?;
        let settings = Arc::new(self.settings);
        let chance = Arc::new(Chance::seeded(settings.seed));
        let shards = self.stream.shards().await.map_err(FirehoseError::Stream)?;
        let shared = Arc::new(Shared {
            stream: self.stream,
            cutter: Cutter::new(settings.clone(), chance.number()),
            idle: Idle::new(shards.len(), settings.until_idle),
            chance: chance.clone(),
            progress: self.progress.clone(),
            settings: settings.clone(),
            stop,
        });
        let invoker = Invoker { function: self.function, settings, chance, progress: self.progress.clone() };
        let settler = Settler { invoker, landing: self.landing, clock: self.clock };
        let of_shard = |(at, shard)| deliver(shared.clone(), at, shard, &settler, &self.positions);
        futures::future::try_join_all(shards.iter().map(|state| &state.shard).enumerate().map(of_shard)).await?;
        Ok(self.progress.report())
    }
}

/// Delivers one shard.
async fn deliver(
    shared: Arc<Shared>,
    at: usize,
    shard: &ShardId,
    settler: &Settler,
    positions: &Positions,
) -> Result<(), FirehoseError> {
    let outstanding = shared.settings.outstanding;
    let reader = ShardReader::new(shared, at, shard.clone(), positions.of(shard).await);
    let batches = futures::stream::try_unfold(reader, |mut reader| async {
        Ok::<_, FirehoseError>(reader.next().await?.map(|batch| (batch, reader)))
    });
    batches
        .map_ok(|batch| async {
            let through = batch.through;
            settler.settle(batch).await.map(|()| through)
        })
        .try_buffered(outstanding)
        .try_for_each(|through| async move {
            match through {
                Some(through) => Ok(positions.advance(shard, through).await?),
                None => Ok(()),
            }
        })
        .await
}

#[cfg(test)]
mod tests;
