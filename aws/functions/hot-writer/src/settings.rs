//! The function's settings.

use std::num::NonZeroU32;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use serde::Deserialize;

/// Every setting.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    /// The lake's root: what waits lies under it.
    pub lake: LakeUrl,
    pub hot: Hot,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hot {
    /// The name of the hot index's table.
    pub table: String,
    /// The name of the table in which it is noted what waits.
    pub waiting: String,
    /// The URL of the buffer's queue.
    pub buffer: String,
    /// How fast one instance of the function writes.
    pub write_units_per_second: NonZeroU32,
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}
