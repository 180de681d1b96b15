//! What the demo prints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use alluvium_lake::AuditReport;
use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use serde_json::{Value, json};

use super::load::Expected;
use super::probe::{Probes, quantile};
use crate::client::Client;
use crate::sending::Sent;
use crate::{Common, audit, output};

/// The questions in SQL that the demo asks.
const QUESTIONS: [&str; 3] = [
    "select count(*) as events, count(distinct source) as devices, max(event_time) as newest from telemetry",
    "select unit, count(*) as readings, round(avg(value), 2) as average, min(value) as least, max(value) as most \
     from telemetry where unit is not null group by unit order by readings desc",
    "select source, count(*) as readings from telemetry group by source order by readings desc, source limit 5",
];

/// What the node answered once everything was committed.
pub struct Answers {
    /// To the [`QUESTIONS`], in order.
    pub sql: Vec<Vec<RecordBatch>>,
    /// Events in the de-duplicated view.
    pub distinct: u64,
    /// Dead letters by reason.
    pub dead: BTreeMap<String, u64>,
    /// The newest records of the busiest device, as the API gave them.
    pub recent: Value,
    /// That device.
    pub busiest: String,
}

impl Answers {
    /// Asks everything.
    pub async fn ask(client: &Client) -> anyhow::Result<Self> {
        let mut sql = Vec::new();
        for question in QUESTIONS {
            sql.push(client.sql(question).await?);
        }
        let distinct = sql[0][0].column(0).as_primitive::<Int64Type>().value(0) as u64;
        let busiest = text(&sql[2], 0).into_iter().next().unwrap_or_default();
        let reasons = client.sql("select reason, count(*) from dead_letters group by reason order by reason").await?;
        let counts = reasons.iter().flat_map(|batch| batch.column(1).as_primitive::<Int64Type>().values().to_vec());
        let dead = text(&reasons, 0).into_iter().zip(counts.map(|count| count as u64)).collect();
        let query = [("source", busiest.clone()), ("limit", "3".to_owned())];
        let recent = client.get("/v1/telemetry", &query).await?;
        Ok(Self { sql, distinct, dead, recent, busiest })
    }
}

/// A column of text as it comes from the engine, whichever layout it chose.
fn text(batches: &[RecordBatch], column: usize) -> Vec<String> {
    let formatted = batches.iter().flat_map(|batch| {
        let array =
            arrow::compute::cast(batch.column(column), &arrow::datatypes::DataType::Utf8).expect("text casts to text");
        array.as_string::<i32>().iter().map(|value| value.unwrap_or_default().to_owned()).collect::<Vec<_>>()
    });
    formatted.collect()
}

/// Everything that the demo found out.
pub struct Report {
    pub url: String,
    pub kept: Option<PathBuf>,
    pub expected: Expected,
    pub sent: Sent,
    pub probes: Probes,
    pub sending_took: Duration,
    pub settled_after: Duration,
    pub committed: u64,
    pub answers: Answers,
    pub audit: AuditReport,
}

impl Report {
    /// What is not as it should be; empty when all is well.
    pub fn problems(&self) -> Vec<String> {
        let dead: BTreeMap<String, u64> =
            self.expected.dead.iter().map(|(reason, count)| (reason.to_string(), *count)).collect();
        let acknowledged = self.sent.events + self.probes.sent();
        let checks = [
            ("events acknowledged", self.expected.sent.to_string(), acknowledged.to_string()),
            ("events committed", self.expected.sent.to_string(), self.committed.to_string()),
            ("events in the view", self.expected.distinct.to_string(), self.answers.distinct.to_string()),
            ("rows in the table", self.expected.rows.to_string(), self.telemetry().rows.to_string()),
            ("dead letters by reason", format!("{dead:?}"), format!("{:?}", self.answers.dead)),
        ];
        let mut problems: Vec<_> = checks
            .into_iter()
            .filter(|(_, wanted, found)| wanted != found)
            .map(|(what, wanted, found)| format!("{what}: expected {wanted}, found {found}"))
            .collect();
        if !self.audit.balances() {
            problems.push("the audit does not balance".to_owned());
        }
        problems
    }

    fn telemetry(&self) -> alluvium_lake::TableAudit {
        self.audit.tables.iter().find(|table| table.table == "telemetry").cloned().unwrap_or_default()
    }

