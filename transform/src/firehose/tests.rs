#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use alluvium_core::{Datasets, SequenceNumber, ShardId};
use arrow::array::AsArray;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::aggregate::tests::aggregate;
use crate::{BatchOutput, Transform, TransformSettings};

const ARRIVAL_MS: i64 = 1_700_000_000_000;

fn base64(data: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(data)
}

fn record(id: &str, data: &str) -> Value {
    json!({"recordId": id, "approximateArrivalTimestamp": ARRIVAL_MS, "data": base64(data.as_bytes())})
}

fn event(records: impl IntoIterator<Item = Value>) -> Vec<u8> {
    let records: Vec<Value> = records.into_iter().collect();
    json!({"invocationId": "i", "deliveryStreamArn": "arn", "region": "eu-west-1", "records": records})
        .to_string()
        .into()
}

fn read(event: impl Into<Vec<u8>>) -> Invocation {
    Invocation::read(event.into()).unwrap()
}

fn refusal(event: impl Into<Vec<u8>>) -> InvocationError {
    Invocation::read(event.into()).unwrap_err()
}

fn run(invocation: &Invocation) -> BatchOutput {
    let datasets = Datasets::load(None, Some("telemetry")).unwrap();
    Transform::new(Arc::new(datasets), TransformSettings::default()).unwrap().run_invocation(invocation).unwrap()
}

/// A column of texts of a dataset's data file.
fn texts(output: &BatchOutput, dataset: &str, column: &str) -> Vec<String> {
    let file = output.files.iter().find(|file| file.path.starts_with(dataset)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone()).unwrap().build().unwrap();
    let of_batch = |rows: arrow::array::RecordBatch| {
        rows.column_by_name(column).unwrap().as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    reader.map(Result::unwrap).flat_map(of_batch).collect()
}

#[test]
fn the_event_of_the_developer_guide_is_read_and_answered() {
    let event = r#"{
        "invocationId": "invoked123",
        "deliveryStreamArn": "aws:lambda:events",
        "sourceKinesisStreamArn": "arn:aws:kinesis:eu-west-1:111122223333:stream/s",
        "region": "us-west-2",
        "records": [
            {
                "data": "SGVsbG8gV29ybGQ=",
                "recordId": "record1",
                "approximateArrivalTimestamp": 1510772160000,
                "kinesisRecordMetadata": {
                    "shardId": "shardId-000000000000",
                    "partitionKey": "4d1ad2b9-24f8-4b9d-a088-76e9947c317a",
                    "approximateArrivalTimestamp": "2012-04-23T18:25:43.511Z",
                    "sequenceNumber": "49546986683135544286507457936321625675700192471156785154",
                    "subsequenceNumber": ""
                }
            },
            {"data": "SGVsbG8gV29ybGQ=", "recordId": "record2", "approximateArrivalTimestamp": 151077216000}
        ]
    }"#;
    let invocation = read(event);
    let [kinesis, direct] = &invocation.batch().records[..] else { panic!("two records") };
    assert_eq!(
        kinesis.identity.to_string(),
        "shardId-000000000000/49546986683135544286507457936321625675700192471156785154/0"
    );
    assert_eq!((kinesis.arrival, &kinesis.data[..]), (1_335_205_543_511_000, &b"Hello World"[..]));
    assert!(direct.identity.shard.is_direct_put());
    let response: Value = serde_json::from_slice(&invocation.stored()).unwrap();
    let expected = json!([{"recordId": "record1", "result": "Dropped"}, {"recordId": "record2", "result": "Dropped"}]);
    assert_eq!(response, json!({ "records": expected }));
}

