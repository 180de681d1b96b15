//! Metrics in CloudWatch's embedded metric format: lines of JSON among those of the log, out of which CloudWatch makes metrics.
//!
//! A [`Metrics`] is of one invocation. What it counts adds up, times stay apart, and [`Metrics::flush`] writes it: one line for the
//! whole, which CloudWatch files under `Stage`, and one for each further dimension's value, filed under `Stage` and that dimension.
//! For in a line a metric's name stands once. What is said of a dataset or a reason is in the whole too.
//!
//! ```
//! # use std::time::Duration;
//! # use alluvium_aws::Metrics;
//! let mut metrics = Metrics::new("dev");
//! metrics.count("Records", 500);
//! metrics.millis("TransformMilliseconds", Duration::from_micros(8_250));
//! metrics.with("Dataset", "telemetry").count("Events", 1200).count("Rows", 1199);
//! metrics.flush(1_769_860_800_000_000);
//! ```
//!
//! Every combination of a metric and its dimensions' values is a metric that is paid for, so a dimension has few values: datasets,
//! reason codes, classes of status. [`MOST_VALUES`] is the most that an invocation writes of one.
//!
//! Sources: Amazon CloudWatch User Guide, "Specification: Embedded metric format"; Amazon CloudWatch API Reference, `MetricDatum`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use alluvium_core::clock::Micros;
use lambda_runtime::Context;
use serde_json::{Map, Value, json};

use crate::trace::{self, TraceHeader};

/// The namespace of every metric.
pub const NAMESPACE: &str = "Alluvium";
/// The most metrics of a line. Amazon CloudWatch User Guide, "Specification: Embedded metric format".
pub const LINE_METRICS: usize = 100;
/// The most values of a metric in a line. Amazon CloudWatch User Guide, "Specification: Embedded metric format".
pub const LINE_VALUES: usize = 100;
/// The most values of one dimension that an invocation writes; what belongs to others is filed under `other`. Our own.
pub const MOST_VALUES: usize = 100;
/// What stands for the values of a dimension that are too many.
const OTHER: &str = "other";

/// What one invocation has to report.
#[derive(Debug, Clone)]
pub struct Metrics {
    stage: String,
    /// What a line says beside its metrics, to be searched for.
    said: Vec<(&'static str, String)>,
    whole: Measures,
    /// By dimension and its value.
    parts: BTreeMap<(&'static str, String), Measures>,
}

/// The measures of one set of dimensions, by name.
type Measures = BTreeMap<&'static str, Measure>;

#[derive(Debug, Clone)]
struct Measure {
    unit: &'static str,
    values: Values,
}

#[derive(Debug, Clone)]
enum Values {
    Sum(i64),
    Each(Vec<f64>),
}

/// Adds to a number of the invocation under way, for those who do not have its [`Metrics`]: an adapter deep within. Outside of an
/// invocation it does nothing.
pub fn note(name: &'static str, things: u64) {
    trace::with_current(|_, invocation| invocation.note(name, things));
}

/// Reports to the whole and to one value of a dimension; see [`Metrics::with`].
#[derive(Debug)]
pub struct Part<'a> {
    whole: &'a mut Measures,
    part: &'a mut Measures,
}

impl Metrics {
    /// Nothing yet, of this stage.
    pub fn new(stage: impl Into<String>) -> Self {
        Self { stage: stage.into(), said: Vec::new(), whole: Measures::new(), parts: BTreeMap::new() }
    }

    /// Of the invocation that has this context: its lines carry `request_id` and `trace_id`, as those of the log do.
    pub fn of(stage: impl Into<String>, context: &Context) -> Self {
        let trace = context.xray_trace_id.as_deref().and_then(TraceHeader::read).map(|header| header.root);
        let mut metrics = Self::new(stage);
        metrics.said.push(("request_id", context.request_id.clone()));
        metrics.said.extend(trace.map(|trace| ("trace_id", trace)));
        metrics
    }

    /// Adds to a number of things. Adding none makes it a zero, where it would not be there otherwise.
    pub fn count(&mut self, name: &'static str, things: u64) -> &mut Self {
        add(&mut self.whole, name, "Count", whole_number(things));
        self
    }

    /// Adds to a number that may be negative, such as a difference.
    pub fn difference(&mut self, name: &'static str, things: i64) -> &mut Self {
        add(&mut self.whole, name, "Count", things);
        self
    }

    /// Adds to a number of bytes.
    pub fn bytes(&mut self, name: &'static str, bytes: u64) -> &mut Self {
        add(&mut self.whole, name, "Bytes", whole_number(bytes));
        self
    }

    /// One time more, in milliseconds.
    pub fn millis(&mut self, name: &'static str, time: Duration) -> &mut Self {
        put(&mut self.whole, name, "Milliseconds", millis(time));
        self
    }

    /// One time more, in seconds.
    pub fn seconds(&mut self, name: &'static str, time: Duration) -> &mut Self {
        put(&mut self.whole, name, "Seconds", millis(time) / 1000.0);
        self
    }

    /// A request was answered with this status.
    pub fn request(&mut self, status: u16) -> &mut Self {
        let class = match status {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500..600 => "5xx",
            _ => OTHER,
        };
        self.with("Status", class).count("Requests", 1);
        self
    }

