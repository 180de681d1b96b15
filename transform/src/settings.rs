//! What an operator can set.

use std::time::Duration;

use alluvium_core::hot::BUCKETS;
use alluvium_core::limits;

use crate::pseudonym::PseudonymKey;
use crate::scan::SCANNED_BYTES;

/// The deepest nesting that can be allowed, whatever the settings say: what common JSON readers take, and so what can still
/// be read from the column `extra`.
pub(crate) const MAX_JSON_DEPTH: usize = 128;

/// Limits and names of the transform. The same batch gives the same bytes only under the same settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformSettings {
    /// Whose data a record is that was put straight into the stream, or came in without an owner. Default `anonymous`.
    pub stream_owner: String,
    /// The most bytes of one event.
    pub event_bytes: usize,
    /// The deepest nesting of JSON in an event; the event itself is the first level. More than 128 counts as 128.
    pub json_depth: usize,
    /// The most bytes that one compressed record may expand to.
    pub record_expanded_bytes: usize,
    /// The most bytes that the compressed records of one batch may expand to together, with 32 more for each event of the batch,
    /// and one for every four columns of its dataset.
    pub batch_expanded_bytes: usize,
    /// The most bytes of an original that a dead letter keeps.
    pub dead_letter_original_bytes: usize,
    /// The most bytes of rows that `convert` collects to sort them together; the size of its working memory, roughly.
    pub sort_bytes: usize,
    /// How much longer than the dataset's hot retention a hot chunk is kept, to cover the lag of commits. Default one hour.
    pub hot_margin: Duration,
    /// Into how many buckets the hot index spreads its chunks.
    pub hot_buckets: u16,
    /// What pseudonyms are made with; needed when a dataset pseudonymises a property.
    pub pseudonym_key: Option<PseudonymKey>,
}

impl Default for TransformSettings {
    fn default() -> Self {
        Self {
            stream_owner: "anonymous".to_owned(),
            event_bytes: limits::EVENT_BYTES,
            json_depth: limits::JSON_DEPTH,
            record_expanded_bytes: limits::RECORD_EXPANDED_BYTES,
            batch_expanded_bytes: limits::BATCH_EXPANDED_BYTES,
            dead_letter_original_bytes: limits::DEAD_LETTER_ORIGINAL_BYTES,
            sort_bytes: 1 << 30,
            hot_margin: Duration::from_secs(3600),
            hot_buckets: BUCKETS,
            pseudonym_key: None,
        }
    }
}

impl TransformSettings {
    pub(crate) fn depth_limit(&self) -> u32 {
        self.json_depth.min(MAX_JSON_DEPTH) as u32
    }

    /// The size limit of an event.
    pub(crate) fn event_limit(&self) -> usize {
        self.event_bytes.min(SCANNED_BYTES)
    }
}
