//! `alluvium audit`: is every event accounted for?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "aws")]
use alluvium_aws::CloudWatchCounts;
use alluvium_core::clock::Micros;
use alluvium_core::ports::{PortError, ShardState, Stream as _};
use alluvium_core::{Clock as _, Datasets, DeliveryBatch, SequenceNumber, ShardId, ShardRange, SystemClock, duration};
#[cfg(feature = "aws")]
use alluvium_lake::{AskedCounts, AskedWindow};
use alluvium_lake::{
    AuditReport, AuditSettings, DatasetAudit, DayAudit, LakeError, LakeReader, StoreIndex, StreamCounts,
};
use alluvium_local::disk::RealDisk;
use alluvium_local::folder::DataFolder;
use alluvium_local::log::Log;
use alluvium_local::pipeline::Pipeline;
use alluvium_query::api::parse_time;
use alluvium_transform::Transform;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings::Settings;
#[cfg(feature = "aws")]
use crate::stage::{
    OnStage,
    lake::{Depth, StageLake, retries},
};
use crate::target::{Target, open_folder};
use crate::{Common, Outcome, node, output, sql};

/// How much of the log is counted at a time.
const PAGE_BYTES: usize = 8 * 1024 * 1024;
/// For how long the ledger is held against what CloudWatch counted, unless something else is said.
#[cfg(feature = "aws")]
const COUNTED: Duration = Duration::from_secs(3_600);
/// How many days a person is shown; --json has all.
const SHOWN_DAYS: usize = 31;

/// Check that every event is accounted for: the log, the ledger, the tables and their files must agree.
///
/// Counts the events in the log again (as far as the log still holds them), adds up the ledger, counts the tables' rows, and
/// looks for every data file. Names what does not balance and ends with exit code 1.
///
/// Beside that it says what arrived each day and what became of it. Alarm on the exit code; of a node that audits itself, on
/// `alluvium_audit_problems` at /metrics. Never alarm on `ledger_difference` of --json alone: events of which the ledger does not say
/// what became, and rows that tables have too few or too many by it. Lost records, overdue messages and deleted files are not in it.
///
/// On a stage's lake a commit message that is stored and whose batch is in no table is wrong too, when it waits for longer than
/// ten minutes: its path is in no queue any more, or its committer does not get through. --repair enqueues it again.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    asked: Asked,
    /// A stage's lake, instead of a folder; together with its stream. Best asked when the commit queue is empty.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "s3://BUCKET/PREFIX", conflicts_with_all = ["data", "url"], requires = "stream", group = "on_aws")]
    lake: Option<alluvium_aws::LakeUrl>,
    /// The stage's Kinesis stream.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME", requires = "lake")]
    stream: Option<String>,
    /// How long a stored commit message may wait before it is wrong that its batch is in no table.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration::parse, requires = "on_aws")]
    commit_within: Duration,
    /// Look for every event, too: transform what the stream retains once more, and look in the tables for each row that comes of it. It takes
    /// as long as it takes to read the stream and the ids of all rows since, and the stage's schemas, and its key for pseudonyms if it has one.
    #[cfg(feature = "aws")]
    #[arg(long, requires = "on_aws")]
    deep: bool,
    /// Of a stage (--stage): for how long the ledger is held against what CloudWatch counted of the stream: records put, and records that Firehose
    /// read; an hour, unless it is said. The window ends half an hour ago. CloudWatch keeps minutes for 15 days, five minutes for 63 days and hours
    /// for 455.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "on_aws")]
    counted: Option<Duration>,
    /// Enqueue such messages again. The report and the exit code are of how things stood before.
    #[cfg(feature = "aws")]
    #[arg(long, requires = "on_aws")]
    repair: bool,
    /// The commit queue of the stage whose lake is named with --lake.
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "URL", requires_all = ["repair", "lake"])]
    queue: Option<String>,
}

