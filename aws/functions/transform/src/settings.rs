//! The function's settings.

use std::time::Duration;

use alluvium_aws::LakeUrl;
use alluvium_aws::function::{DEFAULT_VERBOSITY, StartError, wrong_setting};
use alluvium_core::limits;
use alluvium_transform::{PseudonymKey, TransformSettings};
use serde::{Deserialize, Deserializer};

/// Every setting. Those that `alluvium up` has too mean what they mean in `docs/configuration.md`.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default = "verbosity")]
    pub verbosity: String,
    /// The lake's root: data files and commit messages lie under it.
    pub lake: LakeUrl,
    pub commit: Commit,
    pub hot: Hot,
    /// Whose data it is that was put straight into the stream.
    #[serde(default = "owner", deserialize_with = "required_text")]
    pub owner: String,
    #[serde(default, deserialize_with = "alluvium_aws::function::text")]
    pub default_dataset: Option<String>,
    /// Where the key of pseudonyms is: `secret:ARN`.
    #[serde(default)]
    pub pseudonym_key: Option<String>,
    #[serde(default)]
    pub limits: Limits,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The URL of the commit queue.
    pub queue: String,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hot {
    /// The name of the hot index's table.
    pub table: String,
    #[serde(default = "margin", with = "alluvium_core::duration::text")]
    pub margin: Duration,
    /// The URL of the queue of chunks that the table does not take in time; without it, the function waits until it does.
    #[serde(default)]
    pub buffer: Option<String>,
    /// The name of the table in which it is noted what waits there.
    #[serde(default)]
    pub waiting: Option<String>,
}

impl Hot {
    /// The queue's URL and the table's name, where chunks may wait.
    ///
    /// # Errors
    ///
    /// When there is one without the other.
    pub fn levelling(&self) -> Result<Option<(&str, &str)>, StartError> {
        match (&self.buffer, &self.waiting) {
            (Some(buffer), Some(waiting)) => Ok(Some((buffer, waiting))),
            (None, None) => Ok(None),
            (Some(_), None) => {
                Err(wrong_setting("hot.waiting", "not set; chunks in `hot.buffer` would be missed by reads"))
            }
            (None, Some(_)) => Err(wrong_setting("hot.buffer", "not set, so that nothing is noted in `hot.waiting`")),
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub event_bytes: usize,
    pub json_depth: usize,
    pub record_expanded_bytes: usize,
    pub dead_letter_original_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            event_bytes: limits::EVENT_BYTES,
            json_depth: limits::JSON_DEPTH,
            record_expanded_bytes: limits::RECORD_EXPANDED_BYTES,
            dead_letter_original_bytes: limits::DEAD_LETTER_ORIGINAL_BYTES,
        }
    }
}

fn verbosity() -> String {
    DEFAULT_VERBOSITY.to_owned()
}

fn owner() -> String {
    TransformSettings::default().stream_owner
}

fn margin() -> Duration {
    TransformSettings::default().hot_margin
}

fn required_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(alluvium_aws::function::text(deserializer)?.unwrap_or_default())
}

impl Settings {
    /// The transform's settings.
    pub fn transform(&self, pseudonym_key: Option<PseudonymKey>) -> TransformSettings {
        TransformSettings {
            stream_owner: self.owner.clone(),
            event_bytes: self.limits.event_bytes,
            json_depth: self.limits.json_depth,
            record_expanded_bytes: self.limits.record_expanded_bytes,
            dead_letter_original_bytes: self.limits.dead_letter_original_bytes,
            hot_margin: self.hot.margin,
            pseudonym_key,
            ..TransformSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_and_its_notes_come_together() {
        let levelling = |buffer: Option<&str>, waiting: Option<&str>| {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let hot = Hot { table: "t".into(), margin: margin(), buffer: text(buffer), waiting: text(waiting) };
            let found = hot.levelling().map(|found| found.map(|(buffer, waiting)| format!("{buffer} {waiting}")));
            found.map_err(|error| error.to_string())
        };
        assert_eq!(levelling(None, None), Ok(None));
        assert_eq!(levelling(Some("q"), Some("w")), Ok(Some("q w".to_owned())));
        assert!(levelling(Some("q"), None).unwrap_err().contains("ALLUVIUM_HOT__WAITING: not set"));
        assert!(levelling(None, Some("w")).unwrap_err().contains("ALLUVIUM_HOT__BUFFER: not set"));
    }
}
