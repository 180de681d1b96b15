//! Cutting a batch into calls, and what to do about what a call refuses.

use std::collections::HashMap;
use std::time::Duration;

use alluvium_core::limits::{PARTITION_KEY_CHARS, STREAM_RECORD_BYTES};
use alluvium_core::ports::{Advice, PortError, PutVerdict, Refusal};
use alluvium_core::record::{PutBatch, PutRecord, hash_key};

use crate::timer::Timer;

/// The most records of one call. Amazon Kinesis Data Streams API Reference, `PutRecords`.
const CALL_RECORDS: usize = 500;

/// The most bytes of one call, data and partition keys. Amazon Kinesis Data Streams API Reference, `PutRecords`, allows 10 MiB since
/// it takes records of more than 1 MiB, and allowed 5 MiB before; what still says so is right for both. A shard takes 1 MiB a
/// second either way.
const CALL_BYTES: usize = 5 * 1024 * 1024;

/// One call of `PutRecords`.
pub(super) trait PutRecords: Sync {
    /// One verdict per record, in order. An error: nothing is known to be stored.
    fn put(&self, records: Vec<PutRecord>) -> impl Future<Output = Result<Vec<PutVerdict>, PortError>> + Send;
}

/// The progress of one append.
struct Append {
    records: Vec<PutRecord>,
    /// By record. Until a call has answered for it, a record is one that failed.
    verdicts: Vec<PutVerdict>,
    /// Keys whose records were refused to the last, so that none after them is sent.
    held_back: HashMap<u128, Refusal>,
}

/// Appends a batch in as many calls as it takes. `pauses` are those before tries after the first, of all calls together.
pub(super) async fn append(
    call: &impl PutRecords,
    timer: &impl Timer,
    mut pauses: impl Iterator<Item = Duration> + Send,
    batch: PutBatch,
) -> Result<Vec<PutVerdict>, PortError> {
    let (mut append, valid) = Append::new(batch.records);
    let mut calls = cut(&append.records, &valid).into_iter();
    while let Some(indexes) = calls.next() {
        let mut left = append.without_held_back(indexes);
        while !left.is_empty() {
            let records = left.iter().map(|&index| append.records[index].clone()).collect();
            match call.put(records).await {
                Ok(verdicts) => left = append.take_in(&left, verdicts),
                Err(error) if !append.stored_any() => return Err(error),
                Err(error) => {
                    let refused = refusal_of(error);
                    let unsent = calls.flatten().copied();
                    left.iter().copied().chain(unsent).for_each(|index| append.refuse(index, refused.clone()));
                    return Ok(append.verdicts);
                }
            }
            match pauses.next() {
                Some(pause) if !left.is_empty() => timer.sleep_until(timer.now() + pause).await,
                Some(_) => {}
                None => break,
            }
        }
        append.hold_back(&left);
    }
    Ok(append.verdicts)
}

impl Append {
    /// Judges what can be judged without a call; also the indexes of the records that are to be sent.
    fn new(records: Vec<PutRecord>) -> (Self, Vec<usize>) {
        let unsent = || PutVerdict::Refused(Refusal::Failed("it was not sent".to_owned()));
        let judge = |record: &PutRecord| check(record).err().map(|why| PutVerdict::Refused(Refusal::Invalid(why)));
        let judged: Vec<_> = records.iter().map(judge).collect();
        let valid =
            judged.iter().enumerate().filter(|(_, verdict)| verdict.is_none()).map(|(index, _)| index).collect();
        let verdicts = judged.into_iter().map(|verdict| verdict.unwrap_or_else(unsent)).collect();
        (Self { records, verdicts, held_back: HashMap::new() }, valid)
    }

    /// Files the verdicts of one call on the records `sent`; the indexes of those that it refused.
    fn take_in(&mut self, sent: &[usize], verdicts: Vec<PutVerdict>) -> Vec<usize> {
        let answered = verdicts.len();
        sent.iter().zip(verdicts).for_each(|(&index, verdict)| self.verdicts[index] = verdict);
        for &index in sent.iter().skip(answered) {
            self.refuse(index, Refusal::Failed("the service's answer leaves it out".to_owned()));
        }
        sent.iter().copied().filter(|&index| matches!(self.verdicts[index], PutVerdict::Refused(_))).collect()
    }

    fn refuse(&mut self, index: usize, why: Refusal) {
        self.verdicts[index] = PutVerdict::Refused(why);
    }

    fn stored_any(&self) -> bool {
        self.verdicts.iter().any(|verdict| matches!(verdict, PutVerdict::Stored { .. }))
    }

    fn key(&self, index: usize) -> u128 {
        let record = &self.records[index];
        record.explicit_hash_key.unwrap_or_else(|| hash_key(&record.partition_key))
    }

    /// Gives records up that were refused to the last, and with them their keys.
    fn hold_back(&mut self, refused: &[usize]) {
        for &index in refused {
            if let PutVerdict::Refused(why) = &self.verdicts[index] {
                let why = why.clone();
                self.held_back.insert(self.key(index), why);
            }
        }
    }

    /// Refuses the records of held-back keys; the others.
    fn without_held_back(&mut self, indexes: &[usize]) -> Vec<usize> {
        if self.held_back.is_empty() {
            return indexes.to_vec();
        }
        let mut sent = Vec::with_capacity(indexes.len());
        for &index in indexes {
            match self.held_back.get(&self.key(index)) {
                Some(why) => self.verdicts[index] = PutVerdict::Refused(why.clone()),
                None => sent.push(index),
            }
        }
        sent
    }
}

/// What a failed call means for the records that it would have stored.
fn refusal_of(error: PortError) -> Refusal {
    match error.advice {
        Advice::BackOff => Refusal::Full,
        Advice::Retry | Advice::Stop => Refusal::Failed(error.message),
    }
}

/// The bytes that count towards a record's and a call's limit.
fn counted_bytes(record: &PutRecord) -> usize {
    record.partition_key.len() + record.data.len()
}

/// Whether Kinesis takes such a record. Amazon Kinesis Data Streams API Reference, `PutRecordsRequestEntry`.
fn check(record: &PutRecord) -> Result<(), String> {
    let key_chars = record.partition_key.chars().count();
    if !(1..=PARTITION_KEY_CHARS).contains(&key_chars) {
        return Err(format!("a partition key has 1 to {PARTITION_KEY_CHARS} characters, this one has {key_chars}"));
    }
    match counted_bytes(record) {
        0..=STREAM_RECORD_BYTES => Ok(()),
        bytes => Err(format!("a record has at most {STREAM_RECORD_BYTES} bytes with its key, this one has {bytes}")),
    }
}

/// Cuts the records at `valid` into calls, in order.
fn cut<'a>(records: &[PutRecord], valid: &'a [usize]) -> Vec<&'a [usize]> {
    let mut calls = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (at, &index) in valid.iter().enumerate() {
        let more = counted_bytes(&records[index]);
        if at - begin == CALL_RECORDS || (at > begin && bytes + more > CALL_BYTES) {
            calls.push(&valid[begin..at]);
            (begin, bytes) = (at, 0);
        }
        bytes += more;
    }
    if begin < valid.len() {
        calls.push(&valid[begin..]);
    }
    calls
}

#[cfg(test)]
mod tests;