/// What is asked for.
#[derive(Debug, Clone, Default, clap::Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Show the sums of what has arrived since then: `24h`, `7d`, or RFC 3339. The checks run over everything all the same.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Show the sums of this dataset alone; `dead_letters` for the events of none. The checks run over everything all the same.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
}

impl Asked {
    /// The settings of an audit that is made now.
    ///
    /// # Errors
    ///
    /// When the time is none.
    pub fn settings(&self, now: Micros) -> anyhow::Result<AuditSettings> {
        let since = self.since.as_deref().map(|text| since(text, now)).transpose()?;
        Ok(AuditSettings { since, dataset: self.dataset.clone(), ..AuditSettings::at(now) })
    }
}

/// Reads how long ago, or when. A bare number is neither: `24` is hours for who writes it, and no second of 1970.
fn since(text: &str, now: Micros) -> anyhow::Result<Micros> {
    if duration::parse(text).is_ok() {
        return parse_time(&format!("-{text}"), now).map_err(anyhow::Error::msg);
    }
    let is_number = text.parse::<i64>().is_ok();
    parse_time(text, now).ok().filter(|_| !is_number).ok_or_else(|| {
        let text: String = text.chars().take(40).collect();
        anyhow::anyhow!(
            "--since: `{text}` is no time; expected how long ago (`24h`, `7d`) or RFC 3339 (`2026-01-31T12:00:00Z`)"
        )
    })
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let asked = args.asked.settings(SystemClock.now_micros())?;
    #[cfg(feature = "aws")]
    if let Some(audited) = AuditedStage::of(common, &args).await? {
        let counts = audited.counts(asked.now, args.counted).await?;
        let asked = AuditSettings { commit_within: args.commit_within, counts, ..asked };
        let depth = if args.deep { Depth::Events } else { Depth::Records };
        let report = audited.lake.audit(&audited.stream, &asked, depth).await?;
        let outcome = tell(common, &report)?;
        if args.repair {
            let queue = audited.queue.ok_or_else(|| anyhow::anyhow!("--repair: name the commit queue with --queue"))?;
            audited.lake.enqueue(&queue, report.overdue()).await?;
        }
        return Ok(outcome);
    }
    let settings = args.target.settings(common)?;
    let report: AuditReport = match args.target.node(&settings)? {
        Some(node) => {
            let Asked { since, dataset } = args.asked;
            let query = [("since", since), ("dataset", dataset)];
            let query: Vec<_> = query.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            node.post("/admin/audit", &query).await?
        }
        None => audit_folder(&settings, &asked).await?,
    };
    tell(common, &report)
}

/// The parts of a stage that are audited.
#[cfg(feature = "aws")]
struct AuditedStage {
    lake: StageLake,
    stream: String,
    queue: Option<String>,
    /// The stage, where it is known by its name.
    on: Option<OnStage>,
}

#[cfg(feature = "aws")]
impl AuditedStage {
    async fn of(common: &Common, args: &Args) -> anyhow::Result<Option<Self>> {
        if let Some(on) = args.target.stage(common).await? {
            let (stream, queue) = (on.stage.stream.clone(), on.stage.commit_queue.clone());
            return Ok(Some(Self { lake: on.lake()?, stream, queue: Some(queue), on: Some(on) }));
        }
        let (Some(lake), Some(stream)) = (&args.lake, &args.stream) else { return Ok(None) };
        let lake = StageLake::at(&args.target.settings(common)?, lake).await?;
        Ok(Some(Self { lake, stream: stream.clone(), queue: args.queue.clone(), on: None }))
    }

    /// What CloudWatch counted of the stage's stream; `None`: the stage is not known by its name.
    async fn counts(&self, now: Micros, length: Option<Duration>) -> anyhow::Result<Option<AskedCounts>> {
        let Some(OnStage { aws, stage, .. }) = &self.on else {
            anyhow::ensure!(length.is_none(), "--counted: name the stage by --stage, not its parts");
            return Ok(None);
        };
        let length = length.unwrap_or(COUNTED);
        let delivery = stage.delivery_stream.as_deref();
        let counts = CloudWatchCounts::new(aws, &stage.stream, delivery, Arc::new(SystemClock), retries())?;
        Ok(Some(AskedWindow { now, length, buffer: stage.kept.buffer }.count(&counts).await))
    }
}

