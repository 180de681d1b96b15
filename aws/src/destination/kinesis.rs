//! `PutRecords` of Amazon Kinesis Data Streams, one call at a time.

use alluvium_core::ports::{Advice, PortError, Refusal};
use alluvium_core::{Destination, DestinationLimits, EntryVerdict, HashKeyRange, PutEntry, PutError, ShardId};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::types::{PutRecordsResultEntry, Shard, ShardFilter, ShardFilterType};

use super::{put_error, unintelligible};
use crate::error::port_error;
use crate::kinesis::{entry, refusal};

/// One Kinesis stream, for a producer.
#[derive(Debug, Clone)]
pub struct KinesisDestination {
    client: Client,
    name: String,
}

impl KinesisDestination {
    /// The stream of this name.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Self {
        let config = aws_sdk_kinesis::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), name: name.into() }
    }

    fn what(&self, doing: &str) -> String {
        format!("cannot {doing} the stream {}", self.name)
    }
}

#[async_trait]
impl Destination for KinesisDestination {
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError> {
        let sent = entries.len();
        let records = entries.into_iter().map(|put| entry(put.record)).collect();
        let put = self.client.put_records().stream_name(&self.name).set_records(Some(records));
        let answer = put.send().await.map_err(|error| put_error(self.what("put to"), error))?;
        if answer.records().len() != sent {
            let why = format!("it has {} entries for {sent}", answer.records().len());
            return Err(unintelligible(self.what("put to"), why));
        }
        answer.records().iter().map(|answer| self.verdict(answer)).collect()
    }

    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        let open = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build();
        let open = open.map_err(|error| PortError::because(Advice::Stop, "build a filter", error))?;
        let mut ranges = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let list = self.client.list_shards();
            // Neither the name nor a filter may stand beside a token, which knows both.
            let list = match token {
                Some(token) => list.next_token(token),
                None => list.stream_name(&self.name).shard_filter(open.clone()),
            };
            let page = list.send().await.map_err(|error| port_error(self.what("list the shards of"), error))?;
            // Emulators do not all know the filter.
            ranges.extend(page.shards().iter().filter(|shard| is_open(shard)).filter_map(range));
            token = page.next_token().map(str::to_owned);
            if token.is_none() {
                return Ok(Some(ranges));
            }
        }
    }

    fn limits(&self) -> DestinationLimits {
        DestinationLimits::KINESIS
    }
}

impl KinesisDestination {
    fn verdict(&self, answer: &PutRecordsResultEntry) -> Result<EntryVerdict, PutError> {
        if let (Some(shard), Some(sequence)) = (answer.shard_id(), answer.sequence_number()) {
            let sequence = sequence.parse().map_err(|error| unintelligible(self.what("put to"), error))?;
            return Ok(EntryVerdict::Stored { shard: ShardId::new(shard), sequence });
        }
        Ok(match refusal(answer) {
            Refusal::Full => EntryVerdict::Throttled,
            Refusal::Failed(why) | Refusal::Invalid(why) => EntryVerdict::Failed(why),
        })
    }
}

fn is_open(shard: &Shard) -> bool {
    shard.sequence_number_range().is_none_or(|range| range.ending_sequence_number().is_none())
}

/// The hash keys of a shard; none when they cannot be read, so that its records travel as they do without a shard map.
fn range(shard: &Shard) -> Option<HashKeyRange> {
    let range = shard.hash_key_range()?;
    let (first, last) = (range.starting_hash_key().parse().ok()?, range.ending_hash_key().parse().ok()?);
    Some(HashKeyRange { shard: ShardId::new(shard.shard_id()), first, last })
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::types::{HashKeyRange as SdkRange, SequenceNumberRange};

    use super::*;

    fn shard(first: &str, last: &str, ending: Option<&str>) -> Shard {
        let keys = SdkRange::builder().starting_hash_key(first).ending_hash_key(last).build().unwrap();
        let numbers = SequenceNumberRange::builder().starting_sequence_number("1");
        let numbers = numbers.set_ending_sequence_number(ending.map(str::to_owned)).build().unwrap();
        Shard::builder()
            .shard_id("shardId-000000000001")
            .hash_key_range(keys)
            .sequence_number_range(numbers)
            .build()
            .unwrap()
    }

    #[test]
    fn an_open_shard_has_its_hash_keys_in_decimal() {
        let open = shard("0", "340282366920938463463374607431768211455", None);
        let expected = HashKeyRange { shard: ShardId::numbered(1), first: 0, last: u128::MAX };
        assert_eq!((is_open(&open), range(&open)), (true, Some(expected)));
        assert!(!is_open(&shard("0", "1", Some("9"))));
        assert_eq!(range(&shard("0", "what", None)), None);
    }
}
