//! What a replay makes of its files.

use alluvium_core::clock::Micros;

use crate::Pace;

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// One event per line. Names ending in `.ndjson`, `.jsonl` or `.json`.
    Ndjson,
    /// A header line, then one reading per row. Names ending in `.csv`.
    Csv,
}

/// Whether times are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shift {
    /// They stay.
    #[default]
    None,
    /// All times of a file move by the same amount, so that its newest is this one. The file is read once more, before.
    NewestTo(Micros),
}

/// What a replay makes of its files.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaySettings {
    /// How the files are laid out; `None`: their names tell.
    pub format: Option<FileFormat>,
    /// The CSV column of the time; `None`: the first of `timestamp`, `time`, `event_time`, `datetime`, `date` and `ts` that is
    /// there, in any case.
    pub time_column: Option<String>,
    /// The CSV columns that become the event's data; empty: all but that of the time.
    pub value_columns: Vec<String>,
    /// What separates CSV cells. Default: a comma.
    pub delimiter: u8,
    /// The `type` of events from CSV. Default: `reading`.
    pub event_type: String,
    /// The `source` of events from CSV; `None`: the file's stem.
    pub source: Option<String>,
    /// Whether times are moved.
    pub shift: Shift,
    /// How fast the events are to be sent; also decides whether files come one after the other or together.
    pub pace: Pace,
}

impl Default for ReplaySettings {
    fn default() -> Self {
        Self {
            format: None,
            time_column: None,
            value_columns: Vec::new(),
            delimiter: b',',
            event_type: "reading".to_owned(),
            source: None,
            shift: Shift::None,
            pace: Pace::Unlimited,
        }
    }
}