fn tell(common: &Common, report: &AuditReport) -> anyhow::Result<Outcome> {
    if common.json {
        let mut value = serde_json::to_value(report)?;
        value["balances"] = Value::Bool(report.balances());
        output::json(&value);
    } else {
        print(report);
    }
    Ok(if report.balances() { Outcome::Done } else { Outcome::Failed })
}

async fn audit_folder(settings: &Settings, asked: &AuditSettings) -> anyhow::Result<AuditReport> {
    let folder = open_folder(&settings.data)?;
    let datasets = Arc::new(node::datasets(settings)?);
    let log = log_of(settings, &folder)?;
    let transform = Arc::new(Transform::new(datasets.clone(), node::transform_settings(settings)?)?);
    let store = sql::store(&folder)?;
    let reader = LakeReader::new(store.clone(), folder.lake_url());
    Ok(Audited { reader, store, datasets, log: Arc::new(log), transform }.audit(asked).await?)
}

/// The log of a folder on which no node runs.
///
/// # Errors
///
/// When it cannot be opened.
pub fn log_of(settings: &Settings, folder: &DataFolder) -> anyhow::Result<Log> {
    let mut log_settings = node::log_settings(settings);
    // A log keeps the number of shards that it was made with; only a node that is to write to it must be told the same.
    if let Some(shards) = Log::shards_in(&RealDisk, &folder.log())? {
        log_settings.shards = shards;
    }
    let (log, _) = Log::open(Arc::new(RealDisk), &folder.log(), log_settings, Arc::new(SystemClock))?;
    Ok(log)
}

/// The tables of one machine, and the log that fed them.
pub struct Audited {
    reader: LakeReader,
    store: Arc<dyn ObjectStore>,
    datasets: Arc<Datasets>,
    log: Arc<Log>,
    transform: Arc<Transform>,
}

impl Audited {
    /// Those of a running node.
    pub fn of(pipeline: &Pipeline) -> Self {
        Self {
            reader: pipeline.lake_reader(),
            store: pipeline.store.clone(),
            datasets: pipeline.datasets.clone(),
            log: pipeline.log.clone(),
            transform: pipeline.transform.clone(),
        }
    }

    /// Audits the tables against the log.
    ///
    /// # Errors
    ///
    /// When a table or the log cannot be read; what does not balance is in the report, not an error.
    pub async fn audit(self, asked: &AuditSettings) -> Result<AuditReport, LakeError> {
        let counts = LogCounts { log: self.log, transform: self.transform };
        let index = StoreIndex::new(self.store);
        alluvium_lake::audit(&self.reader, &self.datasets, &index, &counts, asked).await
    }
}

/// Counts the events in runs of the log's records, by the transform's own reading of them.
struct LogCounts {
    log: Arc<Log>,
    transform: Arc<Transform>,
}

impl LogCounts {
    async fn state(&self, shard: &ShardId) -> Result<Option<ShardState>, PortError> {
        Ok(self.log.shards().await?.into_iter().find(|state| state.shard == *shard))
    }
}

#[async_trait::async_trait]
impl StreamCounts for LogCounts {
    async fn received(&self, run: &ShardRange) -> Result<Option<BTreeMap<String, u64>>, PortError> {
        if self.oldest(&run.shard).await?.is_none_or(|oldest| oldest > run.first) {
            return Ok(None);
        }
        let mut counts = BTreeMap::new();
        let mut after = before(run.first);
        while after.is_none_or(|after| after < run.last) {
            let mut page = self.log.read(&run.shard, after, PAGE_BYTES, Duration::ZERO).await?;
            page.records.retain(|record| record.identity.sequence <= run.last);
            let Some(last) = page.records.last() else { return Ok(None) };
            after = Some(last.identity.sequence);
            for (dataset, count) in self.transform.received(&DeliveryBatch { records: page.records }) {
                *counts.entry(dataset).or_default() += count;
            }
        }
        Ok(Some(counts))
    }

