//! A gateway as a destination: each record is the body of one request.

use alluvium_core::destination::{CallEffect, CountedBytes};
use alluvium_core::limits::BODY_EXPANDED_BYTES;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::{
    Destination, DestinationLimits, EntryVerdict, HashKeyRange, PutEntry, PutError, SequenceNumber, ShardId,
};
use async_trait::async_trait;
use reqwest::{Client, Url};

use crate::sender::attempt::{self, Attempt};
use crate::sender::{SenderSettings, client, destination_url};
use crate::{Acceptance, IngestError};

/// Posts records to a gateway's route, such as `http://127.0.0.1:8080/v1/telemetry`. It goes with
/// [`Aggregation::Ndjson`](super::Aggregation::Ndjson): see [`ProducerSettings::for_gateway`](super::ProducerSettings::for_gateway).
///
/// A call holds one record, and its id is the request's `Idempotency-Key`: a gateway takes a request in as a whole, and sent again
/// under the same key, events without an id of their own are the same ones.
#[derive(Debug)]
pub struct HttpDestination {
    client: Client,
    url: Url,
    settings: SenderSettings,
}

impl HttpDestination {
    /// A destination at `url`. Of the settings those count that concern one request; the others are the producer's.
    ///
    /// # Errors
    ///
    /// When the URL or a setting cannot be used, or the HTTP client cannot be set up.
    pub fn new(url: &str, settings: SenderSettings) -> Result<Self, IngestError> {
        settings.check()?;
        let url = destination_url(url)?;
        let client = client(&url, &settings)?;
        Ok(Self { client, url, settings })
    }

    async fn post(&self, entry: PutEntry) -> Result<EntryVerdict, PutError> {
        let payload = self.settings.encoding.encode(&entry.record.data);
        let attempt = attempt::post(&self.client, &self.url, &self.settings, payload, &entry.id.to_string()).await;
        match attempt {
            Attempt::Accepted(acceptance) => Ok(stored(&acceptance)),
            Attempt::Refused { status: 0, detail } => Ok(EntryVerdict::Invalid(detail)),
            // It was taken in, by whoever answers so.
            Attempt::Refused { status: 200..300, detail } => {
                Err(PutError::new(CallEffect::Unknown, Advice::Stop, detail))
            }
            Attempt::Refused { status, detail } => Ok(EntryVerdict::Invalid(format!("status {status}: {detail}"))),
            Attempt::Later { problem, retry_after, effect } => {
                let advice = if retry_after.is_some() { Advice::BackOff } else { Advice::Retry };
                Err(PutError { retry_after, ..PutError::new(effect, advice, problem) })
            }
        }
    }
}

/// Where the first of a request's records lies.
fn stored(acceptance: &Acceptance) -> EntryVerdict {
    match acceptance.receipt.runs().first() {
        Some(run) => EntryVerdict::Stored { shard: run.shard.clone(), sequence: run.first },
        // It took the request in and stored no record for it, since there was no event in it.
        None => EntryVerdict::Stored { shard: ShardId::new(ShardId::DIRECT_PUT), sequence: SequenceNumber::default() },
    }
}

#[async_trait]
impl Destination for HttpDestination {
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError> {
        let mut verdicts = Vec::with_capacity(entries.len());
        for entry in entries {
            match self.post(entry).await {
                Ok(verdict) => verdicts.push(verdict),
                Err(error) if verdicts.is_empty() => return Err(error),
                // What was answered stays answered; the rest counts as unanswered.
                Err(_) => break,
            }
        }
        Ok(verdicts)
    }

    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        Ok(None)
    }

    fn limits(&self) -> DestinationLimits {
        DestinationLimits {
            entries_per_call: 1,
            bytes_per_call: BODY_BYTES,
            bytes_per_entry: BODY_BYTES,
            shard_rates: None,
            counted: CountedBytes::Data,
        }
    }
}

/// The most bytes of a body before compression. What does not compress has to pass as it is, with room for a frame.
const BODY_BYTES: usize = alluvium_core::limits::BODY_BYTES - 64 * 1024;

const _: () = assert!(BODY_BYTES <= BODY_EXPANDED_BYTES);

#[cfg(test)]
mod tests;
