//! The settings of the writer side.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// How the tables are written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LakeSettings {
    /// After how many commits of a table a checkpoint of it is written. Default: 100.
    pub checkpoint_every: NonZeroU64,
}

impl Default for LakeSettings {
    fn default() -> Self {
        Self { checkpoint_every: NonZeroU64::new(100).expect("100 is not 0") }
    }
}
