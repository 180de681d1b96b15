//! `alluvium replay`: real files as events.

use std::path::PathBuf;

use alluvium_core::{Clock as _, SystemClock};
use alluvium_ingest::replay::{FileFormat, Shift};
use alluvium_ingest::{Bodies, BodySettings, Pace, Replay, ReplaySettings};

use crate::sending::{self, Destination};
use crate::{Common, Outcome};

/// Send files of readings to a node: NDJSON, or CSV time series (`timestamp,value` and friends).
///
/// A CSV file is one source, named after the file. Ids are derived from file and line, so that replaying a file again is a
/// retry: nothing is there twice.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: Destination,
    /// NDJSON (`.ndjson`, `.jsonl`, `.json`) and CSV (`.csv`) files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How the files are laid out, whatever their names say.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The CSV column of the time; without it, the first of `timestamp`, `time`, `event_time`, `datetime`, `date`, `ts`.
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// A CSV column that becomes a field of the event, several times for several; without it, all but that of the time.
    #[arg(long = "value-column", value_name = "COLUMN")]
    value_columns: Vec<String>,
    /// What separates CSV cells.
    #[arg(long, value_name = "CHAR", default_value_t = ',')]
    delimiter: char,
    /// The `type` of events from CSV.
    #[arg(long = "type", value_name = "TYPE", default_value = "reading")]
    event_type: String,
    /// The `source` of events from CSV; without it, the file's stem.
    #[arg(long)]
    source: Option<String>,
    /// Move each file's times by the same amount, so that its newest reading is at this time: `now`, or RFC 3339.
    #[arg(long, value_name = "TIME")]
    shift_to: Option<String>,
    /// Send as the times say, this many times faster than it happened; without it, as fast as they are taken.
    #[arg(long, value_name = "FACTOR")]
    speed: Option<f64>,
    /// Events per request.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    batch: u64,
}

/// How a file is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One event per line.
    Ndjson,
    /// A header line, then one reading per row.
    Csv,
}

impl Args {
    fn settings(&self) -> anyhow::Result<ReplaySettings> {
        let shift = match self.shift_to.as_deref() {
            None => Shift::None,
            Some("now") => Shift::NewestTo(SystemClock.now_micros()),
            Some(time) => {
                let time: jiff::Timestamp = time.parse().map_err(|error| {
                    anyhow::anyhow!("--shift-to {time}: {error}; expected `now` or a time such as 2026-01-01T00:00:00Z")
                })?;
                Shift::NewestTo(time.as_microsecond())
            }
        };
        let pace = match self.speed {
            None => Pace::Unlimited,
            Some(speed) if speed > 0.0 && speed.is_finite() => Pace::Speed(speed),
            Some(speed) => anyhow::bail!("--speed {speed}: expected a factor above 0, such as 1 for real time"),
        };
        let delimiter = u8::try_from(self.delimiter)
            .map_err(|_| anyhow::anyhow!("--delimiter {}: expected one ASCII character", self.delimiter))?;
        Ok(ReplaySettings {
            format: self.format.map(|format| match format {
                Format::Ndjson => FileFormat::Ndjson,
                Format::Csv => FileFormat::Csv,
            }),
            time_column: self.time_column.clone(),
            value_columns: self.value_columns.clone(),
            delimiter,
            event_type: self.event_type.clone(),
            source: self.source.clone(),
            shift,
            pace,
        })
    }
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let settings = args.settings()?;
    let pace = settings.pace;
    let replay = Replay::open(&args.files, &settings)?;
    let bodies = Bodies::of(replay, BodySettings { events: args.batch, ..BodySettings::default() }, pace);
    sending::send(common, &args.to, bodies, None).await
}
