//! `alluvium dead-letters`: what could not become a row, and why.

use alluvium_local::sql::Condition;
use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::util::display::array_value_to_string;

use crate::target::Target;
use crate::{Common, Outcome, output, sql};

/// Look at the dead letters: the events that could not become a row, with the reason.
///
/// They are grouped by dataset and reason: how many there are, how many of them were sent again, when the first and the last
/// arrived, and what is wrong with the newest. With --show each is shown by itself, the newest first, with its original. What was
/// acknowledged in the last few seconds is not there yet.
///
/// `alluvium redrive` sends them again once what kept them from being rows is mended.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Only those for which this SQL condition on the columns of `dead_letters` holds, such as `reason = 'schema_violated'`.
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<Condition>,
    /// Show single dead letters instead of groups.
    #[arg(long)]
    show: bool,
    /// The most groups or dead letters to show.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

impl Args {
    fn statement(&self) -> String {
        let condition = self.condition.as_ref().map_or_else(|| "true".to_owned(), ToString::to_string);
        let limit = self.limit;
        if self.show {
            return format!(
                "select event_id, dataset, reason, detail, pointer, owner, source, type, ingest_time, record, \"index\", \
                 redriven_at, original_bytes, original \
                 from dead_letters where {condition} order by ingest_time desc, event_id limit {limit}"
            );
        }
        format!(
            "select dataset, reason, count(*) as letters, count(redriven_at) as redriven, min(ingest_time) as first, \
             max(ingest_time) as last, first_value(detail order by ingest_time desc) as detail \
             from dead_letters where {condition} group by dataset, reason order by letters desc, dataset, reason limit {limit}"
        )
    }
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let settings = args.target.settings(common)?;
    let found = sql::ask(common, &args.target, &settings, &args.statement()).await?;
    if common.json {
        output::ndjson(&found)?;
    } else if found.iter().all(|rows| rows.num_rows() == 0) {
        output::line("There are no such dead letters.");
    } else if args.show {
        found.iter().try_for_each(show)?;
    } else {
        output::rows(&found, args.limit)?;
    }
    Ok(Outcome::Done)
}

/// Prints each dead letter in a few lines.
fn show(rows: &RecordBatch) -> anyhow::Result<()> {
    for row in 0..rows.num_rows() {
        let said = |name: &str| -> anyhow::Result<Option<String>> {
            let column = &rows[name];
            let is_there = column.is_valid(row);
            Ok(is_there.then(|| array_value_to_string(column, row)).transpose()?)
        };
        let text = |name: &str| -> anyhow::Result<String> {
            Ok(output::printable(&said(name)?.unwrap_or_else(|| "-".to_owned())))
        };
        output::line(format!("{} {}, dataset {}", text("event_id")?, text("reason")?, text("dataset")?));
        output::line(format!("    {}", text("detail")?));
        if said("pointer")?.is_some() {
            output::line(format!("    at {}", text("pointer")?));
        }
        output::line(format!(
            "    arrived {} of {}, source {}, type {}, event {} of {}",
            text("ingest_time")?,
            text("owner")?,
            text("source")?,
            text("type")?,
            text("index")?,
            text("record")?
        ));
        if said("redriven_at")?.is_some() {
            output::line(format!("    sent again {}", text("redriven_at")?));
        }
        let original = rows["original"].as_binary::<i32>().value(row);
        let whole = text("original_bytes")?;
        let kept =
            if whole == original.len().to_string() { String::new() } else { format!("the first of {whole} bytes: ") };
        output::line(format!("    {kept}{}", output::printable(&String::from_utf8_lossy(original))));
    }
    Ok(())
}
