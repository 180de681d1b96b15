//! Files that were written, as they are handed out.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use alluvium_core::file::OpenFile;
use alluvium_core::ports::{Advice, PortError};
use async_trait::async_trait;
use bytes::Bytes;

/// How much of a file is read at a time.
const READ_BYTES: usize = 256 * 1024;

/// [`OpenFile`] of a file that nobody changes, though it may be removed.
#[derive(Debug)]
pub struct FileOnDisk {
    file: Arc<File>,
    bytes: u64,
    tag: String,
    what: String,
}

impl FileOnDisk {
    /// An open file of so many bytes. `what` names it in errors.
    pub fn new(file: File, bytes: u64, tag: String, what: String) -> Self {
        Self { file: Arc::new(file), bytes, tag, what }
    }
}

#[async_trait]
impl OpenFile for FileOnDisk {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    async fn read(&self, offset: u64) -> Result<Bytes, PortError> {
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (file, mut bytes) = (self.file.clone(), vec![0; left.min(READ_BYTES)]);
        let read = tokio::task::spawn_blocking(move || file.read_exact_at(&mut bytes, offset).map(|()| bytes)).await;
        let read = read.map_err(std::io::Error::other).and_then(|read| read);
        let unreadable = |error| PortError::because(Advice::Retry, format!("{} cannot be read", self.what), error);
        read.map(Bytes::from).map_err(unreadable)
    }
}
