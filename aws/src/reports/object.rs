//! One version of an object, read piece by piece.

use alluvium_core::file::OpenFile;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::report::FileFacts;
use async_trait::async_trait;
use aws_sdk_s3::Client;
use bytes::Bytes;

use crate::error::port_error;

/// How much is read at a time.
const READ_BYTES: u64 = 1 << 20;

pub(super) struct ObjectFile {
    client: Client,
    bucket: String,
    key: String,
    /// `None`: the bucket keeps none.
    version: Option<String>,
    facts: FileFacts,
}

impl ObjectFile {
    pub(super) fn new(client: Client, bucket: &str, key: String, version: Option<String>, facts: FileFacts) -> Self {
        Self { client, bucket: bucket.to_owned(), key, version, facts }
    }
}

#[async_trait]
impl OpenFile for ObjectFile {
    fn bytes(&self) -> u64 {
        self.facts.bytes
    }

    fn tag(&self) -> &str {
        &self.facts.sha256
    }

    async fn read(&self, offset: u64) -> Result<Bytes, PortError> {
        let end = self.facts.bytes.min(offset.saturating_add(READ_BYTES));
        if offset >= end {
            return Ok(Bytes::new());
        }
        let what = || format!("cannot read s3://{}/{}", self.bucket, self.key);
        let get = self.client.get_object().bucket(&self.bucket).key(&self.key).set_version_id(self.version.clone());
        let got = get.range(format!("bytes={offset}-{}", end - 1)).send().await;
        let got = got.map_err(|error| port_error(what(), error))?;
        let bytes = got.body.collect().await.map_err(|error| PortError::because(Advice::Retry, what(), error))?;
        Ok(bytes.into_bytes())
    }
}
