//! Reports' results in S3.
//!
//! ```text
//! <root>/<report>/kept.json                          what is known of the report: its results, and its last failure
//! <root>/<report>/csv/20261128T1000Z.csv             the rows of the window that begins then
//! <root>/<report>/parquet/20261128T1000Z.parquet     the same: the folder is a table for Athena and others
//! ```
//!
//! **RP-1.** A window has a result when `kept.json` names it, with the versions of its two objects: files are put first, and what is read is what was
//! named, whatever was put since. `kept.json` is changed only as it was read (`If-Match`), so that of two who make results none forgets the other's.
//! Nothing is deleted here: objects go by age, and results as old as that are named no more.

mod kept;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::clock::{Micros, micros};
use alluvium_core::file::{FileFormat, FilePlace, OpenFile, URL_LIFETIME};
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::report::{ReportResult, ReportResults, ReportStatus, ResultsPage, WindowId};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::future::try_join_all;

pub use kept::{About, CATCH_UP, KeptError, KeptReport, KeptResult};

use crate::error::port_error;
use crate::s3::{LakeUrl, ObjectFile, signed_get};

/// How often a change of what is known is tried when others change it too. Our own.
const TRIES: usize = 10;
const AGAIN: Duration = Duration::from_millis(50);

/// How much of a file is read at a time.
const READ_BYTES: u64 = 1 << 20;

/// Reports' results under one root in a bucket that keeps versions.
#[derive(Debug, Clone)]
pub struct S3Reports {
    client: Client,
    root: LakeUrl,
    clock: Arc<dyn Clock>,
    /// How long objects are kept.
    kept: Duration,
}

impl S3Reports {
    /// Those under `root`, whose objects the bucket removes after `kept`. [`config::s3`](crate::config::s3) makes the client.
    pub fn new(client: Client, root: LakeUrl, clock: Arc<dyn Clock>, kept: Duration) -> Self {
        Self { client, root, clock, kept }
    }

    /// What is known of a report, after its file was read: `about` is what that says. It is first seen now if it never was.
    ///
    /// # Errors
    ///
    /// When it cannot be read or written.
    pub async fn know(&self, report: &str, about: &About) -> Result<KeptReport, PortError> {
        if let Some((known, _)) = self.read(report).await?
            && known.about == *about
        {
            return Ok(known);
        }
        self.change(report, |kept| kept.about = about.clone()).await
    }

    /// Makes these files the result of its window, and forgets that the report failed.
    ///
    /// # Errors
    ///
    /// When they cannot be stored: the result that was there is there then as before.
    pub async fn publish(
        &self,
        report: &str,
        result: &ReportResult,
        csv: Bytes,
        parquet: Bytes,
    ) -> Result<(), PortError> {
        let window = result.window();
        let csv = self.put(report, window, FileFormat::Csv, csv).await?;
        let parquet = self.put(report, window, FileFormat::Parquet, parquet).await?;
        let result = KeptResult { result: result.clone(), csv_version: csv, parquet_version: parquet };
        self.change(report, |kept| {
            kept.failure = None;
            kept.put(result.clone());
        })
        .await
        .map(drop)
    }

    /// Notes that a run failed.
    ///
    /// # Errors
    ///
    /// When it cannot be noted.
    pub async fn fail(&self, report: &str, window: WindowId, error: &str) -> Result<(), PortError> {
        let at = self.clock.now_micros();
        self.change(report, |kept| kept.failed(window, at, error)).await.map(drop)
    }

    /// Notes the columns that the table of a report has.
    ///
    /// # Errors
    ///
    /// When it cannot be noted.
    pub async fn registered(&self, report: &str, columns: &str) -> Result<(), PortError> {
        self.change(report, |kept| kept.table = Some(columns.to_owned())).await.map(drop)
    }

    /// Where the Parquet files of a report lie, with a slash at its end.
    pub fn table_location(&self, report: &str) -> String {
        format!("{}/{report}/parquet/", self.root)
    }

    async fn put(
        &self,
        report: &str,
        window: WindowId,
        format: FileFormat,
        bytes: Bytes,
    ) -> Result<Option<String>, PortError> {
        let key = self.file_key(report, window, format)?;
        let put = self.client.put_object().bucket(self.root.bucket()).key(&key).content_type(format.media_type());
        let put = put.body(ByteStream::from(bytes)).send().await;
        let put = put.map_err(|error| port_error(format!("cannot store {}", self.root.object(&key)), error))?;
        Ok(put.version_id)
    }

