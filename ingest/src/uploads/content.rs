//! Content that lies elsewhere and is read part by part: for those who block, and for its hash.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alluvium_core::file::OpenFile;
use alluvium_core::ports::{Advice, PortError};
use bytes::{Buf as _, Bytes};
use ring::digest::{Context, Digest, SHA256};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// How long after a failure a part is asked for again. Behind the last one it is given up.
const PAUSES: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(400), Duration::from_millis(1600)];

/// The content of an upload as a [`Read`] for whoever may block. While a part is read the next one is on its way: memory is that of two parts.
pub struct Content {
    file: Arc<dyn OpenFile>,
    runtime: Handle,
    part: Bytes,
    /// Where the part after `part` begins.
    offset: u64,
    next: Option<JoinHandle<Result<Bytes, PortError>>>,
    fault: Fault,
}

/// What kept content from being read: not its sender's mistake, so that it is to be read again.
#[derive(Debug, Clone, Default)]
pub struct Fault(Arc<Mutex<Option<PortError>>>);

impl Fault {
    /// The failure, if there was one; it is told once.
    pub fn take(&self) -> Option<PortError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("offset", &self.offset).finish_non_exhaustive()
    }
}

impl Content {
    /// What `file` holds, read by tasks of `runtime`; read it outside of them.
    pub fn of(file: Arc<dyn OpenFile>, runtime: Handle) -> Self {
        Self { file, runtime, part: Bytes::new(), offset: 0, next: None, fault: Fault::default() }
    }

    /// Tells what kept it from being read.
    pub fn fault(&self) -> Fault {
        self.fault.clone()
    }

    /// Keeps what went wrong; what a reader is told of it.
    fn fail(&self, error: PortError) -> io::Error {
        let said = io::Error::other(error.message.clone());
        *self.fault.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        said
    }

    fn ask(&self) -> JoinHandle<Result<Bytes, PortError>> {
        let (file, offset) = (self.file.clone(), self.offset);
        self.runtime.spawn(async move { part(&*file, offset).await })
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() {
            let next = self.next.take().unwrap_or_else(|| self.ask());
            // A task that was ended or panicked says nothing of the content.
            let broken =
                |error| PortError::because(Advice::Retry, "a part of an upload was not read to its end", error);
            let part = self.runtime.block_on(next).map_err(broken).flatten();
            self.part = part.map_err(|error| self.fail(error))?;
            self.offset += self.part.len() as u64;
            if !self.part.is_empty() {
                self.next = Some(self.ask());
            }
        }
        let bytes = self.part.len().min(buffer.len());
        self.part.copy_to_slice(&mut buffer[..bytes]);
        Ok(bytes)
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Some(next) = self.next.take() {
            next.abort();
        }
    }
}

/// SHA-256 of what a file holds, in hexadecimal digits.
///
/// # Errors
///
/// When it cannot be read.
pub async fn content_hash(file: &dyn OpenFile) -> Result<String, PortError> {
    let mut hash = Context::new(&SHA256);
    let mut offset = 0;
    loop {
        let part = part(file, offset).await?;
        if part.is_empty() {
            return Ok(hexadecimal(hash.finish()));
        }
        hash.update(&part);
        offset += part.len() as u64;
    }
}

/// The part of a file that begins there, empty behind its size and only there; asked for again where that can help.
async fn part(file: &dyn OpenFile, offset: u64) -> Result<Bytes, PortError> {
    if offset >= file.bytes() {
        return Ok(Bytes::new());
    }
    for pause in PAUSES {
        match part_once(file, offset).await {
            Err(error) if error.advice != Advice::Stop => {
                tracing::debug!(%error, offset, "a part of an upload could not be read; it is tried again");
                tokio::time::sleep(pause).await;
            }
            read => return read,
        }
    }
    part_once(file, offset).await
}

async fn part_once(file: &dyn OpenFile, offset: u64) -> Result<Bytes, PortError> {
    let part = file.read(offset).await?;
    if part.is_empty() {
        let bytes = file.bytes();
        return Err(PortError::new(
            Advice::Retry,
            format!("nothing was read at byte {offset} of {bytes} of an upload"),
        ));
    }
    Ok(part)
}

pub(super) fn hexadecimal(digest: Digest) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
