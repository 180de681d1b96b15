//! `PutRecordBatch` of Amazon Data Firehose, one call at a time.

use alluvium_core::ports::PortError;
use alluvium_core::{Destination, DestinationLimits, EntryVerdict, HashKeyRange, PutEntry, PutError, RecordIdentity};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_firehose::Client;
use aws_sdk_firehose::config::retry::RetryConfig;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{PutRecordBatchResponseEntry, Record};

use super::{put_error, unintelligible};

/// One delivery stream that takes records directly, for a producer. It has no shards: what is stored is known by the id that the
/// service gave it.
#[derive(Debug, Clone)]
pub struct FirehoseDestination {
    client: Client,
    name: String,
}

impl FirehoseDestination {
    /// The delivery stream of this name.
    pub fn new(config: &SdkConfig, name: impl Into<String>) -> Self {
        let config = aws_sdk_firehose::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
        Self { client: Client::from_conf(config), name: name.into() }
    }

    fn what(&self) -> String {
        format!("cannot put to the delivery stream {}", self.name)
    }
}

#[async_trait]
impl Destination for FirehoseDestination {
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError> {
        let sent = entries.len();
        let records = entries.into_iter().map(|put| {
            Record::builder().data(Blob::new(put.record.data)).build().expect("data is all that a record needs")
        });
        let put = self.client.put_record_batch().delivery_stream_name(&self.name).set_records(Some(records.collect()));
        let answer = put.send().await.map_err(|error| put_error(self.what(), error))?;
        let answers = answer.request_responses();
        if answers.len() != sent {
            return Err(unintelligible(self.what(), format!("it has {} entries for {sent}", answers.len())));
        }
        Ok(answers.iter().map(verdict).collect())
    }

    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        Ok(None)
    }

    fn limits(&self) -> DestinationLimits {
        DestinationLimits::FIREHOSE
    }
}

/// Amazon Data Firehose API Reference, `PutRecordBatchResponseEntry`: an id, or an error. `ServiceUnavailableException` says that the
/// delivery stream's limits were met.
fn verdict(answer: &PutRecordBatchResponseEntry) -> EntryVerdict {
    match (answer.record_id(), answer.error_code()) {
        (Some(id), None) => {
            let RecordIdentity { shard, sequence, .. } = RecordIdentity::of_direct_put(id);
            EntryVerdict::Stored { shard, sequence }
        }
        (_, Some("ServiceUnavailableException")) => EntryVerdict::Throttled,
        (_, code) => {
            let why = answer.error_message().unwrap_or("the service gives no reason");
            EntryVerdict::Failed(format!("{}: {why}", code.unwrap_or("no code")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_stored_under_its_id_or_says_why_it_is_not() {
        let answer = PutRecordBatchResponseEntry::builder();
        let stored = verdict(&answer.clone().record_id("abc").build());
        assert!(matches!(stored, EntryVerdict::Stored { ref shard, .. } if shard.is_direct_put()), "{stored:?}");
        assert_eq!(verdict(&answer.clone().record_id("abc").build()), stored);
        let refused = |code: &str| verdict(&answer.clone().error_code(code).error_message("why").build());
        assert_eq!(refused("ServiceUnavailableException"), EntryVerdict::Throttled);
        assert_eq!(refused("InternalFailure"), EntryVerdict::Failed("InternalFailure: why".to_owned()));
    }
}