    /// Reports what belongs to a value of a dimension, such as a dataset. It counts for the whole too.
    pub fn with(&mut self, dimension: &'static str, value: &str) -> Part<'_> {
        let of_dimension = || self.parts.keys().filter(|(other, _)| *other == dimension);
        let is_known = self.parts.contains_key(&(dimension, value.to_owned()));
        let value = if is_known || of_dimension().count() < MOST_VALUES { value } else { OTHER };
        let part = self.parts.entry((dimension, value.to_owned())).or_default();
        Part { whole: &mut self.whole, part }
    }

    /// Takes in what was noted for the invocation under way, see [`note`].
    pub fn take_noted(&mut self) -> &mut Self {
        trace::with_current(|_, invocation| {
            for (name, things) in invocation.take_noted() {
                self.count(name, things);
            }
        });
        self
    }

    /// The lines, as of this time; none when nothing was reported.
    pub fn lines(&self, at: Micros) -> Vec<String> {
        let parts = self.parts.iter().map(|((dimension, value), part)| (Some((*dimension, value.as_str())), part));
        let sets = [(None, &self.whole)].into_iter().chain(parts);
        sets.flat_map(|(dimension, measures)| {
            cut(measures).into_iter().map(move |measures| self.line(at, dimension, measures))
        })
        .collect()
    }

    /// Writes the lines to standard output, where Lambda takes them up, what was noted included. A line that cannot be written is lost,
    /// and does no other harm.
    pub fn flush(mut self, at: Micros) {
        self.take_noted();
        let mut out = std::io::stdout().lock();
        for line in self.lines(at) {
            let _ = out.write_all(format!("{line}\n").as_bytes());
        }
        let _ = out.flush();
    }

    fn line(
        &self,
        at: Micros,
        dimension: Option<(&'static str, &str)>,
        measures: Vec<(&'static str, &'static str, Value)>,
    ) -> String {
        let dimensions: Vec<_> = ["Stage"].into_iter().chain(dimension.map(|(name, _)| name)).collect();
        let metrics = measures.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit}));
        let directive = json!({
            "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics.collect::<Vec<_>>(),
        });
        let mut line = Map::new();
        line.insert("_aws".to_owned(), json!({"Timestamp": at.div_euclid(1000), "CloudWatchMetrics": [directive]}));
        line.insert("Stage".to_owned(), self.stage.as_str().into());
        line.extend(dimension.map(|(name, value)| (name.to_owned(), value.into())));
        line.extend(measures.into_iter().map(|(name, _, values)| (name.to_owned(), values)));
        line.extend(self.said.iter().map(|(name, said)| ((*name).to_owned(), said.as_str().into())));
        Value::Object(line).to_string()
    }
}

impl Part<'_> {
    /// As [`Metrics::count`].
    pub fn count(&mut self, name: &'static str, things: u64) -> &mut Self {
        self.each(|measures| add(measures, name, "Count", whole_number(things)))
    }

    /// As [`Metrics::bytes`].
    pub fn bytes(&mut self, name: &'static str, bytes: u64) -> &mut Self {
        self.each(|measures| add(measures, name, "Bytes", whole_number(bytes)))
    }

    /// As [`Metrics::millis`].
    pub fn millis(&mut self, name: &'static str, time: Duration) -> &mut Self {
        self.each(|measures| put(measures, name, "Milliseconds", millis(time)))
    }

    fn each(&mut self, mut report: impl FnMut(&mut Measures)) -> &mut Self {
        report(self.whole);
        report(self.part);
        self
    }
}

fn add(measures: &mut Measures, name: &'static str, unit: &'static str, more: i64) {
    let measure = measures.entry(name).or_insert(Measure { unit, values: Values::Sum(0) });
    match &mut measure.values {
        Values::Sum(sum) => *sum = sum.saturating_add(more),
        Values::Each(values) => values.push(more as f64),
    }
}

fn put(measures: &mut Measures, name: &'static str, unit: &'static str, value: f64) {
    let measure = measures.entry(name).or_insert(Measure { unit, values: Values::Each(Vec::new()) });
    match &mut measure.values {
        Values::Each(values) => values.push(value),
        // A name that is a number elsewhere: rather a sum than a panic.
        Values::Sum(sum) => *sum = sum.saturating_add(value as i64),
    }
}

/// Cuts measures into what lines may hold, each a list of name, unit and value or values.
fn cut(measures: &Measures) -> Vec<Vec<(&'static str, &'static str, Value)>> {
    let mut lines: Vec<Vec<_>> = Vec::new();
    for (name, Measure { unit, values }) in measures {
        let values: Vec<Value> = match values {
            Values::Sum(sum) => vec![(*sum).into()],
            Values::Each(values) => values.chunks(LINE_VALUES).map(|some| one_or_all(some.to_vec())).collect(),
        };
        // A line has a name once: what is too much for one goes into those after it.
        for value in values {
            let fits = |line: &&mut Vec<(&'static str, _, _)>| {
                line.len() < LINE_METRICS && line.last().is_none_or(|(last, _, _)| last != name)
            };
            match lines.iter_mut().find(fits) {
                Some(line) => line.push((*name, *unit, value)),
                None => lines.push(vec![(*name, *unit, value)]),
            }
        }
    }
    lines
}

fn one_or_all(values: Vec<f64>) -> Value {
    match values.as_slice() {
        [one] => json!(one),
        _ => json!(values),
    }
}

fn whole_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Milliseconds, to the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
