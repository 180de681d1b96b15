//! Putting records into the stream, and what became of each (IN-1).

use alluvium_core::ports::{Advice, PutVerdict, Refusal};
use alluvium_core::record::{hash_key, shard_of_hash_key};
use alluvium_core::{PutBatch, PutRecord, SequenceNumber, ShardId};
use tokio::time::timeout;

use super::KinesisEndpoint;
use super::exception::{Code, Exception};
use super::pace::{Pace, Passage};
use super::seal::Seal;

/// What became of one record: its place in the stream, or why it has none.
pub(super) type Outcome = Result<(ShardId, SequenceNumber), Exception>;

impl KinesisEndpoint {
    /// Puts records, which are sealed, into the stream; what became of each, in order. Only what is durably stored has a place.
    pub(super) async fn store(&self, records: Vec<PutRecord>, seal: &Seal) -> Result<Vec<Outcome>, Exception> {
        let Some(pace) = &self.shared.pace else { return self.append(records).await };
        let held_back = self.hold_back(pace, &records, seal).await?;
        let admitted = records.into_iter().zip(&held_back).filter(|(_, held_back)| held_back.is_none());
        let mut outcomes = self.append(admitted.map(|(record, _)| record).collect()).await?.into_iter();
        let outcome = |held_back: Option<Exception>| match held_back {
            Some(why) => Err(why),
            None => outcomes.next().unwrap_or_else(|| Err(Exception::internal())),
        };
        Ok(held_back.into_iter().map(outcome).collect())
    }

    /// Why each record is not even sent to its shard; `None`: it is.
    async fn hold_back(
        &self,
        pace: &Pace,
        records: &[PutRecord],
        seal: &Seal,
    ) -> Result<Vec<Option<Exception>>, Exception> {
        let shards = self.shards().await?;
        let count = u32::try_from(shards.len()).map_err(|_| Exception::internal())?;
        let now = self.now();
        let judge = |record: &PutRecord| {
            let key = record.explicit_hash_key.unwrap_or_else(|| hash_key(&record.partition_key));
            let shard = &shards[shard_of_hash_key(key, count) as usize].shard;
            match pace.take_in(shard, seal.size_bytes(record), now) {
                Passage::Granted => None,
                Passage::Refused => Some(self.rate_exceeded(shard, "takes 1 MiB and 1,000 records a second")),
            }
        };
        Ok(records.iter().map(judge).collect())
    }

    /// What a shard says that is held to the service's limits.
    pub(super) fn rate_exceeded(&self, shard: &ShardId, limit: &str) -> Exception {
        let stream = &self.shared.settings.stream;
        let message = format!(
            "Rate exceeded for shard {shard} in stream {stream} under account {}: it {limit}, because `kinesis.shard_limits` is \
             switched on here",
            super::ACCOUNT
        );
        Exception::new(Code::ProvisionedThroughputExceeded, message)
    }

    async fn append(&self, records: Vec<PutRecord>) -> Result<Vec<Outcome>, Exception> {
        let count = records.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let time = self.shared.settings.request_time;
        let verdicts = match timeout(time, self.shared.stream.append(PutBatch { records })).await {
            Ok(Ok(verdicts)) => verdicts,
            Ok(Err(error)) if error.advice == Advice::BackOff => vec![PutVerdict::Refused(Refusal::Full); count],
            Ok(Err(error)) => {
                tracing::error!(%error, records = count, "the stream stored nothing of a put");
                return Err(Exception::internal());
            }
            Err(_) => {
                let message = format!(
                    "the stream did not answer within {time:?}, so it is not known what it stored; call again. Events that carry an \
                     `id` are not doubled by that"
                );
                return Err(Exception::new(Code::InternalFailure, message));
            }
        };
        if verdicts.len() != count {
            tracing::error!(verdicts = verdicts.len(), records = count, "the stream's verdicts are not one per record");
            return Err(Exception::internal());
        }
        let stored = verdicts.iter().filter(|verdict| matches!(verdict, PutVerdict::Stored { .. })).count();
        metrics::counter!("alluvium_kinesis_records_accepted_total").increment(stored as u64);
        Ok(verdicts.into_iter().map(outcome).collect())
    }
}

fn outcome(verdict: PutVerdict) -> Outcome {
    match verdict {
        PutVerdict::Stored { shard, sequence } => Ok((shard, sequence)),
        PutVerdict::Refused(Refusal::Full) => {
            let message =
                "the log holds as much as it may until its reader catches up; put the record again in a moment";
            Err(Exception::new(Code::ProvisionedThroughputExceeded, message))
        }
        PutVerdict::Refused(Refusal::Invalid(problem)) => Err(Exception::argument(problem)),
        PutVerdict::Refused(Refusal::Failed(problem)) => {
            tracing::error!(problem, "the stream did not store a record");
            Err(Exception::internal())
        }
    }
}
