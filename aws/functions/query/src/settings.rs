//! The function's settings.

use std::time::Duration;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::DEFAULT_VERBOSITY;
use alluvium_query::records::DEFAULT_HOT_MARGIN;
use serde::Deserialize;

/// Every setting.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    pub hot: Hot,
    pub sql: Sql,
    /// Where the results of reports are; without it there are no reports.
    #[serde(default)]
    pub reports: Option<Reports>,
    #[serde(default)]
    pub commit: Commit,
    #[serde(default)]
    pub api: Api,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// The routes of API Gateway, such as `GET /v1/{dataset}`: what `GET /openapi.json` tells of.
    pub routes: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Commit {
    /// How long a commit message can wait at most before it is set aside: five tries, each as far from the next as the queue hides
    /// a message that was taken.
    #[serde(with = "alluvium_core::duration::text")]
    pub lag: Duration,
}

impl Default for Commit {
    fn default() -> Self {
        Self { lag: Duration::from_secs(5 * 6 * 60) }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hot {
    /// The table of the hot index.
    pub table: String,
    /// By how much chunks outlive their retention, as whoever writes them has it.
    #[serde(default = "margin", with = "alluvium_core::duration::text")]
    pub margin: Duration,
    /// The table in which it is noted what waits to be put into the index; without it, nothing does.
    #[serde(default)]
    pub waiting: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// The root of the results of reports.
    pub bucket: LakeUrl,
    /// After how long the bucket removes a result.
    #[serde(default = "reports_kept", with = "alluvium_core::duration::text")]
    pub kept: Duration,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// The database of the lake's tables.
    pub database: String,
    /// The workgroup that statements run in.
    pub workgroup: String,
    /// Where results lie, each owner's apart; without it where the workgroup says, and then there are no whole results to be had.
    #[serde(default)]
    pub results: Option<LakeUrl>,
    /// How long a read of records waits for the lake: after that it is answered with where to ask again.
    #[serde(default = "time", with = "alluvium_core::duration::text")]
    pub time: Duration,
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn margin() -> Duration {
    DEFAULT_HOT_MARGIN
}

fn reports_kept() -> Duration {
    Duration::from_secs(400 * 86_400)
}

/// The function is stopped after 29 seconds.
fn time() -> Duration {
    Duration::from_secs(20)
}
