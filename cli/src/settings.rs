//! The program's settings: defaults, then `alluvium.toml`, then `ALLUVIUM_…` variables, then flags.

mod reference;
mod secret;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use alluvium_core::limits;
use alluvium_ingest::{KinesisSettings, ShardLimits, UploadSettings};
use alluvium_local::maintenance::MaintenanceSettings;
use alluvium_local::reports::ReportsSettings;
use alluvium_query::authorizer::DEFAULT_ROLE_CLAIM;
use anyhow::Context as _;
use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::{Figment, Metadata};
use serde::{Deserialize, Serialize};

pub use reference::{keys, markdown};
pub use secret::Secret;

/// The file that is read when `--config` names none and it is there.
pub const DEFAULT_FILE: &str = "alluvium.toml";

/// The folder of reports that is read when none is named and it is there.
pub const DEFAULT_REPORTS: &str = "reports";

/// Variables with our prefix that are no settings.
const NOT_SETTINGS: [&str; 1] = ["token"];

/// Every setting. What each means stands in `docs/configuration.md`, which is generated from [`keys`].
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    pub required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    pub role_claim: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    pub origins: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub body_bytes: usize,
    pub body_expanded_bytes: usize,
    pub event_bytes: usize,
    pub json_depth: usize,
    pub events_per_request: usize,
    pub concurrent_requests: usize,
    pub requests_per_second: NonZeroU32,
    pub requests_per_second_of_owner: NonZeroU32,
    #[serde(with = "alluvium_core::duration::text")]
    pub request_time: Duration,
    pub record_expanded_bytes: usize,
    pub dead_letter_original_bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uploads {
    pub max_bytes: u64,
    pub expanded_bytes: u64,
    pub stored_bytes: u64,
    pub unfinished: usize,
    pub unfinished_of_owner: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub receive_time: Duration,
    #[serde(with = "alluvium_core::duration::text")]
    pub kept: Duration,
}

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
pub struct Kinesis {
    pub stream: String,
    pub shard_limits: ShardLimits,
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
pub struct Sql {
    pub memory_bytes: usize,
    pub keys_bytes: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub time: Duration,
    pub concurrency: usize,
    pub statements: usize,
    pub result_bytes: u64,
    pub results_bytes: u64,
    #[serde(with = "alluvium_core::duration::text")]
    pub result_kept: Duration,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    pub connections: usize,
    #[serde(with = "alluvium_core::duration::text")]
    pub idle: Duration,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reports {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    pub windows_kept: usize,
    pub catch_up: usize,
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

impl Default for Auth {
    fn default() -> Self {
        Self {
            required: true,
            secret: None,
            jwks_url: None,
            issuer: None,
            audience: None,
            role_claim: DEFAULT_ROLE_CLAIM.to_owned(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: limits::BODY_BYTES,
            body_expanded_bytes: limits::BODY_EXPANDED_BYTES,
            event_bytes: limits::EVENT_BYTES,
            json_depth: limits::JSON_DEPTH,
            events_per_request: 100_000,
            concurrent_requests: 256,
            requests_per_second: NonZeroU32::new(20_000).expect("20,000 is not 0"),
            requests_per_second_of_owner: NonZeroU32::new(5_000).expect("5,000 is not 0"),
            request_time: Duration::from_secs(30),
            record_expanded_bytes: limits::RECORD_EXPANDED_BYTES,
            dead_letter_original_bytes: limits::DEAD_LETTER_ORIGINAL_BYTES,
        }
    }
}

impl Default for Uploads {
    fn default() -> Self {
        let UploadSettings { max_bytes, expanded_bytes, stored_bytes, unfinished, .. } = UploadSettings::default();
        let UploadSettings { unfinished_of_owner, receive_time, kept, .. } = UploadSettings::default();
        Self { max_bytes, expanded_bytes, stored_bytes, unfinished, unfinished_of_owner, receive_time, kept }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { shards: 1, segment_bytes: 64 << 20, max_bytes: 10 << 30, retention: Duration::from_secs(24 * 3600) }
    }
}

impl Default for Kinesis {
    fn default() -> Self {
        let KinesisSettings { stream, shard_limits, .. } = KinesisSettings::default();
        Self { stream, shard_limits }
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

impl Default for Sql {
    fn default() -> Self {
        Self {
            memory_bytes: 128 << 20,
            keys_bytes: 48 << 20,
            time: Duration::from_secs(60),
            concurrency: 4,
            statements: 64,
            result_bytes: 256 << 20,
            results_bytes: 2 << 30,
            result_kept: Duration::from_secs(3600),
        }
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self { listen: None, certificate: None, key: None, connections: 50, idle: Duration::from_secs(3600) }
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

impl Default for Reports {
    fn default() -> Self {
        let ReportsSettings { windows_kept, catch_up, .. } = ReportsSettings::default();
        Self { folder: None, windows_kept, catch_up }
    }
}

/// Flags that take the place of settings; what is `None` was not given.
#[derive(Debug, Default, Serialize)]
pub struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasets: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_dataset: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reports: Option<ReportsFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<PostgresFlags>,
}

/// Flags that take the place of settings of `auth`.
#[derive(Debug, Default, Serialize)]
pub struct AuthFlags {
    pub required: bool,
}

/// Flags that take the place of settings of `reports`.
#[derive(Debug, Default, Serialize)]
pub struct ReportsFlags {
    pub folder: PathBuf,
}

/// Flags that take the place of settings of `postgres`.
#[derive(Debug, Serialize)]
pub struct PostgresFlags {
    pub listen: SocketAddr,
}

/// The settings in force, and where each came from.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    figment: Figment,
}

/// Reads the settings. `file` is what `--config` names; without it [`DEFAULT_FILE`] is read if it is there.
///
/// # Errors
///
/// When the file is not there or not TOML, or a key is unknown, of the wrong type, or out of its range.
pub fn load(file: Option<&Path>, flags: &Flags) -> anyhow::Result<Loaded> {
    if let Some(file) = file {
        anyhow::ensure!(file.is_file(), "--config {}: there is no such file", file.display());
    }
    let file = file.unwrap_or(Path::new(DEFAULT_FILE));
    let variables = Env::prefixed("ALLUVIUM_").ignore(&NOT_SETTINGS).split("__");
    let figment = Figment::from(Serialized::defaults(Settings::default()))
        .merge(Toml::file(file))
        .merge(variables)
        .merge(Named { name: "flag", values: flags });
    let mut settings: Settings = figment.extract().map_err(explain)?;
    if settings.reports.folder.is_none() && Path::new(DEFAULT_REPORTS).is_dir() {
        settings.reports.folder = Some(PathBuf::from(DEFAULT_REPORTS));
    }
    check(&settings)?;
    Ok(Loaded { settings, figment })
}

/// Says of a refused setting which key it was and where it stands.
fn explain(errors: figment::Error) -> anyhow::Error {
    let sentences: Vec<_> = errors.into_iter().map(|error| error.to_string()).collect();
    anyhow::anyhow!("the settings cannot be used: {}; `alluvium config` lists every key", sentences.join("; "))
}

fn check(settings: &Settings) -> anyhow::Result<()> {
    let at_least_one = [
        ("log.shards", u64::from(settings.log.shards)),
        ("delivery.concurrency", settings.delivery.concurrency as u64),
        ("delivery.buffer_bytes", settings.delivery.buffer_bytes as u64),
        ("commit.max_batches", settings.commit.max_batches as u64),
        ("limits.concurrent_requests", settings.limits.concurrent_requests as u64),
        ("sql.concurrency", settings.sql.concurrency as u64),
        ("postgres.connections", settings.postgres.connections as u64),
        ("limits.json_depth", settings.limits.json_depth as u64),
        ("maintain.every", settings.maintain.every.as_secs()),
        ("maintain.target_bytes", settings.maintain.target_bytes),
        ("maintain.round_bytes", settings.maintain.round_bytes),
        ("maintain.memory_bytes", settings.maintain.memory_bytes as u64),
        ("reports.windows_kept", settings.reports.windows_kept as u64),
        ("reports.catch_up", settings.reports.catch_up as u64),
    ];
    for (key, value) in at_least_one {
        anyhow::ensure!(value >= 1, "{key} is 0; it must be at least 1");
    }
    anyhow::ensure!(
        settings.limits.event_bytes <= limits::EVENT_BYTES,
        "limits.event_bytes is {}; a record of the stream holds events of at most {} bytes",
        settings.limits.event_bytes,
        limits::EVENT_BYTES
    );
    anyhow::ensure!(
        settings.log.segment_bytes >= 2 << 20,
        "log.segment_bytes is {}; a segment must hold at least 2 MiB (2097152), more than the largest record",
        settings.log.segment_bytes
    );
    anyhow::ensure!(
        settings.log.max_bytes >= settings.log.segment_bytes.saturating_mul(2),
        "log.max_bytes is {}; it must be at least twice log.segment_bytes ({}), or nothing can ever be trimmed",
        settings.log.max_bytes,
        settings.log.segment_bytes
    );
    crate::node::upload_settings(settings).check()?;
    anyhow::ensure!(
        settings.reports.catch_up <= settings.reports.windows_kept,
        "reports.catch_up is {}; it must be at most reports.windows_kept ({}), or results were made only to be deleted",
        settings.reports.catch_up,
        settings.reports.windows_kept
    );
    KinesisSettings { stream: settings.kinesis.stream.clone(), ..KinesisSettings::default() }.check()?;
    anyhow::ensure!(
        settings.auth.required || settings.listen.ip().is_loopback(),
        "auth.required is false (--no-auth) and listen is {}: without tokens a node listens on this machine alone, such as \
         127.0.0.1:7171",
        settings.listen
    );
    check_postgres(&settings.postgres, &settings.auth)?;
    anyhow::ensure!(!settings.owner.is_empty(), "owner is empty; name whose data it is, such as `anonymous`");
    Ok(())
}

fn check_postgres(postgres: &Postgres, auth: &Auth) -> anyhow::Result<()> {
    let Some(listen) = postgres.listen else { return Ok(()) };
    anyhow::ensure!(
        cfg!(feature = "postgres"),
        "postgres.listen (--postgres) is {listen}, and this program was built without the Postgres protocol: build it with \
         `cargo build --features postgres`"
    );
    anyhow::ensure!(
        postgres.certificate.is_some() == postgres.key.is_some(),
        "of postgres.certificate and postgres.key one is set; to encrypt, set both: the files of a certificate and of its private key"
    );
    anyhow::ensure!(
        listen.ip().is_loopback() || postgres.certificate.is_some(),
        "postgres.listen (--postgres) is {listen}: the password of that protocol is a token, and would not be encrypted; set \
         postgres.certificate and postgres.key, or listen on this machine alone, such as 127.0.0.1:5432, and put a tunnel (ssh -L) or a \
         proxy with TLS in front"
    );
    anyhow::ensure!(
        auth.required || listen.ip().is_loopback(),
        "auth.required is false (--no-auth) and postgres.listen (--postgres) is {listen}: without tokens a node listens on this machine \
         alone, such as 127.0.0.1:5432"
    );
    Ok(())
}

impl Loaded {
    /// Where a key's value came from: `default`, a file's path, a variable's name, or `flag`.
    pub fn source_of(&self, key: &str) -> String {
        let Some(metadata) = self.figment.find_metadata(key) else {
            return "default".to_owned();
        };
        match (&metadata.source, metadata.name.as_ref()) {
            (_, "flag") => "flag".to_owned(),
            (Some(source), _) if source.file_path().is_some() => source.to_string(),
            (_, name) if name.contains("environment") => {
                format!("ALLUVIUM_{}", key.replace('.', "__").to_uppercase())
            }
            _ => "default".to_owned(),
        }
    }
}

/// The effective value of every key, as text, in the order of [`keys`]; `None`: not set.
pub fn values(settings: &Settings) -> anyhow::Result<Vec<(&'static str, Option<String>)>> {
    let tree = toml::Value::try_from(settings).context("settings are always TOML")?;
    let value = |key: &str| {
        key.split('.').try_fold(&tree, |at, part| at.get(part)).map(|value| match value {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    Ok(keys().iter().map(|key| (key.name, value(key.name))).collect())
}

struct Named<'a> {
    name: &'static str,
    values: &'a Flags,
}

impl figment::Provider for Named<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> figment::Result<figment::value::Map<figment::Profile, figment::value::Dict>> {
        Serialized::defaults(self.values).data()
    }
}

#[cfg(test)]
mod tests;
