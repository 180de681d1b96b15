//! What the function is told, what it may answer, and what comes of that.

use std::sync::atomic::AtomicUsize;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn three() -> Arc<MemoryStream> {
    MemoryStream::of((0..3).map(|n| record(n, format!("{{\"value\":{n}}}"))))
}

fn failing(advice: Advice) -> impl Fn(usize, &Value) -> Result<Value, PortError> + Send + Sync {
    move |_, _| Err(PortError::new(advice, "out of memory"))
}

fn codes(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["errorCode"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn an_event_says_what_the_guide_says() {
    let function = Scripted::new(dropping);
    let user_records = aggregate(&["first", "second"]);
    let stream = MemoryStream::of([record(0, "one"), record(1, user_records)]);
    let report = Bench::new().run(stream, function.clone()).await;
    assert_eq!((report.stream_records, report.records, report.delivered, report.batches), (2, 3, 3, 1));
    let events = function.events();
    let [event] = &events[..] else { panic!("one event, not {events:?}") };
    let said = |record: &StreamRecord, id: &Value, subsequence: u64, data: &str| {
        let arrival = record.arrival / 1000;
        json!({"recordId": id, "approximateArrivalTimestamp": arrival, "data": STANDARD.encode(data),
            "kinesisRecordMetadata": {"shardId": "shardId-000000000000", "partitionKey": record.partition_key,
                "approximateArrivalTimestamp": arrival, "sequenceNumber": record.identity.sequence.to_string(),
                "subsequenceNumber": subsequence}})
    };
    let id = |at: usize| &event["records"][at]["recordId"];
    let expected = json!({
        "invocationId": event["invocationId"],
        "deliveryStreamArn": settings().names.delivery_stream_arn,
        "sourceKinesisStreamArn": settings().names.stream_arn,
        "region": "eu-west-1",
        "records": [
            said(&record(0, ""), id(0), 0, "one"),
            said(&record(1, ""), id(1), 0, "first"),
            said(&record(1, ""), id(2), 1, "second"),
        ],
    });
    assert_eq!(*event, expected);
    assert_eq!(id(2).as_str().unwrap().len(), 62);
    assert_eq!(event["invocationId"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn shards_are_delivered_in_order_and_by_size() {
    let function = Scripted::new(dropping);
    let records = (0..10).flat_map(|n| [0, 1].map(|shard| record_of(shard, n, vec![b'x'; 60_000])));
    let report = Bench::new().run(MemoryStream::of(records), function.clone()).await;
    assert_eq!((report.records, report.batches, report.bytes), (20, 6, 1_200_000));
    for shard in ["shardId-000000000000", "shardId-000000000001"] {
        let events = function.events().into_iter().filter(|event| {
            let mut records = event["records"].as_array().unwrap().iter();
            let is_of_shard = |record: &Value| record["kinesisRecordMetadata"]["shardId"] == shard;
            let first = is_of_shard(&event["records"][0]);
            assert!(records.all(|record| is_of_shard(record) == first), "one shard an event");
            first
        });
        let sizes: Vec<_> = events.map(|event| event["records"].as_array().unwrap().len()).collect();
        assert_eq!(sizes, [4, 4, 2]);
    }
}

#[tokio::test]
async fn a_function_that_fails_is_asked_again_with_the_same_records() {
    for advice in [Advice::Retry, Advice::BackOff] {
        let function = Scripted::new(move |number, event: &Value| match number {
            0..3 => Err(PortError::new(advice, "not now")),
            _ => dropping(number, event),
        });
        let bench = Bench::new();
        let report = bench.run(three(), function.clone()).await;
        assert_eq!((report.invocations, report.retries, report.delivered, report.failed_records), (4, 3, 3, 0));
        let events = function.events();
        assert!(events.iter().all(|event| event["records"] == events[0]["records"]));
        let invocations: std::collections::BTreeSet<_> =
            events.iter().map(|event| event["invocationId"].as_str().unwrap()).collect();
        assert_eq!(invocations.len(), 4, "each attempt has an id of its own");
        assert!(bench.paths().await.is_empty());
    }
}

#[tokio::test]
async fn a_batch_that_fails_each_time_is_set_aside_whole_and_the_loop_goes_on() {
    let cases = [(Advice::Retry, 4, "Lambda.FunctionError"), (Advice::BackOff, 4, "Lambda.InvokeLimitExceeded")];
    for (advice, attempts, code) in cases.into_iter().chain([(Advice::Stop, 1, "Lambda.FunctionError")]) {
        let function =
            Scripted::new(
                move |number, event: &Value| {
                    if number < attempts { failing(advice)(number, event) } else { dropping(number, event) }
                },
            );
        let bench = Bench::new();
        let data = vec![b'x'; 100_000];
        let stream = MemoryStream::of((0..3).map(|n| record(n, data.clone())));
        let report = bench.run(stream, function).await;
        assert_eq!((report.records, report.delivered, report.failed_records), (3, 1, 2));
        assert_eq!((report.batches, report.failed_batches, report.invocations), (2, 1, attempts as u64 + 1));
        let lines = bench.error_lines().await;
        let expected = |n: u64| {
            json!({"attemptsMade": attempts, "arrivalTimestamp": record(n, "").arrival / 1000, "errorCode": code,
                "errorMessage": "out of memory", "attemptEndingTimestamp": NOW / 1000,
                "rawData": STANDARD.encode(&data), "lambdaArn": settings().names.function_arn})
        };
        assert_eq!(lines, [expected(0), expected(1)]);
    }
}

#[tokio::test]
async fn a_function_that_takes_too_long_has_failed() {
    struct Hanging;
    #[async_trait]
    impl Function for Hanging {
        async fn invoke(&self, _: Bytes) -> Result<Bytes, PortError> {
            std::future::pending().await
        }
    }
    let mut bench = Bench::new();
    bench.settings.invocation_time = Duration::from_millis(2);
    bench.settings.retries = 1;
    let report = bench.run(three(), Arc::new(Hanging)).await;
    assert_eq!((report.invocations, report.failed_records), (2, 3));
    assert_eq!(bench.error_lines().await[0]["errorMessage"], "the function took more than 2ms");
}

#[tokio::test]
async fn a_response_that_breaks_the_contract_fails_the_whole_batch_at_once() {
    type Breaking = fn(Vec<Value>) -> Value;
    fn with(mut records: Vec<Value>, one_more: Value) -> Value {
        records.push(one_more);
        json!({ "records": records })
    }
    let cases: [(Breaking, &str); 7] = [
        (|_| json!({"errorMessage": "boom"}), "Lambda.JsonProcessingException"),
        (|_| json!("records"), "Lambda.JsonProcessingException"),
        (|_| json!({"records": [{"recordId": 7}]}), "Lambda.JsonProcessingException"),
        (|records| json!({"records": records[1..]}), "Lambda.MissingRecordId"),
        (|records| with(records, json!({"result": "Dropped"})), "Lambda.MissingRecordId"),
        (|records| with(records, json!({"recordId": "other", "result": "Dropped"})), "Lambda.MissingRecordId"),
        (|records| with(records.clone(), records[0].clone()), "Lambda.DuplicatedRecordId"),
    ];
    for (broken, code) in cases {
        let answer = move |_, event: &Value| Ok(broken(all(event, "Dropped")["records"].as_array().unwrap().clone()));
        let bench = Bench::new();
        let report = bench.run(three(), Scripted::new(answer)).await;
        let counts = (report.invocations, report.delivered, report.failed_batches, report.failed_records);
        assert_eq!(counts, (1, 0, 1, 3), "{code}");
        let lines = bench.error_lines().await;
        assert_eq!(codes(&lines), [code; 3]);
        assert_eq!(lines[0]["attemptsMade"], 1);
    }
}

#[tokio::test]
async fn a_response_that_is_too_large_is_a_failure_of_the_function() {
    let padding = "x".repeat(10_000);
    let answer = move |_, event: &Value| Ok(json!({"records": all(event, "Dropped")["records"], "padding": padding}));
    let mut bench = Bench::new();
    bench.settings.event_bytes = 5_000;
    let report = bench.run(three(), Scripted::new(answer)).await;
    assert_eq!((report.invocations, report.failed_records), (4, 3));
    let lines = bench.error_lines().await;
    assert!(lines[0]["errorMessage"].as_str().unwrap().contains("at most 5000"), "{lines:?}");
}

#[tokio::test]
async fn each_record_has_a_result_of_its_own() {
    let results = [
        json!({"result": "Dropped"}),
        json!({"result": "Ok", "data": STANDARD.encode("written\n")}),
        json!({"result": "ProcessingFailed"}),
        json!({"result": "Ok"}),
        json!({"result": "Ok", "data": "*"}),
        json!({"result": "dropped"}),
        json!({}),
        json!({"result": "Ok", "data": STANDARD.encode("too\n"), "metadata": {"partitionKeys": {}}}),
    ];
    let count = results.len() as u64;
    let answer = move |_, event: &Value| {
        let answered = event["records"].as_array().unwrap().iter().zip(&results).map(|(record, result)| {
            let mut result = result.clone();
            result["recordId"] = record["recordId"].clone();
            result
        });
        Ok(json!({"records": answered.rev().collect::<Vec<_>>()}))
    };
    let bench = Bench::new();
    let stream = MemoryStream::of((0..count).map(|n| record(n, n.to_string())));
    let report = bench.run(stream, Scripted::new(answer)).await;
    assert_eq!((report.records, report.delivered, report.unexpected, report.failed_records), (8, 1, 2, 5));
    assert_eq!(report.failed_batches, 0);
    let paths = bench.paths().await;
    let unexpected = paths.iter().find(|path| path.starts_with("unexpected/2026/11/27/10/")).unwrap();
    assert_eq!(bench.files().get(unexpected).await.unwrap(), "written\ntoo\n");
    bench.files().delete(unexpected).await.unwrap();
    let lines = bench.error_lines().await;
    let invalid = "Lambda.InvalidReturnFormat";
    assert_eq!(codes(&lines), ["Lambda.ProcessingFailedStatus", invalid, invalid, invalid, invalid]);
    let data: Vec<_> = lines.iter().map(|line| line["rawData"].as_str().unwrap().to_owned()).collect();
    assert_eq!(data, ["2", "3", "4", "5", "6"].map(|data| STANDARD.encode(data)));
}

#[tokio::test]
async fn an_error_object_takes_no_other_ones_place() {
    let bench = Bench::new();
    let refused = Scripted::new(failing(Advice::Stop));
    let twice = three();
    bench.run(twice.clone(), refused.clone()).await;
    bench.run(twice, refused.clone()).await;
    assert_eq!(bench.paths().await.len(), 1, "the same lines under the same name");
    bench.run(MemoryStream::of([record(9, "other")]), refused).await;
    assert_eq!(bench.paths().await.len(), 2, "the same seed gives the same name, which was taken");
}

#[tokio::test]
async fn a_record_that_no_event_holds_is_set_aside() {
    let mut bench = Bench::new();
    bench.settings.event_bytes = 5_000;
    let function = Scripted::new(dropping);
    let stream = MemoryStream::of([record(0, "a"), record(1, vec![b'x'; 5_000]), record(2, "b")]);
    let report = bench.run(stream, function.clone()).await;
    assert_eq!((report.delivered, report.failed_records, report.failed_batches), (2, 1, 0));
    assert!(*function.largest.lock().unwrap() <= 5_000);
    let lines = bench.error_lines().await;
    assert_eq!(lines[0]["attemptsMade"], 0);
    assert_eq!(codes(&lines), ["Lambda.InvocationPayloadTooLarge"]);
}

#[tokio::test]
async fn a_restart_goes_on_after_what_is_dealt_with() {
    let folder = tempfile::tempdir().unwrap();
    let positions = || {
        let disk = Arc::new(crate::disk::RealDisk);
        Positions::open(disk, &folder.path().join("positions.json"), "arn").unwrap()
    };
    let bench = Bench::new();
    let stream = three();
    let run = async |function: Arc<dyn Function>| {
        let firehose = Firehose { positions: positions(), ..bench.firehose(stream.clone(), function) };
        firehose.run(CancellationToken::new()).await.unwrap()
    };
    assert_eq!(run(Scripted::new(failing(Advice::Stop))).await.failed_records, 3, "set aside is dealt with");
    stream.0.lock().unwrap().push(record(3, aggregate(&["x", "y"])));
    assert_eq!(run(Scripted::new(dropping)).await.records, 2);
    assert_eq!(run(Scripted::new(dropping)).await, FirehoseReport::default());
}

#[tokio::test]
async fn what_has_waited_long_enough_is_handed_over() {
    let mut bench = Bench::new();
    bench.settings.buffer = Duration::from_millis(5);
    bench.settings.until_idle = None;
    let firehose = bench.firehose(three(), Scripted::new(dropping));
    let (stop, progress) = (CancellationToken::new(), firehose.progress.clone());
    let running = tokio::spawn(firehose.run(stop.clone()));
    while progress.report().delivered < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    assert_eq!(running.await.unwrap().unwrap().records, 3);
}

#[tokio::test]
async fn a_loop_that_is_told_to_stop_delivers_what_it_has_read() {
    let mut bench = Bench::new();
    bench.settings.until_idle = None;
    let firehose = bench.firehose(three(), Scripted::new(dropping));
    let (stop, progress) = (CancellationToken::new(), firehose.progress.clone());
    let running = tokio::spawn(firehose.run(stop.clone()));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(progress.report().records, 0, "the buffer is neither full nor due");
    stop.cancel();
    assert_eq!(running.await.unwrap().unwrap().delivered, 3);
}

#[tokio::test]
async fn a_stream_that_cannot_be_read_for_a_while_is_read_then() {
    struct Throttled(MemoryStream, AtomicUsize);
    #[async_trait]
    impl Stream for Throttled {
        async fn append(&self, batch: PutBatch) -> Result<Vec<PutVerdict>, PortError> {
            self.0.append(batch).await
        }

        async fn read(
            &self,
            shard: &ShardId,
            after: Option<SequenceNumber>,
            max_bytes: usize,
            wait: Duration,
        ) -> Result<ReadPage, PortError> {
            match self.1.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => Err(PortError::new(Advice::BackOff, "five reads a second")),
                1 => Err(PortError::new(Advice::Retry, "reset by peer")),
                _ => self.0.read(shard, after, max_bytes, wait).await,
            }
        }

        async fn shards(&self) -> Result<Vec<ShardState>, PortError> {
            self.0.shards().await
        }
    }
    let stream = Throttled(MemoryStream(Mutex::new(vec![record(0, "a")])), AtomicUsize::new(0));
    assert_eq!(Bench::new().run(Arc::new(stream), Scripted::new(dropping)).await.delivered, 1);
}

#[tokio::test]
async fn five_invocations_of_a_shard_are_outstanding_at_most() {
    struct Counting(AtomicUsize, AtomicUsize);
    #[async_trait]
    impl Function for Counting {
        async fn invoke(&self, payload: Bytes) -> Result<Bytes, PortError> {
            use std::sync::atomic::Ordering::SeqCst;
            let running = self.0.fetch_add(1, SeqCst) + 1;
            self.1.fetch_max(running, SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.0.fetch_sub(1, SeqCst);
            let event: Value = serde_json::from_slice(&payload).unwrap();
            Ok(serde_json::to_vec(&all(&event, "Dropped")).unwrap().into())
        }
    }
    for outstanding in [1, 5] {
        let mut bench = Bench::new();
        bench.settings.outstanding = outstanding;
        let function = Arc::new(Counting(AtomicUsize::new(0), AtomicUsize::new(0)));
        let stream = MemoryStream::of((0..12).map(|n| record(n, vec![b'x'; 200_000])));
        assert_eq!(bench.run(stream, function.clone()).await.batches, 12);
        assert_eq!(function.1.load(std::sync::atomic::Ordering::SeqCst), outstanding);
    }
}
