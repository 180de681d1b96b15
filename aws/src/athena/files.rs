//! Whole results, which Athena leaves in S3: CSV with a line of names, every value in quotes; and Parquet, when it is asked for.

use std::sync::Arc;

use alluvium_core::file::{FileFormat, FilePlace, MadeFile, OpenFile, ResultFiles, URL_LIFETIME};
use alluvium_core::ports::{Advice, PortError, StatementId};
use async_trait::async_trait;

use super::{AthenaSql, place};
use crate::s3::signed_get;

/// [`ResultFiles`] that are fetched from S3 itself.
#[derive(Debug, Clone)]
pub struct AthenaFiles {
    engine: Arc<AthenaSql>,
    s3: aws_sdk_s3::Client,
}

impl AthenaFiles {
    /// The results of this engine. [`config::s3`](crate::config::s3) makes the client; whose rights it has are those of a URL.
    pub fn new(engine: Arc<AthenaSql>, s3: aws_sdk_s3::Client) -> Self {
        Self { engine, s3 }
    }
}

#[async_trait]
impl ResultFiles for AthenaFiles {
    async fn place(&self, statement: &StatementId, format: FileFormat) -> Result<FilePlace, PortError> {
        let execution = self.engine.execution(statement).await?;
        let location = place::of_result(&execution).unwrap_or_default();
        // What `show` and `describe` answer is text of another kind.
        let Some((bucket, key)) = place::object(location).filter(|(_, key)| key.ends_with(".csv")) else {
            let why = "Athena leaves no file of this statement, because it is no query; read its rows by `results`";
            return Ok(FilePlace::Nowhere(why.to_owned()));
        };
        if format == FileFormat::Parquet {
            return Ok(FilePlace::OnDemand);
        }
        let name = format!("{}.csv", statement.0);
        signed_get(&self.s3, (bucket, key, None), &name, FileFormat::Csv.media_type(), URL_LIFETIME)
            .await
            .map(FilePlace::At)
    }

    async fn made(&self, statement: &StatementId, _: FileFormat) -> Result<MadeFile, PortError> {
        self.engine.unloaded(&self.s3, statement).await
    }

    async fn open(&self, statement: &StatementId, _: FileFormat) -> Result<Box<dyn OpenFile>, PortError> {
        let message = format!("the result of `{}` is fetched from S3, and from nowhere else", statement.0);
        Err(PortError::new(Advice::Stop, message))
    }
}
