//! What services have counted of a stream, to hold the ledger against.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Micros;
use crate::ports::PortError;

/// Which records are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Counted {
    /// Those that the stream took.
    Put,
    /// Those that were read to be handed to the transform, each as often as it was read.
    Read,
}

/// Counts of records by time, as a service keeps them: by the minute at first, coarser and coarser later, and not for ever.
#[async_trait]
pub trait ServiceCounts: Send + Sync {
    /// How fine the counts are that are kept of a time so long ago: a window of it begins and ends at multiples of this since 1970. `None`: none
    /// are kept.
    fn granularity(&self, ago: Duration) -> Option<Duration>;

    /// The sum from `from` on and before `to`, both at multiples of the granularity; `None`: nobody counts them. 0 may mean that nothing was
    /// counted yet.
    ///
    /// # Errors
    ///
    /// When the service cannot be asked.
    async fn sum(&self, counted: Counted, from: Micros, to: Micros) -> Result<Option<u64>, PortError>;
}
