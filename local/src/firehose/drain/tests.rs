#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use alluvium_core::ports::Advice;
use alluvium_core::{DeliveryBatch, ShardId};
use alluvium_transform::firehose::{Invocation, user_records};
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};

use super::super::failed::{Failure, Lines};
use super::*;
use crate::firehose::tests::{Bench, MemoryStream, NOW, Scripted, aggregate, all, dropping, record, record_of};

const OBJECT: &str = "processing-failed/2026/11/27/10/alluvium-1-a";

fn lines(ended: Micros, records: &[StreamRecord]) -> Vec<u8> {
    let failure = Failure::new("Lambda.FunctionError", "boom");
    let lines = Lines { attempts: 4, ended, function_arn: "arn" };
    lines.of(records.iter().map(|record| (record, &failure))).to_vec()
}

/// Takes everything, and keeps what it took.
#[derive(Default)]
struct Taking(Mutex<Vec<DeliveryBatch>>);

#[async_trait]
impl Function for Taking {
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, PortError> {
        let invocation = Invocation::read(payload.into()).unwrap();
        self.0.lock().unwrap().push(invocation.batch().clone());
        Ok(invocation.stored().into())
    }
}

impl Taking {
    /// The identities in each batch that it took.
    fn identities(&self) -> Vec<Vec<RecordIdentity>> {
        let of_batch =
            |batch: &DeliveryBatch| batch.records.iter().map(|record| record.identity.clone()).collect::<Vec<_>>();
        self.0.lock().unwrap().iter().map(of_batch).collect()
    }
}

fn identities(records: &[StreamRecord]) -> Vec<RecordIdentity> {
    records.iter().map(|record| record.identity.clone()).collect()
}

async fn put(bench: &Bench, path: &str, bytes: Vec<u8>) {
    bench.files().put_if_absent(path, bytes.into()).await.unwrap();
}

async fn drain(bench: &Bench, stream: Arc<MemoryStream>, function: Arc<dyn Function>) -> DrainReport {
    let (landing, settings) = (bench.files(), bench.settings.clone());
    let drain = Drain { stream, function, landing, settings, progress: Arc::default() };
    let mut paths = bench.paths().await;
    paths.retain(|path| path.starts_with(ERROR_PREFIX));
    drain.run(paths).await.unwrap()
}

#[tokio::test]
async fn batches_are_handed_over_as_they_were_and_their_object_is_moved() {
    let bench = Bench::new();
    let records: Vec<_> = (0..9).map(|n| record(n, format!("{n}"))).collect();
    let aggregated = record(9, aggregate(&["x", "y"]));
    let stream = MemoryStream::of(records.iter().cloned().chain([aggregated.clone(), record_of(1, 3, "3")]));
    let user_records = user_records(aggregated);
    let object = [lines(NOW, &records[2..5]), lines(NOW + 1_000_000, &user_records)].concat();
    put(&bench, OBJECT, object.clone()).await;
    let function = Arc::new(Taking::default());
    let report = drain(&bench, stream.clone(), function.clone()).await;
    assert_eq!(report, DrainReport { drained: 1, records: 5, found: 5, left: vec![] });
    assert_eq!(function.identities(), [identities(&records[2..5]), identities(&user_records)]);
    let taken = function.0.lock().unwrap()[0].records[0].clone();
    assert_eq!((taken.arrival, &taken.data[..]), (records[2].arrival / 1000 * 1000, &b"2"[..]));
    assert_eq!(bench.paths().await, ["drained/2026/11/27/10/alluvium-1-a"]);
    assert_eq!(bench.files().get("drained/2026/11/27/10/alluvium-1-a").await.unwrap(), object);
    assert_eq!(drain(&bench, stream, function).await, DrainReport::default(), "nothing is left");
}

#[tokio::test]
async fn equal_records_are_told_apart_by_their_neighbours_and_given_out_once() {
    let bench = Bench::new();
    // All in one millisecond.
    let at = |n: u64, data: &'static str| StreamRecord { arrival: NOW, ..record(n, data) };
    let records = [at(0, "same"), at(1, "same"), at(2, "other"), at(3, "same"), at(4, "same"), at(5, "last")];
    put(&bench, &format!("{OBJECT}1"), lines(NOW, &records[1..4])).await;
    put(&bench, &format!("{OBJECT}2"), lines(NOW, &records[4..5])).await;
    put(&bench, &format!("{OBJECT}3"), lines(NOW, &[records[0].clone(), records[5].clone()])).await;
    let function = Arc::new(Taking::default());
    drain(&bench, MemoryStream::of(records.clone()), function.clone()).await;
    // The third object's two lines are no neighbours; the second is of one of two that are alike.
    let expected = [&records[1..4], &records[..1], &[records[4].clone(), records[5].clone()]];
    assert_eq!(function.identities(), expected.map(identities));
}

#[tokio::test]
async fn a_batch_that_was_set_aside_twice_is_handed_over_as_the_same_twice() {
    let bench = Bench::new();
    let records: Vec<_> = (0..6).map(|n| record(n, ["a", "b"][n as usize % 2])).collect();
    put(&bench, &format!("{OBJECT}1"), lines(NOW, &records[2..5])).await;
    put(&bench, &format!("{OBJECT}2"), lines(NOW + 9_000, &records[2..5])).await;
    let function = Arc::new(Taking::default());
    drain(&bench, MemoryStream::of(records.clone()), function.clone()).await;
    assert_eq!(function.identities(), [identities(&records[2..5]), identities(&records[2..5])]);
}

