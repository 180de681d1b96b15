//! Erasure on a stage: an owner's rows leave the tables, the hot index and the results of statements.
//!
//! The tables go as on one machine: the erasure is registered in their logs, each file with such rows is written anew, and what is committed
//! later is compared with it by the commit function. The transform knows of no erasure. So what Firehose delivers after it has begun may come
//! into the hot index once more, for as long as the stream holds what arrived before: the hot index is looked through once the buffers were
//! handed over, and again whenever open erasures are looked after, which the function `maintain` does by schedule. So is what waits for the hot
//! index in its buffer.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::levelled::{BufferedHotIndex, DRAIN, StoredParcels};
use alluvium_aws::{DynamoHotIndex, config, store};
use alluvium_core::clock::{Micros, micros};
use alluvium_core::{Clock as _, SystemClock};
use alluvium_lake::{Beside, ErasureReport, HOT_INDEX, OpenErasure, StoreErasure, Target};
use alluvium_local::erasure::EraseRequest;
use alluvium_local::firehose::ERROR_PREFIX;
use anyhow::Context as _;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::lake::{StageMaintenance, retries};
use super::{OnStage, StageSettings};
use crate::output;

/// How much longer than Firehose's buffer a record may need from the stream into the hot index: the transform's 300 s are the most, and a batch
/// takes seconds.
const DELIVERY: Duration = Duration::from_secs(15);
/// How long DynamoDB keeps points in time of a table. Amazon DynamoDB Developer Guide, "Point-in-time recovery": 35 days.
const RECOVERY: Duration = Duration::from_secs(35 * 24 * 3_600);
/// How much later than it says a lifecycle rule acts. Amazon S3 User Guide, "Managing your storage lifecycle": the next midnight UTC.
const LIFECYCLE: Duration = Duration::from_secs(24 * 3_600);
/// The most objects of one request. Amazon S3 API Reference, `DeleteObjects`.
const OBJECTS: usize = 1_000;
/// How often, and with what pauses, it is tried to delete files at once before that is left to those who look after open erasures.
const DELETIONS: u32 = 10;
const BETWEEN_DELETIONS: Duration = Duration::from_secs(1);

/// Erases owners of one stage.
pub struct StageEraser {
    stage: StageSettings,
    maintenance: StageMaintenance,
    beside: Beside,
    s3: aws_sdk_s3::Client,
}

impl StageEraser {
    /// Of this stage. Nothing is asked of it yet.
    ///
    /// # Errors
    ///
    /// When the lake cannot be opened.
    pub fn open(on: &OnStage) -> anyhow::Result<Self> {
        let clock = Arc::new(SystemClock);
        let (lake, _) = store::of_lake(&on.aws, &on.stage.lake, clock.clone())?;
        let set_aside = format!("{}/{}", on.stage.landing, ERROR_PREFIX.trim_end_matches('/'));
        let set_aside = set_aside.parse().map_err(anyhow::Error::msg)?;
        let dynamo = aws_sdk_dynamodb::Client::new(&on.aws);
        let hot = BufferedHotIndex {
            hot: Arc::new(DynamoHotIndex::new(dynamo, &on.stage.hot_table, clock.clone(), retries())),
            parcels: Arc::new(StoredParcels::new(lake)),
            drain: DRAIN,
            clock: clock.clone(),
        };
        Ok(Self {
            stage: on.stage.clone(),
            maintenance: on.lake()?.maintenance()?,
            beside: Beside {
                hot: Arc::new(hot),
                set_aside: store::of_lake(&on.aws, &set_aside, clock)?.0,
                stream: on.stage.kept.stream,
            },
            s3: config::s3(&on.aws),
        })
    }

    /// Erases an owner: nothing of what had arrived before can be read any more when it returns, unless by who reads older versions of the
    /// tables or one of the copies that the report names.
    ///
    /// # Errors
    ///
    /// When the request is wrong, or a store fails. What was begun is open then, and goes on when open erasures are looked after.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves an erasure that goes on when it is looked after, or one that was never begun.
    pub async fn erase(&self, request: EraseRequest) -> anyhow::Result<ErasureReport> {
        let at_once = request.at_once;
        let upkeep = self.maintenance.upkeep();
        let id = upkeep.begin_erasure(target(request)?, at_once).await?;
        let open = upkeep.open_erasures().await?.into_iter().find(|open| open.id == id);
        let open = open.context("an erasure that was just begun is not there")?;
        upkeep.erase(id).await?;
        let results = self.forget_results().await?;
        let wait = self.stage.kept.buffer + DELIVERY;
        output::note(format!("waiting {} s for what Firehose has not handed over yet", wait.as_secs()));
        tokio::time::sleep(wait).await;
        let taken = upkeep.take_out_of_hot(&*self.beside.hot, std::slice::from_ref(&open)).await?;
        let mut report = self.report(&open).await?;
        // A file goes once the ledger has copied the commit that took it out, which the commit function does at its next commit.
        for _ in 0..DELETIONS {
            if !at_once || report.stores.iter().all(|store| store.ends.is_none()) {
                break;
            }
            tokio::time::sleep(BETWEEN_DELETIONS).await;
            upkeep.erase(id).await?;
            report = self.report(&open).await?;
        }
        let mut report = self.with_copies(report).await?;
        for (name, files) in [(RESULTS, results), (WAITING, taken.waiting_objects)] {
            report.stores.iter_mut().filter(|store| store.store == name).for_each(|store| store.files = Some(files));
        }
        Ok(report)
    }

