//! The hot index, made anew from the log when it was lost.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{Advice, HotIndex, PortError, Stream};
use alluvium_core::{Clock, Datasets, DeliveryBatch};
use alluvium_lake::Lake;
use alluvium_transform::Transform;

use super::hot_marks;
use crate::erasure::Erased;
use crate::folder::DataFolder;
use crate::hot::RedbHotIndex;
use crate::log::Log;

/// How much of the log is transformed at a time.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What the index is made anew from.
pub(super) struct Sources<'a> {
    pub(super) log: &'a Log,
    pub(super) lake: &'a Lake,
    pub(super) transform: &'a Arc<Transform>,
    pub(super) datasets: &'a Datasets,
    /// Whose rows are not put into it, though the log has them still.
    pub(super) erased: &'a Erased,
}

impl Sources<'_> {
    /// Puts the chunks of every record that the log still holds and the lake already has, if the index knows of no dataset; then
    /// sets its marks. The rest is delivered in the ordinary way. Says whether it rebuilt anything.
    pub(super) async fn rebuild_if_lost(
        &self,
        folder: &DataFolder,
        hot: &RedbHotIndex,
        clock: &dyn Clock,
    ) -> Result<bool, PortError> {
        let Self { log, lake, transform, datasets, .. } = self;
        let mut known = false;
        for dataset in datasets.iter() {
            known |= hot.complete_since(dataset.name.as_str()).await?.is_some();
        }
        let mut since = Micros::MIN;
        let mut rebuilt = false;
        if !known {
            for state in log.shards().await? {
                let Some(position) = lake.position(&state.shard) else { continue };
                let mut after = None;
                let mut first = true;
                loop {
                    let mut page = log.read(&state.shard, after, BATCH_BYTES, Duration::ZERO).await?;
                    page.records.retain(|record| record.identity.sequence <= position);
                    let Some(last) = page.records.last() else { break };
                    after = Some(last.identity.sequence);
                    if std::mem::take(&mut first) && page.records[0].identity.sequence > 1.into() {
                        // Older records are gone from the log, and with them what they would have put into the index.
                        since = since.max(page.records[0].arrival);
                    }
                    let batch = DeliveryBatch { records: page.records };
                    let transform = Arc::clone(transform);
                    let output = tokio::task::spawn_blocking(move || transform.run(&batch)).await;
                    let output = output
                        .map_err(|error| PortError::because(Advice::Stop, "rebuilding the hot index", error))?
                        .map_err(|error| PortError::because(Advice::Stop, "rebuilding the hot index", error))?;
                    hot.put(self.erased.screen(output.chunks)?).await?;
                    rebuilt = true;
                }
                if first && state.newest.is_some() {
                    // The lake has records of this shard and the log holds none of them.
                    since = since.max(clock.now_micros());
                }
            }
        }
        hot_marks::settle(folder, hot, datasets, clock, since).await?;
        Ok(rebuilt)
    }
}
