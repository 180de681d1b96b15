//! From the log into the lake and the hot index, and what is done there afterwards.

use std::num::NonZeroU64;
use std::time::Duration;

use alluvium_local::maintenance::MaintenanceSettings;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub shards: u32,
    pub segment_bytes: u64,
    pub max_bytes: u64,
    #[serde(with = "alluvium_core::duration::text")]
    pub retention: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    pub buffer_bytes: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub buffer: Duration,
    pub concurrency: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    #[serde(with = "alluvium_core::duration::text")]
    pub interval: Duration,
    pub max_batches: usize,
    pub checkpoint_every: NonZeroU64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hot {
    pub cache_bytes: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub margin: Duration,
    #[serde(with = "alluvium_core::duration::text")]
    pub expire_every: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Maintain {
    #[serde(with = "alluvium_core::duration::text")]
    pub every: Duration,
    #[serde(with = "alluvium_core::duration::text")]
    pub vacuum_every: Duration,
    #[serde(with = "alluvium_core::duration::optional", skip_serializing_if = "Option::is_none")]
    pub dead_letter_retention: Option<Duration>,
    pub compact_files: usize,
    pub target_bytes: u64,
    pub round_bytes: u64,
    pub memory_bytes: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self { shards: 1, segment_bytes: 64 << 20, max_bytes: 10 << 30, retention: Duration::from_secs(24 * 3600) }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self { buffer_bytes: 4 << 20, buffer: Duration::from_millis(500), concurrency: 2 }
    }
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            max_batches: 128,
            checkpoint_every: NonZeroU64::new(100).expect("100 is not 0"),
        }
    }
}

impl Default for Hot {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, margin: Duration::from_secs(3600), expire_every: Duration::from_secs(60) }
    }
}

impl Default for Maintain {
    fn default() -> Self {
        let MaintenanceSettings { upkeep, every, vacuum_every, compact_files } = MaintenanceSettings::default();
        let compact = upkeep.compact;
        Self {
            every,
            vacuum_every,
            dead_letter_retention: upkeep.retain.dead_letters,
            compact_files,
            target_bytes: compact.target_bytes,
            round_bytes: compact.round_bytes,
            memory_bytes: compact.memory_bytes,
        }
    }
}