    /// What an erasure would take out of what is committed by now.
    ///
    /// # Errors
    ///
    /// When the request is wrong, or a store fails.
    pub async fn preview(&self, request: EraseRequest) -> anyhow::Result<ErasureReport> {
        let target = target(request)?;
        let mut report = self.maintenance.upkeep().preview_erasure(target.clone()).await?;
        let counted = self.maintenance.upkeep().count_in_hot(&*self.beside.hot, &target).await?;
        for hot in report.stores.iter_mut().filter(|store| store.store == HOT_INDEX) {
            hot.rows = Some(counted.rows_of(0));
        }
        let mut report = self.with_copies(report).await?;
        for waiting in report.stores.iter_mut().filter(|store| store.store == WAITING) {
            waiting.files = Some(counted.waiting_objects);
        }
        Ok(report)
    }

    /// Goes on with every erasure that is open, and says what has become of all so far, the oldest first.
    ///
    /// # Errors
    ///
    /// When a store fails; one erasure that fails holds up no other.
    pub async fn look_after(&self) -> anyhow::Result<Vec<ErasureReport>> {
        let upkeep = self.maintenance.upkeep();
        let looked = upkeep.look_after_erasures(&self.beside).await?;
        if let Some((_, error)) = looked.failed.into_iter().next() {
            return Err(error.into());
        }
        let mut reports = Vec::new();
        for report in upkeep.erasure_reports().await? {
            reports.push(self.with_copies(report).await?);
        }
        Ok(reports)
    }

    async fn report(&self, open: &OpenErasure) -> anyhow::Result<ErasureReport> {
        let name = open.id.simple().to_string();
        let reports = self.maintenance.upkeep().erasure_reports().await?;
        let report = reports.into_iter().find(|report| report.id.as_ref() == Some(&name));
        report.context("an erasure that was begun is not there any more")
    }

    /// Removes the results of every statement; returns how many objects they were. Statements that run leave theirs.
    async fn forget_results(&self) -> anyhow::Result<u64> {
        let bucket = self.stage.results.bucket();
        let cannot = || format!("cannot remove the results of statements from {}", self.stage.results);
        let mut pages = self.s3.list_objects_v2().bucket(bucket).into_paginator().send();
        let mut removed = 0;
        while let Some(page) = pages.next().await {
            let page = page.with_context(cannot)?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            let objects =
                keys.map(|key| ObjectIdentifier::builder().key(key).build()).collect::<Result<Vec<_>, _>>()?;
            for objects in objects.chunks(OBJECTS) {
                let delete = Delete::builder().set_objects(Some(objects.to_vec())).quiet(true).build()?;
                let deleted =
                    self.s3.delete_objects().bucket(bucket).delete(delete).send().await.with_context(cannot)?;
                if let Some(failed) = deleted.errors().first() {
                    anyhow::bail!("{}: {}", cannot(), failed.message().unwrap_or("the service gives no reason"));
                }
                removed += objects.len() as u64;
            }
        }
        Ok(removed)
    }

    /// How many objects lie where Firehose puts what it could not hand over.
    async fn set_aside(&self) -> anyhow::Result<u64> {
        let list = self.s3.list_objects_v2().bucket(self.stage.landing.bucket()).prefix(ERROR_PREFIX);
        let mut pages = list.into_paginator().send();
        let mut objects = 0;
        while let Some(page) = pages.next().await {
            objects += page.with_context(|| format!("cannot list {}", self.stage.landing))?.contents().len() as u64;
        }
        Ok(objects)
    }

    /// Adds the copies that a stage keeps and no erasure reaches, with their ends; of a closed erasure those that have not ended yet.
    async fn with_copies(&self, mut report: ErasureReport) -> anyhow::Result<ErasureReport> {
        let now = SystemClock.now_micros();
        let kept = &self.stage.kept;
        let asked = report.requested_at;
        let of_stream = later(asked, kept.stream);
        if let Some(hot) = report.stores.iter_mut().find(|store| store.store == HOT_INDEX) {
            hot.ends = Some(of_stream);
        }
        let objects_end = report.stores.iter().filter_map(|store| store.ends).max().unwrap_or(asked).max(now);
        let mut add = |store: &str, ends| {
            report.stores.push(StoreErasure {
                store: store.to_owned(),
                ends,
                is_done: true,
                ..StoreErasure::default()
            });
        };
        add(WAITING, None);
        add("removed objects of the lake", Some(later(objects_end, kept.removed + LIFECYCLE)));
        add("hot index, points in time", Some(later(of_stream, RECOVERY)));
        add(RESULTS, Some(later(asked, kept.results + LIFECYCLE)));
        add("stream", Some(of_stream));
        add("source backup", Some(later(of_stream, kept.backup + LIFECYCLE)));
        for store in &mut report.stores {
            store.ends = store.ends.filter(|ends| *ends > now && report.closed_at.is_none_or(|closed| *ends > closed));
        }
        if report.closed_at.is_none() {
            let files = self.set_aside().await?;
            let is_done = files == 0;
            let store = "what Firehose set aside".to_owned();
            report.stores.push(StoreErasure { store, files: Some(files), is_done, ..StoreErasure::default() });
            report.open_until = report.open_until.max(of_stream);
        }
        Ok(report)
    }
}

/// The results of statements, as a report names them.
const RESULTS: &str = "results of statements";
/// The parcels of chunks that wait for the hot index, or did, and are kept for a while.
const WAITING: &str = "chunks that wait for the hot index";

fn target(request: EraseRequest) -> anyhow::Result<Target> {
    anyhow::ensure!(
        !request.owner.is_empty(),
        "an owner has at least one character; what nobody owns cannot be erased by owner"
    );
    Ok(Target { owner: request.owner, until: SystemClock.now_micros(), dataset: request.dataset })
}

fn later(time: Micros, by: Duration) -> Micros {
    time.saturating_add(micros(by))
}
