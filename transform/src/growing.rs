//! A file's bytes in memory.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// A file's buffer grows by this or by a quarter, whichever is more, so that little of it stays unused.
const GROWTH_BYTES: usize = 256 * 1024;

/// The bytes of a file, which its writer adds to and its owner takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growing(Arc<Mutex<Vec<u8>>>);

impl Growing {
    /// What was added since it was last asked.
    pub(crate) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Growing {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.capacity() - bytes.len() < part.len() {
            let more = part.len().max(GROWTH_BYTES).max(bytes.len() / 4);
            bytes.reserve_exact(more);
        }
        bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
