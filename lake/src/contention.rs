//! How long, and how often, a commit that lost to another writer is tried again.

use std::time::Duration;

use uuid::Uuid;

use crate::error::{LakeError, Result};

const MAX_ATTEMPTS: u32 = 20;
const LONGEST_WAIT_MS: u64 = 1_000;

/// The attempts of one commit so far.
#[derive(Debug, Default)]
pub(crate) struct Contention {
    attempts: u32,
}

impl Contention {
    /// Waits before the next attempt: not at all before the first, then up to twice as long each time, by chance.
    pub(crate) async fn wait(&mut self, table: &str) -> Result<()> {
        self.attempts += 1;
        if self.attempts >= MAX_ATTEMPTS {
            return Err(LakeError::Contended { table: table.to_owned(), attempts: self.attempts });
        }
        if self.attempts > 1 {
            let longest = (5_u64 << self.attempts.min(16)).min(LONGEST_WAIT_MS);
            // Writers that wait alike would meet again, so the length is random.
            let millis = Uuid::new_v4().as_u64_pair().1 % longest;
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        Ok(())
    }
}
