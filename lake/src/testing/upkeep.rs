//! A maintainer of the lake in a store.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::Micros;
use alluvium_core::{Clock as _, Datasets, ManualClock, SystemClock};
use object_store::ObjectStore;

use super::{MemoryIndex, PlainFormat, datasets, root};
use crate::{CompactSettings, LakeReader, Upkeep, UpkeepSettings};

pub(crate) const DAY: Micros = 86_400_000_000;

/// A maintainer with its own reader, clock and folder.
pub(crate) struct Maintainer {
    pub(crate) upkeep: Upkeep,
    pub(crate) reader: LakeReader,
    pub(crate) index: Arc<MemoryIndex>,
    /// Shows the machine's time at first, which objects in memory go by.
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) spill: tempfile::TempDir,
}

pub(crate) fn maintainer(store: &Arc<dyn ObjectStore>, compact: CompactSettings) -> Maintainer {
    maintainer_of(store, datasets(), UpkeepSettings { compact, ..UpkeepSettings::default() })
}

pub(crate) fn maintainer_of(store: &Arc<dyn ObjectStore>, datasets: Datasets, settings: UpkeepSettings) -> Maintainer {
    let spill = tempfile::tempdir().unwrap();
    let reader = LakeReader::new(store.clone(), root());
    let clock = Arc::new(ManualClock::at(SystemClock.now_micros()));
    let index = Arc::<MemoryIndex>::default();
    let upkeep = Upkeep::new(
        reader.clone(),
        Arc::new(datasets),
        Arc::new(PlainFormat),
        index.clone(),
        clock.clone(),
        spill.path().to_owned(),
        settings,
    );
    Maintainer { upkeep, reader, index, clock, spill }
}

pub(crate) fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}
