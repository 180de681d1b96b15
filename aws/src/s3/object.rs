//! One version of an object, read part by part.

use alluvium_core::file::OpenFile;
use alluvium_core::ports::{Advice, PortError};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use bytes::Bytes;

use crate::error::port_error;

/// An object that is read in parts of one size.
pub(crate) struct ObjectFile {
    pub(crate) client: Client,
    pub(crate) bucket: String,
    pub(crate) key: String,
    /// `None`: the bucket keeps none.
    pub(crate) version: Option<String>,
    /// How many bytes it has.
    pub(crate) bytes: u64,
    /// What no other object of its name has.
    pub(crate) tag: String,
    /// How much is read at a time.
    pub(crate) part_bytes: u64,
}

#[async_trait]
impl OpenFile for ObjectFile {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    async fn read(&self, offset: u64) -> Result<Bytes, PortError> {
        let end = self.bytes.min(offset.saturating_add(self.part_bytes));
        if offset >= end {
            return Ok(Bytes::new());
        }
        let what = || format!("cannot read s3://{}/{}", self.bucket, self.key);
        let get = self.client.get_object().bucket(&self.bucket).key(&self.key).set_version_id(self.version.clone());
        let got = get.range(format!("bytes={offset}-{}", end - 1)).send().await;
        let got = got.map_err(|error| port_error(what(), error))?;
        let is_part = got.content_range.is_some();
        let bytes = got.body.collect().await.map_err(|error| PortError::because(Advice::Retry, what(), error))?;
        let bytes = bytes.into_bytes();
        if is_part {
            return Ok(bytes);
        }
        // A server may leave a range out of account (RFC 9110, section 14.2). S3 never does; ministack does for a version.
        let [begin, end] = [offset, end].map(|at| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len()));
        Ok(bytes.slice(begin..end))
    }
}