    /// Changes what is known of a report, and what is too old to be there goes.
    async fn change(&self, report: &str, change: impl Fn(&mut KeptReport)) -> Result<KeptReport, PortError> {
        let key = self.key(&format!("{report}/kept.json"))?;
        let what = || format!("cannot store {}", self.root.object(&key));
        for _ in 0..TRIES {
            let now = self.clock.now_micros();
            let (mut kept, tag) = match self.read(report).await? {
                Some((kept, tag)) => (kept, tag),
                None => (KeptReport::new(now), None),
            };
            change(&mut kept);
            kept.forget_before(now.saturating_sub(micros(self.kept)));
            let bytes = serde_json::to_vec(&kept).map_err(|error| PortError::because(Advice::Stop, what(), error))?;
            let put = self.client.put_object().bucket(self.root.bucket()).key(&key).content_type("application/json");
            let put = match &tag {
                Some(tag) => put.if_match(tag),
                None => put.if_none_match("*"),
            };
            match put.body(ByteStream::from(bytes)).send().await {
                Ok(_) => return Ok(kept),
                Err(error)
                    if error.raw_response().is_some_and(|raw| matches!(raw.status().as_u16(), 404 | 409 | 412)) =>
                {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(port_error(what(), error)),
            }
        }
        Err(PortError::new(Advice::Retry, format!("{}: others change it all the time", what())))
    }

    /// What is known of a report, and the tag of the object that says so; `None`: there is no such report.
    async fn read(&self, report: &str) -> Result<Option<(KeptReport, Option<String>)>, PortError> {
        let Ok(key) = self.key(&format!("{report}/kept.json")) else { return Ok(None) };
        let what = || format!("cannot read {}", self.root.object(&key));
        let got = match self.client.get_object().bucket(self.root.bucket()).key(&key).send().await {
            Ok(got) => got,
            Err(error) => match error.as_service_error() {
                Some(GetObjectError::NoSuchKey(_)) => return Ok(None),
                _ if error.code() == Some("NoSuchKey") => return Ok(None),
                _ => return Err(port_error(what(), error)),
            },
        };
        let tag = got.e_tag.clone();
        let bytes = got.body.collect().await.map_err(|error| PortError::because(Advice::Retry, what(), error))?;
        let kept =
            KeptReport::decode(&bytes.into_bytes()).map_err(|error| PortError::because(Advice::Stop, what(), error))?;
        Ok(Some((kept, tag)))
    }

    /// The names of the folders.
    async fn names(&self) -> Result<Vec<String>, PortError> {
        let prefix = if self.root.prefix().is_empty() { String::new() } else { format!("{}/", self.root.prefix()) };
        let list = self.client.list_objects_v2().bucket(self.root.bucket()).prefix(&prefix).delimiter("/");
        let mut pages = list.into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| port_error(format!("cannot list {}", self.root), error))?;
            let folders = page.common_prefixes().iter().filter_map(|folder| folder.prefix());
            names.extend(
                folders.filter_map(|folder| folder.strip_prefix(&prefix)?.strip_suffix('/').map(str::to_owned)),
            );
        }
        names.sort_unstable();
        Ok(names)
    }

    async fn find(&self, report: &str, window: WindowId) -> Result<Option<KeptResult>, PortError> {
        Ok(self.read(report).await?.and_then(|(kept, _)| kept.result(window).cloned()))
    }

    fn key(&self, path: &str) -> Result<String, PortError> {
        self.root.key(path).map_err(|why| PortError::new(Advice::Stop, why))
    }

    fn file_key(&self, report: &str, window: WindowId, format: FileFormat) -> Result<String, PortError> {
        self.key(&format!("{report}/{0}/{window}.{0}", format.ending()))
    }
}

#[async_trait]
impl ReportResults for S3Reports {
    async fn reports(&self) -> Result<Vec<ReportStatus>, PortError> {
        let now: Micros = self.clock.now_micros();
        let status = async |name: String| {
            let known = self.read(&name).await?;
            Ok::<_, PortError>(known.map(|(kept, _)| kept.status(name, now)))
        };
        let read = try_join_all(self.names().await?.into_iter().map(status)).await?;
        Ok(read.into_iter().flatten().collect())
    }

    async fn results(
        &self,
        report: &str,
        before: Option<WindowId>,
        most: usize,
    ) -> Result<Option<ResultsPage>, PortError> {
        let Some((kept, _)) = self.read(report).await? else { return Ok(None) };
        let older = || kept.results.iter().filter(|kept| before.is_none_or(|before| kept.result.window() < before));
        let results = older().take(most).map(|kept| kept.result.clone()).collect();
        Ok(Some(ResultsPage { results, more: older().count() > most }))
    }

    async fn place(&self, report: &str, window: WindowId, format: FileFormat) -> Result<Option<FilePlace>, PortError> {
        let Some(kept) = self.find(report, window).await? else { return Ok(None) };
        let key = self.file_key(report, window, format)?;
        let object = (self.root.bucket(), key.as_str(), kept.version(format));
        let name = format!("{report}-{window}.{}", format.ending());
        let url = signed_get(&self.client, object, &name, format.media_type(), URL_LIFETIME).await?;
        Ok(Some(FilePlace::At(url)))
    }

    async fn open(
        &self,
        report: &str,
        window: WindowId,
        format: FileFormat,
    ) -> Result<Option<Box<dyn OpenFile>>, PortError> {
        let Some(kept) = self.find(report, window).await? else { return Ok(None) };
        let key = self.file_key(report, window, format)?;
        let facts = kept.result.file(format);
        Ok(Some(Box::new(ObjectFile {
            client: self.client.clone(),
            bucket: self.root.bucket().to_owned(),
            key,
            version: kept.version(format).map(str::to_owned),
            bytes: facts.bytes,
            tag: facts.sha256.clone(),
            part_bytes: READ_BYTES,
        })))
    }
}