#[tokio::test]
async fn a_service_that_tells_when_it_read_the_records_is_understood() {
    let bench = Bench::new();
    let records: Vec<_> = (0..6).map(|n| record(n, ["a", "b"][n as usize % 2])).collect();
    let read_at = |records: &[StreamRecord], arrival: Micros| {
        records.iter().map(|record| StreamRecord { arrival, ..record.clone() }).collect::<Vec<_>>()
    };
    let late = records[3].arrival + 5_000;
    put(&bench, OBJECT, lines(NOW, &read_at(&records[2..4], late))).await;
    let function = Arc::new(Taking::default());
    let report = drain(&bench, MemoryStream::of(records.clone()), function.clone()).await;
    assert_eq!(report.found, 2);
    assert_eq!(function.identities(), [identities(&records[2..4])], "the newest before, in a run");
}

#[tokio::test]
async fn a_record_that_the_stream_has_forgotten_is_known_by_its_line() {
    let bench = Bench::new();
    let records: Vec<_> = (0..3).map(|n| record(n, format!("{n}"))).collect();
    let held = MemoryStream::of([records[2].clone(), record(7, "0")]);
    let taken = async || {
        put(&bench, OBJECT, lines(NOW, &records)).await;
        let function = Arc::new(Taking::default());
        let report = drain(&bench, held.clone(), function.clone()).await;
        assert_eq!((report.records, report.found), (3, 1));
        function.identities()
    };
    let first = taken().await;
    let direct: Vec<_> = first[0].iter().map(|identity| identity.shard.as_str() == ShardId::DIRECT_PUT).collect();
    assert_eq!(direct, [true, true, false], "one of equal bytes that arrived later is another");
    assert_ne!(first[0][0], first[0][1]);
    assert_eq!(taken().await, first, "drained again, it is the same");
}

#[tokio::test]
async fn an_object_that_is_not_taken_whole_stays() {
    let bench = Bench::new();
    let records: Vec<_> = (0..4).map(|n| record(n, format!("{n}"))).collect();
    put(&bench, &format!("{OBJECT}1"), lines(NOW, &records[..2])).await;
    put(&bench, &format!("{OBJECT}2"), lines(NOW, &records[2..])).await;
    put(&bench, &format!("{OBJECT}3"), [&lines(NOW, &records[..1])[..], b"{\"rawData\":\"*\"}\n"].concat()).await;
    put(&bench, &format!("{OBJECT}4"), b"\n\n".to_vec()).await;
    let stream = MemoryStream::of(records);
    let refusing = |record: &'static str| {
        move |_: usize, event: &Value| {
            let mut answer = all(event, "Dropped");
            for answer in answer["records"].as_array_mut().unwrap() {
                if answer["recordId"].as_str().unwrap().ends_with(record) {
                    answer["result"] = json!("ProcessingFailed");
                }
            }
            Ok(answer)
        }
    };
    let report = drain(&bench, stream.clone(), Scripted::new(refusing("1:1"))).await;
    assert_eq!(report.drained, 2, "one, and one that holds nothing");
    let left: Vec<_> = report.left.iter().map(|left| (left.path.as_str(), left.why.as_str())).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[0].0.ends_with('3') && left[0].1.contains("line 2"), "{left:?}");
    assert!(left[1].0.ends_with('1') && left[1].1.contains("Lambda.ProcessingFailedStatus"), "{left:?}");

    let down = Scripted::new(|_, _: &Value| Err(PortError::new(Advice::Retry, "still down")));
    let report = drain(&bench, stream.clone(), down.clone()).await;
    assert_eq!((report.drained, down.events().len()), (0, 4), "it is tried as often as any");
    assert!(report.left[1].why.contains("after 4 attempts: still down"), "{report:?}");
    assert_eq!(drain(&bench, stream, Scripted::new(dropping)).await.drained, 1);
}

#[test]
fn lines_are_read_as_services_have_written_them() {
    let as_seen = br#"{"attemptsMade":1,"arrivalTimestamp":1575020067711,"errorCode":"Lambda.MissingRecordId",
        "errorMessage":"m","attemptEndingTimestamp":1575020129986,"rawData":"eA==","lambdaArn":"arn"}"#;
    let as_documented = br#"{"rawData":"eA\u003d\u003d","lambdaARN":"arn","errorCode":"500","attemptsMade":"4",
        "arrivalTimestamp":"1575020067711","attemptEndingTimestamp":"1575020129986"}"#;
    let expected = Line { arrival_ms: 1_575_020_067_711, ended_ms: 1_575_020_129_986, data: "x".into() };
    for line in [&as_seen[..], as_documented] {
        let line: Vec<u8> = line.iter().copied().filter(|byte| *byte != b'\n').collect();
        assert_eq!(failed::read(&line).unwrap(), std::slice::from_ref(&expected));
    }
    let wrong = [r#"{"rawData":"eA=="}"#, "x", r#"{"arrivalTimestamp":"now","attemptEndingTimestamp":1,"rawData":""}"#];
    for line in wrong {
        assert!(failed::read(line.as_bytes()).unwrap_err().starts_with("line 1 tells of no record"), "{line}");
    }
}