    async fn oldest(&self, shard: &ShardId) -> Result<Option<SequenceNumber>, PortError> {
        Ok(self.state(shard).await?.and_then(|state| state.oldest))
    }

    async fn newest(&self, shard: &ShardId) -> Result<Option<SequenceNumber>, PortError> {
        Ok(self.state(shard).await?.and_then(|state| state.newest))
    }
}

/// The position just before a record of the local log.
fn before(sequence: SequenceNumber) -> Option<SequenceNumber> {
    sequence.as_u64().and_then(|number| number.checked_sub(1)).filter(|number| *number > 0).map(Into::into)
}

/// Prints the report for a person: what became of the events, one row per table, then every check.
pub fn print(report: &AuditReport) {
    match &report.selected {
        None => print_sums(&report.datasets),
        Some(selected) => {
            let since = selected.since.map(|since| format!(", arrived since {}", output::time(since)));
            let dataset = selected.dataset.as_deref().unwrap_or("every dataset");
            output::line(format!("Of {dataset}{}:", since.unwrap_or_default()));
            print_sums(&selected.datasets);
        }
    }
    if report.days.len() > 1 {
        print_days(&report.days);
    }
    let count = |number: u64| output::thousands(number);
    let rows = report.tables.iter().map(|table| {
        let sums = report.datasets.iter().find(|sums| sums.dataset == table.table).cloned().unwrap_or_default();
        [
            table.table.clone(),
            count(table.rows),
            count(sums.duplicates),
            count(sums.expired),
            count(sums.erased),
            table.files.to_string(),
            output::bytes(table.size_bytes),
            table.orphans.to_string(),
        ]
    });
    output::table(["table", "rows", "- duplicates", "- expired", "- erased", "files", "size", "orphans"], rows);
    for check in &report.checks {
        output::line(format!("{} {}", if check.passed { "ok   " } else { "WRONG" }, check.name));
        for sentence in &check.problems {
            output::line(format!("      {sentence}"));
        }
        for sentence in &check.notes {
            output::line(format!("      {sentence}"));
        }
    }
    if report.ledger_difference > 0 {
        let events = output::counted(report.ledger_difference, "event or row", "events and rows");
        output::line(format!("The ledger and the tables differ by {events}."));
    }
    output::line(if report.balances() { "The audit balances." } else { "The audit does NOT balance." });
}

fn print_sums(datasets: &[DatasetAudit]) {
    let count = |number: u64| output::thousands(number);
    let row = |name: &str, sums: &DatasetAudit| {
        let DatasetAudit { received, written, filtered, dead, bytes, .. } = sums;
        [name.to_owned(), count(*received), count(*written), count(*filtered), count(*dead), output::bytes(*bytes)]
    };
    let named = |sums: &DatasetAudit| match sums.dataset.as_str() {
        "dead_letters" => row("(of no dataset)", sums),
        name => row(name, sums),
    };
    let mut rows: Vec<_> = datasets.iter().map(named).collect();
    rows.push(row("total", &DatasetAudit::sum_of(datasets)));
    output::table(["dataset", "received", "= written", "+ filtered", "+ dead", "bytes"], rows);
}

/// Prints the newest days, the newest last.
fn print_days(days: &[DayAudit]) {
    let count = |number: u64| output::thousands(number);
    let rows = days[days.len().saturating_sub(SHOWN_DAYS)..].iter().map(|day| {
        let DayAudit { day, received, written, filtered, dead, missing } = day;
        [day.clone(), count(*received), count(*written), count(*filtered), count(*dead), missing.to_string()]
    });
    output::table(["arrived on", "received", "= written", "+ filtered", "+ dead", "+ missing"], rows);
}
