//! Reading the settings: the defaults, then the file, then the environment, then the flags.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::{Figment, Metadata};
use serde::Serialize;

use super::check::check;
use super::{DEFAULT_FILE, DEFAULT_REPORTS, Settings};

/// Variables with our prefix that are no settings.
const NOT_SETTINGS: [&str; 1] = ["token"];

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
