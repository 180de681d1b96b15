//! What whoever loads an upload does with it: takes it, keeps how far it is, reads its content, and removes that.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::file::OpenFile;
use alluvium_core::ports::{Advice, OwnerKey, PortError};
use alluvium_core::upload::{Upload, UploadState};

use super::S3Uploads;
use super::item::{Kept, Lease};
use crate::s3::ObjectFile;

/// How much of content is read at a time. Our own: a request for each, and two of them in memory.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// How often it is tried to take an upload that others change at the same time. Our own.
const TRIES: usize = 5;
const AGAIN: Duration = Duration::from_millis(50);

/// Content that has arrived, as a notification of S3 tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Where it lies.
    pub key: String,
    /// Which of several that were put there; `None`: the bucket keeps but one.
    pub version: Option<String>,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was here whole.
    pub at: Micros,
}

/// An upload that is this caller's to load.
#[derive(Debug, Clone)]
pub struct Held {
    /// The upload as it was kept last.
    pub upload: Upload,
    /// Its content.
    pub content: Arrived,
    /// As whom it was taken.
    pub by: String,
    /// How often it was changed.
    pub revision: u64,
}

/// What became of taking an upload.
#[derive(Debug)]
pub enum Claim {
    /// It is to be loaded here.
    Mine(Box<Held>),
    /// Somebody loads it, until then at the longest.
    Others {
        /// As whom.
        by: String,
        /// Until when, in µs since 1970.
        until: Micros,
    },
    /// The content is nobody's: its upload was taken back, has ended, or had other content first.
    Nobodys,
}

/// What became of keeping how far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It is kept.
    Kept,
    /// The upload was taken back.
    Gone,
    /// Somebody else took it, for too much time had passed.
    Others,
}

impl S3Uploads {
    /// Takes the upload of content that has arrived, as `by` and until a time at the longest, to load it.
    ///
    /// # Errors
    ///
    /// When it cannot be read or written.
    pub async fn claim(&self, content: &Arrived, by: &str, until: Micros) -> Result<Claim, PortError> {
        let Some((owner, id)) = self.whose(&content.key) else { return Ok(Claim::Nobodys) };
        for _ in 0..TRIES {
            let Some(mut kept) = self.read(id).await? else { return Ok(Claim::Nobodys) };
            let is_first = kept.content.is_none() || kept.content == content.version;
            if OwnerKey::of(&kept.upload.owner).as_str() != owner || kept.upload.state.has_ended() || !is_first {
                return Ok(Claim::Nobodys);
            }
            let wanted = Lease { by: by.to_owned(), until };
            match kept.lease.take_if(|lease| lease.until > self.clock.now_micros()) {
                // It was taken by this call, whose answer was lost.
                Some(lease) if lease == wanted => return Ok(Claim::Mine(Box::new(held(kept, content, by)))),
                Some(Lease { by, until }) => return Ok(Claim::Others { by, until }),
                None => {}
            }
            if kept.upload.received.is_none() {
                kept.upload.receive(content.bytes, content.at);
            }
            kept.upload.state = UploadState::Loading;
            kept.content.clone_from(&content.version);
            kept.lease = Some(wanted);
            let seen = kept.revision;
            kept.revision += 1;
            kept.forget_at = self.forget_at(&kept.upload);
            if self.write(&kept, Some(seen)).await? {
                return Ok(Claim::Mine(Box::new(held(kept, content, by))));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(PortError::new(Advice::Retry, format!("the upload {id} is changed all the time by others")))
    }

    /// Keeps how far an upload is that was taken; it stays taken until a time, or is given back.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn keep(&self, held: &mut Held, until: Option<Micros>) -> Result<Keeping, PortError> {
        let kept = Kept {
            upload: held.upload.clone(),
            revision: held.revision + 1,
            content: held.content.version.clone(),
            lease: until.map(|until| Lease { by: held.by.clone(), until }),
            forget_at: self.forget_at(&held.upload),
        };
        if self.write(&kept, Some(held.revision)).await? {
            held.revision = kept.revision;
            return Ok(Keeping::Kept);
        }
        match self.read(&held.upload.id).await? {
            // It was written, and the answer was lost.
            Some(there) if there == kept => {
                held.revision = kept.revision;
                Ok(Keeping::Kept)
            }
            Some(_) => Ok(Keeping::Others),
            None => Ok(Keeping::Gone),
        }
    }

    /// The content of an upload that was taken.
    pub fn open(&self, held: &Held) -> Arc<dyn OpenFile> {
        Arc::new(ObjectFile {
            client: self.s3.clone(),
            bucket: self.root.bucket().to_owned(),
            key: held.content.key.clone(),
            version: held.content.version.clone(),
            bytes: held.content.bytes,
            tag: held.upload.id.clone(),
            part_bytes: PART_BYTES,
        })
    }

    /// Removes content that is loaded or nobody's.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub async fn discard(&self, content: &Arrived) -> Result<(), PortError> {
        self.remove_content(&content.key, content.version.as_deref()).await
    }
}

fn held(kept: Kept, content: &Arrived, by: &str) -> Held {
    let Kept { upload, revision, .. } = kept;
    Held { upload, content: content.clone(), by: by.to_owned(), revision }
}
