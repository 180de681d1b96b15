//! How the loop buffers, invokes and gives up, with Firehose's own limits.

use std::time::Duration;

use alluvium_core::limits::INVOCATION_BYTES;

/// What the buffer of one invocation may be set to. Amazon Data Firehose Developer Guide, "Transform source data in Amazon Data
/// Firehose": 0.2 to 3 MB, and 0 to 900 seconds.
const BUFFER_BYTES: std::ops::RangeInclusive<usize> = 200_000..=3 * 1024 * 1024;
const LONGEST_BUFFER: Duration = Duration::from_secs(900);
/// How many invocations of one shard may be outstanding. The same guide: five.
const MOST_OUTSTANDING: usize = 5;
/// Room for what an event says beside its records, and for one small record.
const LEAST_EVENT_BYTES: usize = 4 * 1024;

/// What an event and an error line say of the parts around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The ARN that the loop goes by as a Firehose stream.
    pub delivery_stream_arn: String,
    /// The ARN of the stream that is read.
    pub stream_arn: String,
    /// The region.
    pub region: String,
    /// The ARN of the function.
    pub function_arn: String,
}

/// How the loop buffers, invokes and gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirehoseSettings {
    /// What the parts are called.
    pub names: Names,
    /// The function is invoked when this many bytes of records are there: 0.2 to 3 MB. Default 1 MiB.
    pub buffer_bytes: usize,
    /// The function is invoked when this long has passed since the first of the records was read: up to 900 s. Default 60 s.
    pub buffer: Duration,
    /// How many invocations of a shard may be outstanding, 1 to 5. Default 1, which keeps the order.
    pub outstanding: usize,
    /// How often an invocation that failed is tried again. Default 3.
    pub retries: u32,
    /// The pause before the first of these; it doubles with each, and is half as long to half as long again by chance. Default 1 s.
    pub retry_pause: Duration,
    /// How long one invocation may take. Default 5 minutes, as Firehose has it.
    pub invocation_time: Duration,
    /// The most bytes of an event and of a response. Default [`INVOCATION_BYTES`], which it may not exceed.
    pub event_bytes: usize,
    /// How often a shard that had nothing is asked again. Default 250 ms: Kinesis takes five reads of a shard a second.
    pub poll: Duration,
    /// The loop ends when no shard has had a record for this long. Default: it does not.
    pub until_idle: Option<Duration>,
    /// Where ids and pauses come from.
    pub seed: u64,
}

/// Settings that the loop does not run with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FirehoseSettingsError(String);

impl FirehoseSettings {
    /// The defaults, with these names and this seed.
    pub fn new(names: Names, seed: u64) -> Self {
        Self {
            names,
            buffer_bytes: 1024 * 1024,
            buffer: Duration::from_secs(60),
            outstanding: 1,
            retries: 3,
            retry_pause: Duration::from_secs(1),
            invocation_time: Duration::from_secs(300),
            event_bytes: INVOCATION_BYTES,
            poll: Duration::from_millis(250),
            until_idle: None,
            seed,
        }
    }

    /// Checks them against what Firehose takes.
    ///
    /// # Errors
    ///
    /// When one is out of its range.
    pub fn check(&self) -> Result<(), FirehoseSettingsError> {
        let refuse = |message: String| Err(FirehoseSettingsError(message));
        let (least, most) = (BUFFER_BYTES.start(), BUFFER_BYTES.end());
        if !BUFFER_BYTES.contains(&self.buffer_bytes) {
            return refuse(format!("a buffer of {} bytes; Firehose takes {least} to {most}", self.buffer_bytes));
        }
        if self.buffer > LONGEST_BUFFER {
            return refuse(format!("a buffer of {:?}; Firehose takes up to {LONGEST_BUFFER:?}", self.buffer));
        }
        if !(1..=MOST_OUTSTANDING).contains(&self.outstanding) {
            let asked = self.outstanding;
            return refuse(format!("{asked} invocations of a shard at a time; expected 1 to {MOST_OUTSTANDING}"));
        }
        if !(LEAST_EVENT_BYTES..=INVOCATION_BYTES).contains(&self.event_bytes) {
            let asked = self.event_bytes;
            return refuse(format!(
                "events of up to {asked} bytes; expected {LEAST_EVENT_BYTES} to {INVOCATION_BYTES}"
            ));
        }
        if self.invocation_time.is_zero() {
            return refuse("no time for an invocation; expected more than 0 s".to_owned());
        }
        Ok(())
    }
}
