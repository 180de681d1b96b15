//! What the model reckons with besides prices: what was measured (`docs/performance.md`), what the stack sets, what AWS documents, and
//! what is assumed. A data file, so that others can reckon with the same.

use serde::Deserialize;

const FIGURES: &str = include_str!("figures.json");

/// One figure and where it is from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the file's readers want what the model does not reckon with")]
pub struct Figure {
    /// The number.
    pub value: f64,
    unit: String,
    from: Origin,
    source: String,
    /// What the source says word for word; a test looks for it there.
    #[serde(default)]
    says: Vec<String>,
    note: Option<String>,
}

/// How a figure was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Measured by us.
    Measured,
    /// A setting of the stack, or of the program.
    Stack,
    /// Said by a public document, or by one of ours.
    Documented,
    /// Nobody has measured it.
    Assumed,
}

/// A measured dependency, straight between its points.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the file's readers want what the model does not reckon with")]
pub struct Curve {
    points: Vec<(f64, f64)>,
    unit: String,
    from: Origin,
    source: String,
    says: Vec<String>,
}

impl Curve {
    /// The value at `x`; before the first point that of the first, beyond the last in proportion to the last.
    pub fn at(&self, x: f64) -> f64 {
        let after = self.points.partition_point(|(point, _)| *point < x);
        match (after.checked_sub(1).map(|before| self.points[before]), self.points.get(after)) {
            (None, first) => first.expect("a curve has points").1,
            (Some((x0, y0)), None) => y0 / x0 * x,
            (Some((x0, y0)), Some((x1, y1))) => y0 + (y1 - y0) * (x - x0) / (x1 - x0),
        }
    }
}

macro_rules! figures {
    ($($name:ident),* $(,)?) => {
        /// The figures by name.
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(missing_docs, reason = "the file says what each is")]
        pub struct Figures {
            $(pub $name: Figure,)*
            pub chunk_bytes: Curve,
        }

        impl Figures {
            /// The names of those that nobody has measured.
            pub fn assumed(&self) -> Vec<&'static str> {
                let named = [$((stringify!($name), &self.$name)),*];
                named.into_iter().filter(|(_, figure)| figure.from == Origin::Assumed).map(|(name, _)| name).collect()
            }
        }
    };
}

figures! {
    event_bytes, zstd_ratio, transform_aggregated_us, transform_single_us, python_ratio, batch_file_bytes, compacted_bytes,
    unsorted_bytes, compaction_core_us, commit_ms, read_questions, read_ms, read_minute_rows, gateway_us, key_filter_bytes,
    core_megabytes, transform_megabytes, commit_megabytes, gateway_megabytes, query_megabytes, authorizer_megabytes,
    commit_messages, checkpoint_every, backup_days, backup_megabytes, backup_seconds, undelete_days, hot_margin_hours,
    log_days, aggregate_bytes, authorizer_cache_seconds, page_rows, target_file_bytes, maintenance_seconds,
    compact_files, retention_seconds, daily_looks, maintain_megabytes, report_seconds, report_megabytes, report_statements,
    polled_queues, keys, look_ms, look_gets, report_ms, traced_a_second, traced_share, access_log_bytes, s3_ms, ttl_hours, invocation_overhead_bytes, poller_seconds, queue_batch, dynamodb_ms, queue_ms,
    stream_ms, authorizer_ms, item_overhead_bytes, compaction_rewrites, log_bytes, metrics, metrics_a_dataset, alarms,
    dashboards, provisioned_use, least_aggregate, commit_rounds,
}

impl Figures {
    /// Those that the program was built with.
    ///
    /// # Panics
    ///
    /// When their file is none, which a test would have found.
    pub fn built_in() -> Self {
        serde_json::from_str(FIGURES).expect("the figures are part of the program")
    }
}