    /// Prints it for a person, or as JSON.
    pub fn print(&self, common: &Common) -> anyhow::Result<()> {
        if common.json {
            output::json(&self.as_json()?);
            return Ok(());
        }
        self.print_figures();
        output::line("\nThe ledger");
        audit::print(&self.audit);
        for (question, answer) in QUESTIONS.iter().zip(&self.answers.sql) {
            output::line(format!("\nsql> {question}"));
            output::rows(answer, 10)?;
        }
        output::line(format!("\nGET /v1/telemetry?source={}&limit=3", self.answers.busiest));
        for record in self.answers.recent["records"].as_array().into_iter().flatten() {
            output::line(record);
        }
        output::line(format!("\n{}", self.next_steps()));
        for problem in self.problems() {
            output::line(format!("WRONG: {problem}"));
        }
        Ok(())
    }

    fn print_figures(&self) {
        let seconds = |duration: Duration| output::seconds(duration.as_secs_f64());
        let latency = |q| seconds(self.sent.latencies.quantile(q).unwrap_or_default());
        let fresh = |values: &[f64]| {
            format!("p50 {}, p99 {}", output::seconds(quantile(values, 0.5)), output::seconds(quantile(values, 0.99)))
        };
        let rate = self.sent.events as f64 / self.settled_after.as_secs_f64();
        let table = self.telemetry();
        let dead: Vec<_> = self.answers.dead.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        let rows = [
            ("sent", format!("{} events in {}", output::thousands(self.expected.sent), seconds(self.sending_took))),
            ("acknowledged", output::thousands(self.sent.events + self.probes.sent())),
            (
                "committed",
                format!(
                    "{} after {}: {} events a second, all stages and the sender on this machine",
                    output::thousands(self.committed),
                    seconds(self.settled_after),
                    output::thousands(rate as u64)
                ),
            ),
            ("in the view", format!("{} events, each once", output::thousands(self.answers.distinct))),
            ("dead letters", dead.join(", ")),
            ("acknowledgement", format!("p50 {}, p99 {} for requests of 1,000 events", latency(0.5), latency(0.99))),
            ("to GET /v1", format!("{} from acknowledgement to readable", fresh(&self.probes.to_records))),
            ("to SQL", format!("{} from acknowledgement to committed", fresh(&self.probes.to_sql))),
            (
                "lake",
                format!(
                    "{} data files of telemetry, {}, {:.1} bytes an event (sent: {:.1})",
                    table.files,
                    output::bytes(table.size_bytes),
                    table.size_bytes as f64 / table.rows.max(1) as f64,
                    self.sent.bytes as f64 / self.sent.events.max(1) as f64
                ),
            ),
        ];
        output::line("");
        for (name, text) in rows {
            output::line(format!("{name:16} {text}"));
        }
    }

    fn next_steps(&self) -> String {
        let look = match &self.kept {
            Some(folder) => format!("  alluvium sql --data {} \"select * from ledger\"\n", folder.display()),
            None => {
                "  alluvium demo --keep demo-data          the same, and the data stays to look around in\n".to_owned()
            }
        };
        format!(
            "Next:\n{look}  \
             alluvium up --data my-data              a node of your own\n  \
             alluvium replay --data my-data testdata/nab/*.csv   real readings into it\n  \
             alluvium sql --data my-data \"select source, count(*) from telemetry group by source\""
        )
    }

    fn as_json(&self) -> anyhow::Result<Value> {
        let table = self.telemetry();
        Ok(json!({
            "url": self.url,
            "sent": self.expected.sent,
            "acknowledged": self.sent.events + self.probes.sent(),
            "committed": self.committed,
            "distinct": self.answers.distinct,
            "dead": self.answers.dead,
            "sending_seconds": self.sending_took.as_secs_f64(),
            "settled_seconds": self.settled_after.as_secs_f64(),
            "ack_p50_seconds": self.sent.latencies.quantile(0.5).unwrap_or_default().as_secs_f64(),
            "ack_p99_seconds": self.sent.latencies.quantile(0.99).unwrap_or_default().as_secs_f64(),
            "records_p50_seconds": quantile(&self.probes.to_records, 0.5),
            "records_p99_seconds": quantile(&self.probes.to_records, 0.99),
            "sql_p50_seconds": quantile(&self.probes.to_sql, 0.5),
            "sql_p99_seconds": quantile(&self.probes.to_sql, 0.99),
            "files": table.files,
            "bytes_per_event": table.size_bytes as f64 / table.rows.max(1) as f64,
            "audit": self.audit,
            "problems": self.problems(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_few_values_are_values_that_were_measured() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[1.0], 0.99), 1.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.99), 4.0);
    }
}