#[test]
fn a_partition_key_that_is_a_trace_goes_on_to_the_commit_message() {
    const TRACES: [&str; 2] = [
        "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ];
    let keyed = |(number, key): (usize, &str)| {
        let mut record = record(&number.to_string(), r#"{"source":"a","value":1}"#);
        record["kinesisRecordMetadata"] = json!({
            "shardId": "shardId-000000000000", "partitionKey": key, "approximateArrivalTimestamp": ARRIVAL_MS,
            "sequenceNumber": number.to_string(), "subsequenceNumber": 0,
        });
        record
    };
    let keys = [TRACES[0], "a", TRACES[1], TRACES[0], "", "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00"];
    let invocation = read(event(keys.into_iter().enumerate().map(keyed)));
    let kept: Vec<_> = invocation.batch().records.iter().map(|record| record.partition_key.as_str()).collect();
    assert_eq!(kept, [TRACES[0], "", TRACES[1], TRACES[0], "", ""]);
    let traced = run(&invocation);
    let traces: Vec<_> = traced.message.traces.iter().map(ToString::to_string).collect();
    assert_eq!(traces, TRACES);
    // Nothing else depends on it: not what is stored, nor by which identity.
    let untraced = run(&read(event(std::iter::repeat_n("a", keys.len()).enumerate().map(keyed))));
    assert_eq!((untraced.files, untraced.chunks), (traced.files, traced.chunks));
    assert_eq!(untraced.message.with_traces(traced.message.traces.clone()), traced.message);
}

#[test]
fn data_is_decoded_where_it_stands() {
    let event = event([record("1", r#"{"value":1}"#), record("2", "")]);
    let inside = event.as_ptr_range();
    let invocation = read(event);
    assert!(inside.contains(&invocation.batch().records[0].data.as_ptr()), "not copied");
    assert_eq!(invocation.batch().records[1].data, "");
}

#[test]
fn escapes_that_encoders_put_into_base64_are_taken_off() {
    // `???>~~` in base64 is `Pz8/Pn5+`, `a` is `YQ==`.
    for (sent, expected) in [(r"Pz8\/Pn5+", "???>~~"), (r"Pz8\u002fPn5\u002B", "???>~~"), (r"YQ\u003d\u003d", "a")] {
        let event = format!(r#"{{"records":[{{"recordId":"1","approximateArrivalTimestamp":1,"data":"{sent}"}}]}}"#);
        assert_eq!(read(event).batch().records[0].data, expected, "{sent}");
    }
}

#[test]
fn a_record_without_readable_data_is_one_dead_letter_with_what_was_sent() {
    let datas = [
        json!("not base64!"),
        json!("YQ"),
        json!("YQ="),
        json!("Y Q=="),
        json!("{}"),
        json!(null),
        json!(7),
        json!({"a": 1}),
    ];
    let mut records: Vec<Value> = datas
        .iter()
        .enumerate()
        .map(|(n, data)| json!({"recordId": n.to_string(), "data": data, "approximateArrivalTimestamp": ARRIVAL_MS}))
        .collect();
    records.push(json!({"recordId": "without", "approximateArrivalTimestamp": ARRIVAL_MS}));
    records.push(record("good", r#"{"id":"good","value":1}"#));
    let invocation = read(event(records));
    let output = run(&invocation);
    assert_eq!(texts(&output, "telemetry", "event_id"), ["good"]);
    let reasons = texts(&output, "dead_letters", "reason");
    assert_eq!((reasons.len(), reasons.iter().collect::<BTreeSet<_>>().len()), (9, 1), "{reasons:?}");
    assert_eq!(reasons[0], "unreadable_record");
    assert!(texts(&output, "dead_letters", "detail").iter().all(|detail| detail.contains("base64")));
    assert_eq!(invocation.batch().records[0].data, "not base64!");
    let response: Value = serde_json::from_slice(&invocation.stored()).unwrap();
    assert_eq!(response["records"].as_array().unwrap().len(), 10);
}

#[test]
fn an_escape_that_is_none_spoils_its_record_alone() {
    let event = r#"{"records":[{"recordId":"1","approximateArrivalTimestamp":1,"data":"Y\q"}]}"#;
    let invocation = read(event);
    assert_eq!(invocation.unreadable().len(), 1);
    assert_eq!(invocation.batch().records[0].data, r"Y\q");
}

#[test]
fn what_cannot_be_answered_is_an_error_that_says_so() {
    use InvocationError::{
        DoubledRecordId, MissingRecordId, NoArrival, NoRecords, NotJson, ResponseTooLarge, TooLarge,
    };
    let good = || record("1", "{}");
    assert_eq!(refusal(event([good(), json!({"data": ""})])), MissingRecordId { index: 1 });
    for id in [json!(null), json!(7), json!(""), json!(["1"])] {
        assert_eq!(refusal(event([json!({"recordId": id, "data": ""})])), MissingRecordId { index: 0 });
    }
    let doubled = event([record("b", ""), record("a", ""), record("c", ""), record("a", "")]);
    assert_eq!(refusal(doubled), DoubledRecordId { first: 1, second: 3 });
    let escaped = r#"{"records":[{"recordId":"a","approximateArrivalTimestamp":1},{"recordId":"\u0061"}]}"#;
    assert_eq!(refusal(escaped), DoubledRecordId { first: 0, second: 1 });
    for event in ["{}", r#"{"records":null}"#, r#"{"records":{}}"#] {
        assert_eq!(refusal(event), NoRecords, "{event}");
    }
    for event in
        ["", "[]", "{", r#"{"records":[}"#, r#"{"records":[]"#, r#"{"records":[]} x"#, r#"{"records":[{]}"#, "{\"a"]
    {
        assert!(matches!(refusal(event), NotJson { .. }), "{event}");
    }
    let deep = format!(r#"{{"a":{}{},"records":[]}}"#, "[".repeat(1000), "]".repeat(1000));
    assert!(matches!(refusal(deep), NotJson { .. }));
    assert_eq!(refusal(event([json!({"recordId": "1", "data": ""})])), NoArrival);
    let many = event((0..160_000).map(|n| json!({"recordId": n.to_string(), "approximateArrivalTimestamp": 1})));
    assert!(matches!(refusal(many), ResponseTooLarge { records: 160_000, .. }));
    assert_eq!(refusal(vec![b' '; EVENT_BYTES + 1]), TooLarge { bytes: EVENT_BYTES + 1 });
    let said = refusal(event([good(), good()])).to_string();
    assert_eq!(said, "records 0 and 1 (from 0) have the same `recordId`; expected each id once");
}

#[test]
fn a_record_is_read_alike_whatever_was_written_before_it() {
    let time = r#""approximateArrivalTimestamp":1700000000000"#;
    let stream = |rest: &str| format!(r#"{{"recordId":"ID",{time},"data":"e30=","kinesisRecordMetadata":{{{rest}}}}}"#);
    let records = [
        format!(r#"{{"recordId":"ID",{time},"data":"e30="}}"#),
        format!(r#"{{"recordId":"ID",{time},"data":""}}"#),
        format!(r#"{{"recordId":"ID",{time},"data":"W\/1="}}"#),
        format!(r#"{{"recordId":"ID",{time},"data":null}}"#),
        format!(r#"{{"recordId":"ID",{time},"data":"e30=","data":7}}"#),
        format!(r#"{{"recordId":"other","recordId":"ID",{time},"data":"e30=","more":{{"a":["]"]}}}}"#),
        format!(r#"{{"recordId":"ID\u0041",{time},"data":"e30="}}"#),
        r#"{"recordId":"ID","approximateArrivalTimestamp":"2023-11-14T22:13:20Z","data":"e30="}"#.to_owned(),
        r#"{"recordId":"ID","approximateArrivalTimestamp":1700000000001,"data":"e30="}"#.to_owned(),
        r#"{"recordId":"ID","approximateArrivalTimestamp":17000000000.5e2,"data":"e30="}"#.to_owned(),
        stream(r#""shardId":"s","sequenceNumber":"7","subsequenceNumber":0,"partitionKey":"p""#),
        stream(r#""shardId":"s","sequenceNumber":"8","subsequenceNumber":"","partitionKey":"\"""#),
        stream(r#""shardId":"s2","sequenceNumber":"x","subsequenceNumber":1,"partitionKey":"p""#),
        stream(r#""shardId":"","sequenceNumber":9,"subsequenceNumber":null,"partitionKey":"ü""#),
        stream(r#""approximateArrivalTimestamp":1600000000000,"shardId":"s","sequenceNumber":"10""#),
        stream(r#""shardId":"s","sequenceNumber":"11"},"kinesisRecordMetadata":{"shardId":"t""#),
    ];
    let event = |ids: &[(&str, &str)]| {
        let records: Vec<String> = ids.iter().map(|(id, record)| record.replace("ID", id)).collect();
        read(format!(r#"{{"records":[{}]}}"#, records.join(" , ")))
    };
    for before in &records {
        for record in &records {
            let (alone, both) = (event(&[("b", record)]), event(&[("a", before), ("b", record)]));
            assert_eq!(alone.batch().records[0], both.batch().records[1], "{before} before {record}");
            let problem = |invocation: &Invocation, at| {
                invocation.unreadable().iter().find(|unreadable| unreadable.at == at).map(|found| found.detail.clone())
            };
            assert_eq!(problem(&alone, 0), problem(&both, 1), "{before} before {record}");
            assert!(String::from_utf8(both.stored()).unwrap().contains(r#""recordId":"b"#));
        }
    }
}

#[test]
fn a_record_between_members_that_is_broken_is_never_followed() {
    let good = r#"{"recordId":"1","approximateArrivalTimestamp":1700000000000,"data":"e30="}"#;
    for broken in [
        r#"{"recordId":"2","approximateArrivalTimestamp":1700000000000,"data":"e30="]"#,
        r#"{"recordId":"2","approximateArrivalTimestamp":,"data":"e30="}"#,
        r#"{"recordId":"2","approximateArrivalTimestamp":17*0,"data":"e30="}"#,
        r#"{"recordId":"2","approximateArrivalTimestamp":1700000000000,"data":"e30="#,
        r#"{"recordId":"2","approximateArrivalTimestamp":1700000000000"#,
    ] {
        let refused = refusal(format!(r#"{{"records":[{good},{broken}]}}"#));
        assert!(matches!(refused, InvocationError::NotJson { .. }), "{broken}: {refused}");
    }
}

#[test]
fn an_id_that_no_answer_could_hold_is_an_error_that_says_so() {
    let with_id = |id: &[u8]| {
        let before = br#"{"records":[{"recordId":"1","approximateArrivalTimestamp":1},{"recordId":""#;
        [&before[..], id, br#""}]}"#].concat()
    };
    for control in 0..b' ' {
        let said = refusal(with_id(&[b'a', control])).to_string();
        let expected = "record 1 (from 0) has a `recordId` with a control character that is not escaped; expected the JSON of a text";
        assert_eq!(said, expected, "{control:#04x}");
        let escaped = with_id(format!("a\\u{control:04x}").as_bytes());
        let answer: Value = serde_json::from_slice(&read(escaped).stored()).unwrap();
        assert_eq!(answer["records"][1]["recordId"], format!("a{}", char::from(control)));
    }
    for id in [&b"\\q"[..], b"\\ud800", b"\xFF"] {
        let wrong = "bytes that are no UTF-8 or an escape that is none";
        assert_eq!(refusal(with_id(id)), InvocationError::InvalidRecordId { index: 1, wrong });
    }
    assert_eq!(read(with_id(b"\x7F")).batch().records.len(), 2, "a text may hold DEL as it is");
}

#[test]
fn an_invocation_without_records_is_answered() {
    assert_eq!(read(r#"{"records":[]}"#).stored(), br#"{"records":[]}"#);
}

#[test]
fn without_a_stream_records_are_known_by_their_ids_and_cover_nothing() {
    let sent = || event([record("a", r#"{"value":1}"#), record("b", r#"{"value":2}"#)]);
    let (one, again) = (run(&read(sent())), run(&read(sent())));
    assert_eq!(one, again, "a retry gives the same bytes");
    assert!(one.message.covers.is_empty());
    assert_eq!(one.message.ledger[0].written, 2);
    let ids: BTreeSet<_> = texts(&one, "telemetry", "event_id").into_iter().collect();
    assert_eq!(ids.len(), 2);
    let other = run(&read(event([record("c", r#"{"value":1}"#)])));
    assert_ne!(other.message.batch, one.message.batch);
}

#[test]
fn a_record_that_does_not_say_when_it_arrived_arrived_with_the_last() {
    let without = json!({"recordId": "2", "data": ""});
    let unreadable = json!({"recordId": "3", "data": "", "approximateArrivalTimestamp": "yesterday"});
    let invocation = read(event([record("1", ""), without, unreadable]));
    assert!(invocation.batch().records.iter().all(|record| record.arrival == ARRIVAL_MS * 1000));
}

#[test]
fn an_aggregate_within_an_aggregate_takes_no_other_records_ids() {
    let stream = |id: &str, subsequence: Value, data: &[u8]| {
        json!({"recordId": id, "data": base64(data), "kinesisRecordMetadata": {"shardId": "s", "sequenceNumber": "7",
            "subsequenceNumber": subsequence, "approximateArrivalTimestamp": ARRIVAL_MS}})
    };
    let nested = aggregate(&[r#"{"value":1}"#, r#"{"value":2}"#, r#"{"value":3}"#]);
    let plain = br#"{"value":4}"#;
    let records = [stream("a", json!(0), &nested), stream("b", json!("1"), plain), stream("c", json!(2), plain)];
    let ids: BTreeSet<_> = texts(&run(&read(event(records))), "telemetry", "event_id").into_iter().collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn what_is_handed_over_of_a_stream_record_is_known_by_what_the_batch_says() {
    let of_stream = |data: Bytes| StreamRecord {
        identity: RecordIdentity { shard: ShardId::new("s"), sequence: SequenceNumber::from(7), subsequence: 0 },
        arrival: ARRIVAL_MS * 1000,
        partition_key: "key".to_owned(),
        data,
    };
    let nested = aggregate(&["1", "2"]);
    let cut_off = nested.slice(..nested.len() - 1);
    let whole = [of_stream("{}".into()), of_stream(cut_off)];
    assert_eq!(whole.clone().map(user_records), whole.clone().map(|record| vec![record]));
    assert!(user_records(of_stream(aggregate::<&str>(&[]))).is_empty());
    let apart = user_records(of_stream(aggregate(&["{}".into(), nested.clone(), "".into()])));
    let told: Vec<_> = apart.iter().map(|record| (record.identity.subsequence, record.data.clone())).collect();
    assert_eq!(told, [(0, "{}".into()), (1, nested), (2, "".into())], "one level, in order");

    for records in [apart, whole[1..].to_vec()] {
        let sent = records.iter().enumerate().map(|(id, record)| {
            json!({"recordId": id.to_string(), "data": base64(&record.data), "kinesisRecordMetadata": {
                "shardId": "s", "sequenceNumber": "7", "subsequenceNumber": record.identity.subsequence,
                "approximateArrivalTimestamp": ARRIVAL_MS}})
        });
        let known = read(event(sent)).batch().records.iter().map(|record| record.identity.clone()).collect::<Vec<_>>();
        assert_eq!(known, records.iter().map(identity_in_batch).collect::<Vec<_>>());
    }
}

/// What serde_json says that a record is.
fn expected(record: &Value) -> (String, ShardId, u64, i64, Vec<u8>) {
    let metadata = &record["kinesisRecordMetadata"];
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let time = |value: &Value| match value {
        Value::String(text) => Some(text.parse::<jiff::Timestamp>().unwrap().as_microsecond()),
        value => value.as_i64().map(|millis| millis * 1000),
    };
    let data = base64_simd::STANDARD.decode_to_vec(record["data"].as_str().unwrap()).unwrap();
    let shard = metadata["shardId"].as_str().unwrap_or(ShardId::DIRECT_PUT);
    (
        record["recordId"].as_str().unwrap().to_owned(),
        ShardId::new(shard),
        number(&metadata["subsequenceNumber"]).unwrap_or(0),
        time(&metadata["approximateArrivalTimestamp"])
            .or_else(|| time(&record["approximateArrivalTimestamp"]))
            .unwrap(),
        data,
    )
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f32>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn time() -> impl Strategy<Value = Value> {
    prop_oneof![(1_000_000_000_000_i64..2_000_000_000_000).prop_map(Value::from), Just(json!("2023-11-14T22:13:20.5Z"))]
}

/// Members in any order, among others that nobody knows.
fn object(known: Vec<(&'static str, BoxedStrategy<Option<Value>>)>) -> impl Strategy<Value = Value> {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let known: Vec<_> = known
        .into_iter()
        .map(|(name, value)| value.prop_map(move |value| value.map(|value| (name.to_owned(), value))))
        .collect();
    let unknown = any::<String>().prop_filter("unknown", move |name| !names.contains(&name.as_str()));
    let unknown = prop::collection::vec((unknown, anything()).prop_map(Some), 0..3);
    (known, unknown)
        .prop_map(|(known, unknown)| [known, unknown].concat().into_iter().flatten().collect::<Vec<_>>())
        .prop_shuffle()
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn some(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    value.prop_map(Some).boxed()
}

fn maybe(value: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop::option::of(value).boxed()
}

fn sent_record() -> impl Strategy<Value = Value> {
    let subsequence =
        prop_oneof![(0..9_u32).prop_map(Value::from), Just(json!("")), Just(json!("3")), Just(Value::Null)];
    let metadata = object(vec![
        ("shardId", some("shardId-00000000000[0-3]".prop_map(Value::from))),
        ("sequenceNumber", some("[1-9][0-9]{0,56}".prop_map(Value::from))),
        ("partitionKey", maybe(any::<String>().prop_map(Value::from))),
        ("subsequenceNumber", maybe(subsequence)),
        ("approximateArrivalTimestamp", maybe(time())),
    ]);
    object(vec![
        ("recordId", some(any::<String>().prop_map(Value::from))),
        ("data", some(prop::collection::vec(any::<u8>(), 0..60).prop_map(|data| base64(&data).into()))),
        ("approximateArrivalTimestamp", some(time())),
        ("kinesisRecordMetadata", maybe(metadata)),
    ])
}

/// JSON with every character that is no letter or digit of a string escaped, and white space between tokens.
fn written_otherwise(value: &Value) -> String {
    let text = |text: &str| {
        let escaped: String = text
            .encode_utf16()
            .map(|unit| match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                _ => format!("\\u{unit:04X}"),
            })
            .collect();
        format!("\"{escaped}\"")
    };
    match value {
        Value::String(string) => text(string),
        Value::Array(items) => format!("[ {}\n]", items.iter().map(written_otherwise).collect::<Vec<_>>().join(" ,\t")),
        Value::Object(members) => {
            let members =
                members.iter().map(|(name, value)| format!("{} :\r\n{}", text(name), written_otherwise(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn events_are_read_as_the_reference_reads_them_and_every_id_is_answered_once(
        records in prop::collection::vec(sent_record(), 0..6)
    ) {
        let mut ids = BTreeSet::new();
        let records: Vec<Value> = records
            .into_iter()
            .filter(|record| record["recordId"] != "" && ids.insert(record["recordId"].as_str().unwrap().to_owned()))
            .collect();
        let event = json!({"region": "r", "records": records});
        for written in [event.to_string(), written_otherwise(&event)] {
            let invocation = read(written);
            prop_assert!(invocation.unreadable().is_empty());
            let batch = &invocation.batch().records;
            prop_assert_eq!(batch.len(), records.len());
            for (found, sent) in batch.iter().zip(&records) {
                let (_, shard, subsequence, arrival, data) = expected(sent);
                prop_assert_eq!(&found.identity.shard, &shard);
                prop_assert_eq!(found.identity.subsequence, subsequence);
                if let Some(sequence) = sent["kinesisRecordMetadata"]["sequenceNumber"].as_str() {
                    prop_assert_eq!(found.identity.sequence.to_string(), sequence);
                }
                prop_assert_eq!((found.arrival, &found.data[..]), (arrival, &data[..]));
            }
            let response: Value = serde_json::from_slice(&invocation.stored()).unwrap();
            let answered: Vec<Value> = records.iter().map(|record| json!({"recordId": record["recordId"], "result": "Dropped"})).collect();
            prop_assert_eq!(response, json!({ "records": answered }));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        event in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            r#"\{"records":\[[\[\]{}:,"\\a-z0 ]{0,40}"#.prop_map(String::into_bytes),
            (sent_record(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(record, at, byte)| {
                let mut event = event([record]);
                let at = at.index(event.len());
                event[at] = byte;
                event
            }),
        ]
    ) {
        if let Ok(invocation) = Invocation::read(event) {
            let records: &[StreamRecord] = &invocation.batch().records;
            let count = records.len();
            let response: Value = serde_json::from_slice(&invocation.stored()).unwrap_or(Value::Null);
            prop_assert!(count == 0 || response["records"].as_array().is_some_and(|answers| answers.len() == count));
        }
    }
}
