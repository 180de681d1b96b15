//! Data files and commit messages in S3.
//!
//! A put is conditional (`If-None-Match: *`), so that of many who write one name one wins, and needs the right to put alone:
//! who has no `s3:ListBucket` is answered 403 instead of 404 for what is not there, and nothing here tells by that.
//!
//! Objects are put with a CRC32C, which S3 checks before it stores them and keeps for whoever reads. Against bytes that change
//! on the way it is as good as SHA-256 and costs next to nothing where a processor has an instruction for it; against bytes
//! that are not those of their name, the name of a data file holds a SHA-256 of them.

mod object;
mod signed;
mod url;

use std::time::Duration;

use alluvium_core::ports::{Advice, DataFiles, PortError, Put};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use bytes::{Bytes, BytesMut};

pub(crate) use object::ObjectFile;
pub use signed::{signed_get, signed_put};
pub use url::{LakeUrl, LakeUrlError};

use crate::error::port_error;

/// The most bytes of an object that is read into memory. Our own: ten times what one invocation writes at most.
const OBJECT_BYTES: usize = 64 * 1024 * 1024;

/// How long to wait before a put that met another of its name is tried again.
const CONFLICT_PAUSES: [Duration; 4] =
    [Duration::from_millis(25), Duration::from_millis(50), Duration::from_millis(100), Duration::from_millis(200)];

/// [`DataFiles`] under one root in a bucket.
#[derive(Debug, Clone)]
pub struct S3DataFiles {
    client: Client,
    root: LakeUrl,
}

impl S3DataFiles {
    /// Data files under `root`. [`config::s3`](crate::config::s3) makes the client.
    pub fn new(client: Client, root: LakeUrl) -> Self {
        Self { client, root }
    }

    /// The object's key; the error advises to stop.
    fn key(&self, path: &str) -> Result<String, PortError> {
        self.root.key(path).map_err(|why| PortError::new(Advice::Stop, why))
    }
}

#[async_trait]
impl DataFiles for S3DataFiles {
    /// [`Put::AlreadyThere`] is also the answer when the object is this call's own, stored by a try whose answer was lost: the
    /// SDK tries again by itself.
    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<Put, PortError> {
        let key = self.key(path)?;
        let mut pauses = CONFLICT_PAUSES.into_iter();
        loop {
            let put = self.client.put_object().bucket(self.root.bucket()).key(&key).if_none_match("*");
            let put = put.checksum_algorithm(ChecksumAlgorithm::Crc32C).body(ByteStream::from(bytes.clone()));
            let error = match put.send().await {
                Ok(_) => return Ok(Put::Written),
                Err(error) => error,
            };
            match status(&error) {
                Some(412) => return Ok(Put::AlreadyThere),
                // Another put of this name is under way; its outcome decides ours.
                Some(409) if error.code() == Some("ConditionalRequestConflict") => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(port_error(format!("cannot store {}", self.root.object(&key)), error)),
                },
                _ => return Err(port_error(format!("cannot store {}", self.root.object(&key)), error)),
            }
        }
    }

    async fn get(&self, path: &str) -> Result<Bytes, PortError> {
        let key = self.key(path)?;
        let what = || format!("cannot read {}", self.root.object(&key));
        let get = self.client.get_object().bucket(self.root.bucket()).key(&key).checksum_mode(ChecksumMode::Enabled);
        let object = get.send().await.map_err(|error| match error.as_service_error() {
            Some(GetObjectError::NoSuchKey(_)) => {
                let message = format!("{}: there is no such object", what());
                PortError { advice: Advice::Stop, message, source: Some(Box::new(error)) }
            }
            _ => port_error(what(), error),
        })?;
        let too_large = || {
            let message = format!("{}: it has more than {OBJECT_BYTES} bytes, which no file of a batch has", what());
            PortError::new(Advice::Stop, message)
        };
        let length = object.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        if length > OBJECT_BYTES {
            return Err(too_large());
        }
        let mut bytes = BytesMut::with_capacity(length);
        let mut body = object.body;
        while let Some(part) = body.next().await {
            // What breaks off, or does not have its checksum, may come whole the next time.
            let part = part.map_err(|error| PortError::because(Advice::Retry, what(), error))?;
            if bytes.len() + part.len() > OBJECT_BYTES {
                return Err(too_large());
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes.freeze())
    }

    async fn delete(&self, path: &str) -> Result<(), PortError> {
        let key = self.key(path)?;
        let deleted = self.client.delete_object().bucket(self.root.bucket()).key(&key).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchKey") => Ok(()),
            Err(error) => Err(port_error(format!("cannot remove {}", self.root.object(&key)), error)),
        }
    }
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}
