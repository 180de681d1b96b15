//! The program's settings: defaults, then `alluvium.toml`, then `ALLUVIUM_…` variables, then flags.

mod access;
mod answers;
mod check;
mod intake;
mod load;
mod pipeline;
mod reference;
mod secret;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use access::{Auth, Cors};
pub use answers::{Postgres, Reports, Sql};
pub use intake::{Kinesis, Limits, Uploads};
pub use load::{AuthFlags, Flags, PostgresFlags, ReportsFlags, load};
pub use pipeline::{Commit, Delivery, Hot, Log, Maintain};
pub use reference::{markdown, values};
pub use secret::Secret;

/// The file that is read when `--config` names none and it is there.
pub const DEFAULT_FILE: &str = "alluvium.toml";

/// The folder of reports that is read when none is named and it is there.
pub const DEFAULT_REPORTS: &str = "reports";

/// Every setting. What each means stands in `docs/configuration.md`, which is generated from [`reference::keys`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub listen: SocketAddr,
    pub data: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasets: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_dataset: Option<String>,
    pub owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pseudonym_key: Option<Secret>,
    pub verbosity: String,
    pub auth: Auth,
    pub cors: Cors,
    pub limits: Limits,
    pub uploads: Uploads,
    pub log: Log,
    pub kinesis: Kinesis,
    pub delivery: Delivery,
    pub commit: Commit,
    pub hot: Hot,
    pub sql: Sql,
    pub postgres: Postgres,
    pub maintain: Maintain,
    pub reports: Reports,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7171)),
            data: PathBuf::from("alluvium-data"),
            datasets: None,
            default_dataset: None,
            owner: "anonymous".to_owned(),
            pseudonym_key: None,
            verbosity: "info".to_owned(),
            auth: Auth::default(),
            cors: Cors::default(),
            limits: Limits::default(),
            uploads: Uploads::default(),
            log: Log::default(),
            kinesis: Kinesis::default(),
            delivery: Delivery::default(),
            commit: Commit::default(),
            hot: Hot::default(),
            sql: Sql::default(),
            postgres: Postgres::default(),
            maintain: Maintain::default(),
            reports: Reports::default(),
        }
    }
}

#[cfg(test)]
mod tests;
