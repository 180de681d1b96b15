//! Since when the hot index is complete, kept right when a dataset's hot retention is widened.
//!
//! Under a retention of one hour the index never held events that were older when they arrived. When the schema then says one
//! day, the index is complete only for event times that the old retention already covered.

use std::collections::BTreeMap;
use std::path::PathBuf;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::ports::{HotIndex, PortError};
use alluvium_core::{Clock, Datasets};

use crate::folder::DataFolder;
use crate::hot::RedbHotIndex;

/// Sets every dataset's mark that is missing to `since` (what arrived before it may be missing from the index, and may bear times
/// as far ahead as the dataset allows), and moves those whose retention was widened since the last start.
pub(super) async fn settle(
    folder: &DataFolder,
    hot: &RedbHotIndex,
    datasets: &Datasets,
    clock: &dyn Clock,
    since: Micros,
) -> Result<(), PortError> {
    let path = retentions_path(folder);
    let before: BTreeMap<String, u64> =
        std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut now = BTreeMap::new();
    for dataset in datasets.iter() {
        let name = dataset.name.as_str();
        let retention = dataset.hot_retention.as_micros() as u64;
        let ahead = if since == Micros::MIN { 0 } else { micros(dataset.max_future) };
        let mark = hot.complete_since(name).await?.unwrap_or(since.saturating_add(ahead));
        let covered = match before.get(name) {
            Some(narrower) if *narrower < retention => clock.now_micros() - *narrower as Micros,
            _ => Micros::MIN,
        };
        hot.set_complete_since(name, mark.max(covered)).await?;
        now.insert(name.to_owned(), retention);
    }
    hot.flush().await?;
    let text = serde_json::to_vec_pretty(&now).expect("a map of texts to numbers is JSON");
    std::fs::write(&path, text).map_err(|error| {
        PortError::because(alluvium_core::ports::Advice::Stop, format!("writing {}", path.display()), error)
    })
}

fn retentions_path(folder: &DataFolder) -> PathBuf {
    folder.hot().join("retentions.json")
}
