use std::collections::VecDeque;
use std::sync::Mutex;

use alluvium_core::{SequenceNumber, ShardId};
use bytes::Bytes;

use super::*;
use crate::timer::LeapingTime;

/// What becomes of one record of one call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Stored,
    Full,
    Failed,
}

/// A service that answers its calls as told, then stores everything; remembers what it was sent.
#[derive(Default)]
struct Service {
    answers: Mutex<VecDeque<Result<Vec<Fate>, Advice>>>,
    calls: Mutex<Vec<Vec<String>>>,
}

impl Service {
    fn answering(answers: impl IntoIterator<Item = Result<Vec<Fate>, Advice>>) -> Self {
        Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() }
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

impl PutRecords for Service {
    async fn put(&self, records: Vec<PutRecord>) -> Result<Vec<PutVerdict>, PortError> {
        let names =
            records.iter().map(|record| String::from_utf8_lossy(&record.data[..record.data.len().min(4)]).into());
        let mut calls = self.calls.lock().unwrap();
        calls.push(names.collect());
        let sequence = SequenceNumber::from(calls.len() as u64);
        let fates = match self.answers.lock().unwrap().pop_front() {
            Some(Ok(fates)) => fates,
            Some(Err(advice)) => return Err(PortError::new(advice, "the line is cut")),
            None => vec![Fate::Stored; records.len()],
        };
        let verdict = |fate| match fate {
            Fate::Stored => PutVerdict::Stored { shard: ShardId::numbered(0), sequence },
            Fate::Full => PutVerdict::Refused(Refusal::Full),
            Fate::Failed => PutVerdict::Refused(Refusal::Failed("InternalFailure".to_owned())),
        };
        Ok(fates.into_iter().map(verdict).collect())
    }
}

fn record(key: &str, data: impl Into<Bytes>) -> PutRecord {
    PutRecord { partition_key: key.to_owned(), explicit_hash_key: None, data: data.into() }
}

fn pauses() -> impl Iterator<Item = Duration> + Send {
    std::iter::repeat_n(Duration::from_secs(1), 2)
}

async fn append_to(service: &Service, records: Vec<PutRecord>) -> Result<Vec<PutVerdict>, PortError> {
    append_in(&LeapingTime::new(), service, records).await
}

async fn append_in(
    time: &LeapingTime,
    service: &Service,
    records: Vec<PutRecord>,
) -> Result<Vec<PutVerdict>, PortError> {
    append(service, time, pauses(), PutBatch { records }).await
}

fn stored_in(call: u64) -> PutVerdict {
    PutVerdict::Stored { shard: ShardId::numbered(0), sequence: call.into() }
}

const FULL: PutVerdict = PutVerdict::Refused(Refusal::Full);

#[test]
fn a_call_has_500_records_at_most() {
    let records: Vec<_> = (0..1201).map(|n| record("k", format!("{n}"))).collect();
    let valid: Vec<_> = (0..1201).collect();
    let calls = cut(&records, &valid);
    assert_eq!(calls.iter().map(|call| call.len()).collect::<Vec<_>>(), [500, 500, 201]);
    assert_eq!(calls.concat(), valid, "in order");
    assert!(cut(&records, &[]).is_empty());
}

#[test]
fn a_call_has_5_mib_at_most_with_its_keys() {
    // Five records of 1 MiB with their keys are exactly one call.
    let full = record("key", vec![0; STREAM_RECORD_BYTES - 3]);
    let sizes = |records: &[PutRecord]| {
        let valid: Vec<_> = (0..records.len()).collect();
        cut(records, &valid).iter().map(|call| call.len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&vec![full.clone(); 11]), [5, 5, 1]);
    let mut records = vec![full; 5];
    records.insert(0, record("k", Bytes::new()));
    assert_eq!(sizes(&records), [5, 1], "one byte more is another call");
}

#[tokio::test]
async fn what_breaks_a_limit_is_refused_without_being_sent() {
    let service = Service::default();
    let records = vec![
        record("", "none"),
        record("k", "good"),
        record(&"ü".repeat(PARTITION_KEY_CHARS), "umla"),
        record(&"k".repeat(PARTITION_KEY_CHARS + 1), "long"),
        record("k", vec![b'x'; STREAM_RECORD_BYTES]),
    ];
    let verdicts = append_to(&service, records).await.unwrap();
    assert_eq!(service.calls(), [["good", "umla"]]);
    for index in [0, 3, 4] {
        assert!(matches!(&verdicts[index], PutVerdict::Refused(Refusal::Invalid(_))), "{:?}", verdicts[index]);
    }
    assert_eq!([&verdicts[1], &verdicts[2]], [&stored_in(1), &stored_in(1)]);
    let nothing = append_to(&service, vec![record("", "none")]).await.unwrap();
    assert_eq!((nothing.len(), service.calls().len()), (1, 1), "a batch with nothing to send makes no call");
}

#[tokio::test]
async fn only_what_was_refused_is_sent_again_before_the_next_call() {
    let mut fates = vec![Fate::Stored; 500];
    (fates[1], fates[3]) = (Fate::Full, Fate::Failed);
    let service = Service::answering([Ok(fates), Ok(vec![Fate::Stored, Fate::Stored])]);
    let records = (0..501).map(|n| record(&format!("{n}"), format!("{n}"))).collect();
    let time = LeapingTime::new();
    let verdicts = append_in(&time, &service, records).await.unwrap();
    assert_eq!(service.calls()[1..], [vec!["1", "3"], vec!["500"]]);
    assert_eq!(
        (&verdicts[0], &verdicts[1], &verdicts[3], &verdicts[500]),
        (&stored_in(1), &stored_in(2), &stored_in(2), &stored_in(3))
    );
    assert_eq!(time.elapsed(), Duration::from_secs(1), "one pause");
}

#[tokio::test]
async fn a_key_that_stays_refused_is_not_sent_in_later_calls() {
    let mut fates = vec![Fate::Stored; 500];
    fates[7] = Fate::Full;
    let service = Service::answering([Ok(fates), Ok(vec![Fate::Full]), Ok(vec![Fate::Full])]);
    let mut records: Vec<_> = (0..500).map(|n| record(&format!("key {n}"), "x")).collect();
    records.extend([record("key 7", "late"), record("key 8", "last")]);
    let verdicts = append_to(&service, records).await.unwrap();
    assert_eq!(service.calls().len(), 4);
    assert_eq!(service.calls()[3], ["last"]);
    assert_eq!((&verdicts[7], &verdicts[500], &verdicts[501]), (&FULL, &FULL, &stored_in(4)));
}

#[tokio::test]
async fn a_call_that_fails_first_is_an_error() {
    let service = Service::answering([Err(Advice::Retry)]);
    let error = append_to(&service, vec![record("k", "data")]).await.unwrap_err();
    assert_eq!((error.advice, error.message.as_str()), (Advice::Retry, "the line is cut"));
}

#[tokio::test]
async fn a_call_that_fails_later_leaves_its_records_and_all_after_them_refused() {
    let failed = PutVerdict::Refused(Refusal::Failed("the line is cut".to_owned()));
    for (advice, refused) in [(Advice::Retry, failed), (Advice::BackOff, FULL)] {
        let service = Service::answering([Ok(vec![Fate::Stored; 500]), Err(advice)]);
        let records = (0..1100).map(|n| record(&format!("{n}"), "x")).collect();
        let verdicts = append_to(&service, records).await.unwrap();
        assert_eq!(service.calls().len(), 2, "nothing is sent after a call that failed");
        assert!(verdicts[..500].iter().all(|verdict| *verdict == stored_in(1)));
        assert!(verdicts[500..].iter().all(|verdict| *verdict == refused), "{:?}", verdicts[500]);
    }
}

#[tokio::test]
async fn an_answer_that_is_too_short_is_no_success() {
    let service = Service::answering([Ok(vec![Fate::Stored]), Ok(vec![]), Ok(vec![])]);
    let verdicts = append_to(&service, vec![record("a", "one"), record("b", "two")]).await.unwrap();
    assert_eq!(verdicts[0], stored_in(1));
    assert!(matches!(&verdicts[1], PutVerdict::Refused(Refusal::Failed(why)) if why.contains("leaves it out")));
}
