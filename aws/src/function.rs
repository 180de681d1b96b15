//! What every function does when it starts: settings from its variables, schemas from its package, logs as JSON.
//!
//! Variables are named after settings: `ALLUVIUM_` and two underscores for a dot, so that `ALLUVIUM_HOT__TABLE` is `hot.table`. An
//! unknown one is refused by name, and so is one that is missing or of the wrong kind.

mod caller;
mod lines;

use std::path::PathBuf;
use std::sync::Arc;

use alluvium_core::dataset::DatasetsError;
use alluvium_core::{Datasets, SystemClock};
use figment::Figment;
use figment::error::Kind;
use figment::providers::Env;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use tracing::{Dispatch, Level};
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

pub use caller::caller;

use crate::trace::{Daemon, INVOCATION, Steps};

/// What the variables of settings begin with.
const PREFIX: &str = "ALLUVIUM_";

/// Which stage it is: every function has this variable, as a dimension of its metrics. It is no setting of any one.
const STAGE: &str = "stage";

/// The folder of the package that holds the schemas.
const DATASETS: &str = "datasets";

/// The stage of a function that nobody told of one.
const NO_STAGE: &str = "local";

/// What is logged when no setting says so.
pub const DEFAULT_VERBOSITY: &str = "info";

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A variable cannot be used. The message names it and says what would be right.
    #[error("the settings cannot be used: {0}")]
    Settings(String),
    /// The schemas cannot be used.
    #[error("the schemas in the package cannot be used: {0}")]
    Datasets(#[from] DatasetsError),
    /// It does not run where functions do.
    #[error("the variable LAMBDA_TASK_ROOT is not set, so that nobody knows where the package's `datasets` are")]
    NoPackage,
}

/// The settings that the variables give.
///
/// # Errors
///
/// Names each variable that is unknown, missing or wrong.
pub fn settings<S: DeserializeOwned>() -> Result<S, StartError> {
    let settings = Figment::from(Env::prefixed(PREFIX).ignore(&[STAGE]).split("__")).extract();
    settings.map_err(|errors| StartError::Settings(explain(errors)))
}

/// The stage whose function this is, for [`Metrics`](crate::Metrics).
pub fn stage() -> String {
    Env::var(&variable(STAGE)).filter(|stage| !stage.is_empty()).unwrap_or_else(|| NO_STAGE.to_owned())
}

/// The error for the setting `key`, such as `hot.margin`, whose value is of the right kind and cannot be used all the same.
pub fn wrong_setting(key: &str, problem: impl std::fmt::Display) -> StartError {
    StartError::Settings(format!("{}: {problem}", variable(key)))
}

/// The schemas in the function's package: every file of `datasets`. A `default_dataset` takes what no schema claims.
///
/// # Errors
///
/// When the package has no such folder, or a schema in it cannot be used.
pub fn datasets(default_dataset: Option<&str>) -> Result<Datasets, StartError> {
    Ok(Datasets::load(Some(&package_folder(DATASETS)?), default_dataset)?)
}

/// A folder of the function's package. It need not be there.
///
/// # Errors
///
/// Where no function runs.
pub fn package_folder(name: &str) -> Result<PathBuf, StartError> {
    let root = Env::var("LAMBDA_TASK_ROOT").ok_or(StartError::NoPackage)?;
    Ok(PathBuf::from(root).join(name))
}

/// Crates that would log whole events at `trace`, tokens and bodies in them.
const TALKATIVE: [&str; 3] = ["aws_smithy_runtime", "lambda_http", "lambda_runtime"];

/// Begins to log, to standard output, and to trace, as [`subscriber`] does.
///
/// # Errors
///
/// When `verbosity` cannot be used.
pub fn log(verbosity: &str) -> Result<(), StartError> {
    let daemon = Env::var("AWS_XRAY_DAEMON_ADDRESS").and_then(|address| Daemon::at(&address));
    let name = Env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "alluvium".to_owned());
    let subscriber = subscriber(verbosity, Steps::new(&name, daemon, Arc::new(SystemClock)), std::io::stdout)?;
    // In a test, another one may have begun before.
    let _ = subscriber.try_init();
    Ok(())
}

/// What takes a function's log, JSON, a line each, and its steps. `verbosity` is a level or a filter such as `info,alluvium_aws=debug`. What
/// would show an event is never logged, whatever it says; whose invocation a line is of always is.
///
/// # Errors
///
/// When `verbosity` is neither.
pub fn subscriber<W>(verbosity: &str, steps: Steps, out: W) -> Result<Dispatch, StartError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(verbosity).map_err(|error| {
        wrong_setting("verbosity", format!("{error}; expected `info` or `info,alluvium_aws=debug`"))
    })?;
    let shows_no_event = filter_fn(|line| {
        *line.level() <= Level::INFO || !TALKATIVE.iter().any(|talkative| line.target().starts_with(talkative))
    });
    let invocations = format!("{INVOCATION}=info").parse().expect("a module and a level are a directive");
    let lines = tracing_subscriber::fmt::layer().event_format(lines::Lines).with_writer(out);
    let registry = tracing_subscriber::registry()
        .with(steps.with_filter(filter_fn(Steps::wants)))
        .with(lines.with_filter(shows_no_event.and(filter.add_directive(invocations))));
    Ok(registry.into())
}

/// Reads a text that looks like a number all the same: figment takes a variable's `12345` for one.
///
/// # Errors
///
/// When it is neither text nor a whole number.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected text")]
    enum Read {
        Text(String),
        Number(u64),
    }
    Ok(Some(match Read::deserialize(deserializer)? {
        Read::Text(text) => text,
        Read::Number(number) => number.to_string(),
    }))
}

fn explain(errors: figment::Error) -> String {
    let sentences: Vec<_> = errors.into_iter().map(|error| explain_one(&error)).collect();
    sentences.join("; ")
}

/// Says of one error which variable it is about. Figment's own text names the key as the settings have it.
fn explain_one(error: &figment::Error) -> String {
    let path = error.path.join(".");
    match &error.kind {
        Kind::MissingField(field) => format!("{} is not set", variable(&below(&error.path, field))),
        Kind::UnknownField(field, known) => {
            // The path ends in the field itself.
            let parent = error.path.strip_suffix(std::slice::from_ref(field)).unwrap_or(&error.path);
            let known: Vec<_> = known.iter().map(|field| variable(&below(parent, field))).collect();
            let unknown = variable(&below(parent, field));
            format!("{unknown} is no setting of this function; known here: {}", known.join(", "))
        }
        kind if path.is_empty() => kind.to_string(),
        kind => format!("{}: {kind}", variable(&path)),
    }
}

/// The key of a field in the section at `path`.
fn below(path: &[String], field: &str) -> String {
    path.iter().map(String::as_str).chain([field]).collect::<Vec<_>>().join(".")
}

/// The variable of a setting.
fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

#[cfg(test)]
mod tests;
