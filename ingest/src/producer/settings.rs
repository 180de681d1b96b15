//! The producer's settings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::IngestError;

/// How user records are put together into the records that travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// In the format of the Kinesis Producer Library, which every Kinesis consumer library and Firehose take apart. User records may
    /// hold any bytes.
    #[default]
    Kpl,
    /// As lines, one after the other: for a gateway, for Firehose put directly, and for Alluvium's transform. User records have to be
    /// text; one with a line break inside travels alone.
    Ndjson,
    /// As lines, compressed with zstd: several times fewer bytes, and only Alluvium's transform reads them.
    NdjsonZstd,
    /// Not at all: each user record is a record.
    None,
}

/// Which order is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    /// None across calls: a record that is sent again arrives behind later ones.
    #[default]
    Throughput,
    /// That of the records of one partition key: the next record that travels for it waits until the one before it is settled. A
    /// duplicate of a record may still arrive late, after a call that went unanswered.
    PerKey,
}

/// What becomes of user records that arrived inside an aggregate in a shard whose hash keys they do not have, because the stream
/// was resharded meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misplaced {
    /// They are sent again to where they belong. The Java consumer library leaves such records out, so there they arrive once;
    /// a consumer that does not leave them out has them twice, and tells by their event id.
    #[default]
    SendAgain,
    /// They count as delivered: right when every consumer is Alluvium's transform. With [`Ordering::PerKey`] they are sent again all
    /// the same, since readers of two shards do not wait for each other.
    Keep,
}

/// How a producer works. Each setting's name in the Kinesis Producer Library, where it has one, is in `docs/producer.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProducerSettings {
    /// What the producer is called in metrics and messages, such as the stream's name. Default: `producer`.
    pub name: String,
    /// How user records are put together. Default: as the Kinesis Producer Library does.
    pub aggregation: Aggregation,
    /// The most bytes of an aggregate, before compression; a larger user record travels alone. Default: 51,200.
    pub aggregation_max_bytes: usize,
    /// The most user records of an aggregate. Default: 10,000, a tenth of what Alluvium's transform takes apart.
    pub aggregation_max_records: usize,
    /// How long a user record may wait for others to travel with. Default: 100 ms.
    #[serde(with = "alluvium_core::duration::text")]
    pub linger: Duration,
    /// The most entries of a call; never more than the destination takes. Default: 500.
    pub collection_max_entries: usize,
    /// The most bytes of a call; never more than the destination takes. Default: 5 MiB.
    pub collection_max_bytes: usize,
    /// Which order is kept. Default: throughput.
    pub ordering: Ordering,
    /// What becomes of user records in a shard that is not theirs. Default: they are sent again.
    pub misplaced: Misplaced,
    /// How long a user record is tried, from the moment it is taken in. Default: 30 s.
    #[serde(with = "alluvium_core::duration::text")]
    pub record_time_to_live: Duration,
    /// How long one call may take before it counts as unanswered. Default: 6 s.
    #[serde(with = "alluvium_core::duration::text")]
    pub request_timeout: Duration,
    /// How many calls are on their way at a time. Default: 24.
    pub max_calls: usize,
    /// How much of what a shard takes in a second this producer uses, in percent. More than 100 makes sense against throttling by a
    /// stream that is larger than it says, less when other producers share it. Default: 100.
    pub rate_limit_percent: u32,
    /// How many bytes of user records are held at a time, with their keys and what it takes to keep track of them. A call holds
    /// them once more, encoded. Default: 16 MiB.
    pub buffered_bytes: usize,
    /// The longest pause before the second attempt; it doubles with each. Default: 100 ms.
    #[serde(with = "alluvium_core::duration::text")]
    pub first_pause: Duration,
    /// The longest pause between attempts. Default: 5 s.
    #[serde(with = "alluvium_core::duration::text")]
    pub longest_pause: Duration,
    /// How old the shard map may get while there is something to send. Default: 5 minutes.
    #[serde(with = "alluvium_core::duration::text")]
    pub shard_map_age: Duration,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            name: "producer".to_owned(),
            aggregation: Aggregation::Kpl,
            aggregation_max_bytes: 51_200,
            aggregation_max_records: 10_000,
            linger: Duration::from_millis(100),
            collection_max_entries: 500,
            collection_max_bytes: 5 * 1024 * 1024,
            ordering: Ordering::Throughput,
            misplaced: Misplaced::SendAgain,
            record_time_to_live: Duration::from_secs(30),
            request_timeout: Duration::from_secs(6),
            max_calls: 24,
            rate_limit_percent: 100,
            buffered_bytes: 16 * 1024 * 1024,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            shard_map_age: Duration::from_secs(300),
        }
    }
}

impl ProducerSettings {
    /// Settings for a gateway: lines, large bodies, a few at a time, and as much patience as a gateway asks for.
    pub fn for_gateway() -> Self {
        Self {
            aggregation: Aggregation::Ndjson,
            aggregation_max_bytes: 1024 * 1024,
            record_time_to_live: Duration::from_secs(120),
            request_timeout: Duration::from_secs(40),
            max_calls: 8,
            longest_pause: Duration::from_secs(10),
            ..Self::default()
        }
    }

    /// The same for records that are whole bodies of events already, of up to some megabytes each.
    pub fn for_bodies() -> Self {
        Self { aggregation: Aggregation::None, buffered_bytes: 64 * 1024 * 1024, ..Self::for_gateway() }
    }

    /// Checks that the settings can be used.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used, and what would be right.
    pub fn check(&self) -> Result<(), IngestError> {
        let counts = [
            ("aggregation_max_bytes", self.aggregation_max_bytes, 1, 1024 * 1024 * 10),
            ("aggregation_max_records", self.aggregation_max_records, 1, 100_000),
            ("collection_max_entries", self.collection_max_entries, 1, usize::MAX),
            ("collection_max_bytes", self.collection_max_bytes, 1, usize::MAX),
            ("max_calls", self.max_calls, 1, 1_024),
            ("rate_limit_percent", self.rate_limit_percent as usize, 1, 10_000),
            // What a semaphore counts, and what a record of any size needs.
            ("buffered_bytes", self.buffered_bytes, 4096, u32::MAX as usize),
        ];
        for (setting, value, least, most) in counts {
            if !(least..=most).contains(&value) {
                let most = if most == usize::MAX { "or more".to_owned() } else { format!("to {most}") };
                return Err(IngestError::setting(setting, format!("{value}: expected {least} {most}")));
            }
        }
        let durations = [
            ("record_time_to_live", self.record_time_to_live),
            ("request_timeout", self.request_timeout),
            ("first_pause", self.first_pause),
            ("shard_map_age", self.shard_map_age),
        ];
        for (setting, duration) in durations {
            if duration.is_zero() {
                return Err(IngestError::setting(setting, "0: expected more, such as `100ms`"));
            }
        }
        if self.linger >= self.record_time_to_live {
            let problem = format!("{:?}: expected less than record_time_to_live", self.linger);
            return Err(IngestError::setting("linger", problem));
        }
        Ok(())
    }
}
