#![allow(clippy::unwrap_used)]

use std::io::Write;

use alluvium_core::clock::Micros;
use alluvium_core::envelope::{EnvelopeHeader, EnvelopeWriter};
use alluvium_core::footer::{BATCH_KEY, SCHEMA_KEY, STATS_KEY};
use alluvium_core::hot::{BUCKETS, bucket_of, time_bucket_of};
use alluvium_core::hot_block::{EXPANDED_BYTES, read_block};
use alluvium_core::identity::idempotent_event_id;
use alluvium_core::{
    BatchFooter, BatchIdentity, DataFileEntry, Dataset, LedgerEntry, ReasonCode, RecordIdentity, ShardId, StreamRecord,
    limits,
};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::row::{RowConverter, SortField};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::*;
use crate::aggregate::tests::aggregate;

mod cleaned_round_trip;
mod cleaning;
mod nested_round_trip;
mod owned;
mod redriven;
mod round_trip;
mod sorting;

const ARRIVAL: Micros = 1_700_000_000_000_000;

fn transform(default_dataset: Option<&str>) -> Transform {
    Transform::new(Arc::new(Datasets::load(None, default_dataset).unwrap()), TransformSettings::default()).unwrap()
}

fn record(shard: u32, sequence: u64, data: impl Into<Bytes>) -> StreamRecord {
    StreamRecord {
        identity: RecordIdentity { shard: ShardId::numbered(shard), sequence: sequence.into(), subsequence: 0 },
        arrival: ARRIVAL + sequence as i64,
        partition_key: "key".into(),
        data: data.into(),
    }
}

fn sealed(owner: &str, dataset: &str, key: Option<&str>, first_index: u32, elements: &[&str]) -> Bytes {
    let header = EnvelopeHeader {
        owner: owner.into(),
        dataset: dataset.into(),
        idempotency_key: key.map(str::to_owned),
        first_index,
    };
    let mut writer = EnvelopeWriter::new(&header, 0);
    elements.iter().for_each(|element| writer.push(element.as_bytes()));
    writer.finish()
}

fn batch(records: impl IntoIterator<Item = StreamRecord>) -> DeliveryBatch {
    DeliveryBatch { records: records.into_iter().collect() }
}

/// Runs a batch, and checks what holds for every batch.
fn run(transform: &Transform, batch: &DeliveryBatch) -> BatchOutput {
    let output = transform.run(batch).unwrap();
    assert_eq!(transform.run(batch).unwrap(), output, "the same batch gives the same bytes");
    let message = &output.message;
    assert!(message.ledger.iter().all(LedgerEntry::balances), "TR-2: {:?}", message.ledger);
    let received: BTreeMap<_, _> = message.ledger.iter().map(|entry| (entry.dataset.clone(), entry.received)).collect();
    assert_eq!(transform.received(batch), received);
    assert!(message.ledger.is_sorted_by_key(|entry| &entry.dataset));
    assert!(message.files.is_sorted_by_key(|file| &file.dataset));
    let rows_of = |dataset: &str| message.files.iter().find(|file| file.dataset == dataset).map_or(0, |file| file.rows);
    for entry in message.ledger.iter().filter(|entry| entry.dataset != "dead_letters") {
        assert_eq!(rows_of(&entry.dataset), entry.written, "{}", entry.dataset);
    }
    assert_eq!(rows_of("dead_letters"), message.ledger.iter().map(|entry| entry.dead).sum::<u64>(), "TR-1");
    for (file, entry) in output.files.iter().zip(&message.files) {
        assert_eq!((&file.path, file.bytes.len() as u64), (&entry.path, entry.size_bytes));
        assert!(file.path.starts_with(&format!("{}/{}-", entry.dataset, batch.identity())));
        assert_eq!(BatchIdentity::from_data_file_name(&file.path), Some(batch.identity()));
        assert_eq!(rows(&output, &entry.dataset).num_rows() as u64, entry.rows);
    }
    assert_eq!(messages_of_footers(&output), vec![message.encode(); output.files.len()]);
    for plan in &transform.plans {
        check_hot_rows(&output, batch, &plan.dataset);
    }
    output
}

/// The commit messages that can be made of what the files say, each of what one of them says of the batch and all say of themselves.
fn messages_of_footers(output: &BatchOutput) -> Vec<Bytes> {
    let (mut footers, mut entries) = (Vec::new(), Vec::new());
    for file in &output.files {
        let metadata = ArrowReaderMetadata::load(&file.bytes, ArrowReaderOptions::default()).unwrap();
        let about = metadata.metadata().file_metadata();
        let pairs = about.key_value_metadata().unwrap();
        let said = |key| pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone()).unwrap();
        footers.push(BatchFooter::decode(&said(BATCH_KEY)).unwrap());
        entries.push(DataFileEntry {
            dataset: file.path.split_once('/').unwrap().0.to_owned(),
            path: file.path.clone(),
            size_bytes: file.bytes.len() as u64,
            rows: about.num_rows() as u64,
            stats: said(STATS_KEY),
            schema: said(SCHEMA_KEY),
        });
    }
    let tables: Vec<_> = entries.iter().map(|entry| entry.dataset.clone()).collect();
    assert!(footers.iter().all(|footer| footer.files == tables));
    footers.iter().map(|footer| footer.message(entries.clone()).encode()).collect()
}

/// The chunks of a dataset hold those rows of its file that are young enough, value for value.
fn check_hot_rows(output: &BatchOutput, batch: &DeliveryBatch, dataset: &Dataset) {
    let name = dataset.name.as_str();
    let in_chunks = output.chunks.iter().filter(|chunk| chunk.dataset == name);
    let in_chunks: Vec<_> = in_chunks.map(|chunk| read_block(&chunk.block, usize::MAX).unwrap()).collect();
    assert!(in_chunks.iter().all(|rows| rows.schema_ref() == dataset.columns()), "{name}");
    if !output.message.files.iter().any(|file| file.dataset == name) {
        return assert!(in_chunks.is_empty(), "{name}");
    }
    let in_file = rows(output, name);
    let newest = batch.records.iter().map(|record| record.arrival).max().unwrap();
    let since = newest - dataset.hot_retention.as_micros() as i64;
    let is_hot = times(&in_file, "event_time").into_iter().map(|time| Some(time >= since)).collect();
    let in_file = arrow::compute::filter_record_batch(&in_file, &is_hot).unwrap();
    let in_chunks = arrow::compute::concat_batches(in_file.schema_ref(), &in_chunks).unwrap();
    assert!(in_order(&in_chunks) == in_order(&in_file), "{name}: {in_chunks:?} {in_file:?}");
}

/// Rows as bytes that are equal when the rows are, in an order of their own.
fn in_order(rows: &RecordBatch) -> Vec<Vec<u8>> {
    let fields = rows.schema_ref().fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
    let rows = RowConverter::new(fields).unwrap().convert_columns(rows.columns()).unwrap();
    let mut rows: Vec<Vec<u8>> = rows.iter().map(|row| row.as_ref().to_vec()).collect();
    rows.sort_unstable();
    rows
}

/// The rows of a dataset's data file.
fn rows(output: &BatchOutput, dataset: &str) -> RecordBatch {
    let file = output.files.iter().find(|file| file.path.starts_with(&format!("{dataset}/"))).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file.bytes.clone()).unwrap().with_batch_size(1 << 20);
    reader.build().unwrap().next().unwrap().unwrap()
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    let texts = rows.column_by_name(column).unwrap().as_string::<i32>();
    texts.iter().map(|text| text.unwrap_or("-").to_owned()).collect()
}

fn times(rows: &RecordBatch, column: &str) -> Vec<Micros> {
    rows.column_by_name(column).unwrap().as_primitive::<TimestampMicrosecondType>().values().to_vec()
}

#[test]
fn records_that_are_one_event_go_where_the_same_records_with_a_line_end_go() {
    let types = [
        r#""type":"reading","#,
        r#""type":"telemetry","#,
        r#""type":"data","#,
        r#""type":"alarm","#,
        r#""type":null,"#,
        "",
    ];
    let event = |n: usize| {
        let event_type = types[n / 3 % types.len()];
        let value = if n % 7 == 6 { r#""high""# } else { "1.5" };
        let information = r#""informationOne":"a","informationTwo":"b""#;
        format!(r#"{{"id":"{n}","source":"s{}",{event_type}"value":{value},{information}}}"#, n % 4)
    };
    for default in [None, Some("telemetry"), Some("data")] {
        for expanded in [TransformSettings::default().batch_expanded_bytes, 2_000] {
            let settings = TransformSettings { batch_expanded_bytes: expanded, ..TransformSettings::default() };
            let datasets = Arc::new(Datasets::load(None, default).unwrap());
            let transform = Transform::new(datasets, settings).unwrap();
            let outcome = |end: &str| {
                let output = run(&transform, &batch((0..120).map(|n| record(0, n as u64, event(n) + end))));
                let has = |name: &str| output.message.files.iter().any(|file| file.dataset == name);
                let ids = |name: &str| if has(name) { texts(&rows(&output, name), "event_id") } else { Vec::new() };
                (ids("telemetry"), ids("data"), ids("dead_letters").len())
            };
            let (whole, delimited) = (outcome(""), outcome("\n"));
            assert_eq!(whole, delimited, "{default:?}, {expanded}");
            assert!(whole.0.len() + whole.1.len() > 20, "{default:?}, {expanded}: {whole:?}");
        }
    }
}

#[test]
fn events_go_where_route_type_or_default_send_them() {
    let elements = [r#"{"id":"1","value":1,"type":"data"}"#];
    let typed = r#"{"id":"2","type":"reading","value":2}
{"id":"3","type":"data","informationOne":"a","informationTwo":"b"}
{"id":"4","type":"unheard-of","value":4}
{"id":"5","value":5}"#;
    let by_route_then_type = [
        record(0, 1, sealed("anna", "telemetry", None, 0, &elements)),
        record(0, 2, sealed("anna", "no_such", None, 0, &[r#"{"id":"6","type":"re\u0061ding","value":6}"#])),
        record(0, 3, typed),
    ];
    let without_default = run(&transform(None), &batch(by_route_then_type.clone()));
    assert_eq!(texts(&rows(&without_default, "telemetry"), "event_id"), ["1", "6", "2"]);
    assert_eq!(texts(&rows(&without_default, "data"), "event_id"), ["3"]);
    let dead = rows(&without_default, "dead_letters");
    assert_eq!(texts(&dead, "reason"), ["no_dataset", "no_dataset"]);
    assert_eq!(texts(&dead, "dataset"), ["-", "-"]);
    let with_default = run(&transform(Some("telemetry")), &batch(by_route_then_type));
    assert_eq!(texts(&rows(&with_default, "telemetry"), "event_id"), ["1", "6", "2", "4", "5"]);
}

#[test]
fn owner_source_time_and_id_come_from_where_they_should() {
    let sent = r#"{"id":"i","source":"s","time":"2023-11-14T00:00:00Z","owner":"eve","value":1}"#;
    let output = run(
        &transform(Some("telemetry")),
        &batch([
            record(0, 1, sealed("anna", "telemetry", None, 0, &[r#"{"value":1}"#, sent])),
            record(0, 2, sealed("", "telemetry", Some("key"), 40, &[r#"{"value":1}"#, r#"{"value":1}"#])),
            record(0, 3, "{\"value\":1}\n\n{\"value\":1}"),
        ]),
    );
    let rows = rows(&output, "telemetry");
    let first = RecordIdentity { shard: ShardId::numbered(0), sequence: 1.into(), subsequence: 0 };
    let third = RecordIdentity { sequence: 3.into(), ..first.clone() };
    let mut keyed = vec![idempotent_event_id("key", 40), idempotent_event_id("key", 41)];
    keyed.sort();
    let mut derived = vec![third.derived_event_id(0), third.derived_event_id(1)];
    derived.sort();
    let expected = [vec![first.derived_event_id(0)], keyed, derived, vec!["i".to_owned()]].concat();
    assert_eq!(texts(&rows, "event_id"), expected);
    assert_eq!(texts(&rows, "source"), ["anna", "anonymous", "anonymous", "anonymous", "anonymous", "s"]);
    assert_eq!(texts(&rows, "owner"), ["anna", "anonymous", "anonymous", "anonymous", "anonymous", "anna"]);
    assert_eq!(times(&rows, "event_time")[..3], [ARRIVAL + 1, ARRIVAL + 2, ARRIVAL + 2]);
    assert_eq!(times(&rows, "event_time")[5], 1_699_920_000_000_000);
    assert_eq!(times(&rows, "ingest_time")[5], ARRIVAL + 1);
    assert_eq!(texts(&rows, "extra")[5], r#"{"owner":"eve"}"#);
}

#[test]
fn what_cannot_be_a_row_is_a_dead_letter_with_its_bytes() {
    let large = format!(r#"{{"id":"{}","value":1}}"#, "x".repeat(limits::EVENT_BYTES));
    let deep = format!(r#"{{"value":{}"#, "[".repeat(1_000_000));
    let elements = [
        "",
        "nonsense",
        "[]",
        "\u{feff}{}",
        &deep,
        r#"{"source":"s","type":"t","value":"x"}"#,
        r#"{"value":1,"value":2}"#,
    ];
    let mut bad = batch([
        record(0, 1, sealed("anna", "telemetry", None, 0, &elements)),
        record(0, 2, sealed("bert", "telemetry", None, 0, &[&large])),
        record(1, 1, vec![0x1F, 0x8B, 1, 2, 3]),
        record(1, 2, b"\xA1LVM\x09".to_vec()),
        record(1, 3, b"{\"a\":\"\xFF\"}\n{\"type\":\"reading\",\"value\":1e999}".to_vec()),
        record(1, 4, "[{\"value\":1}"),
    ]);
    let output = run(&transform(None), &bad);
    let dead = rows(&output, "dead_letters");
    let column = |name: &str| texts(&dead, name);
    let mut found: Vec<_> = column("record").into_iter().zip(column("reason")).zip(column("dataset")).collect();
    found.sort();
    let expected = [
        ("shardId-000000000000/1/0", "duplicate_key", "telemetry"),
        ("shardId-000000000000/1/0", "not_an_object", "telemetry"),
        ("shardId-000000000000/1/0", "not_json", "telemetry"),
        ("shardId-000000000000/1/0", "not_json", "telemetry"),
        ("shardId-000000000000/1/0", "not_json", "telemetry"),
        ("shardId-000000000000/1/0", "schema_violated", "telemetry"),
        ("shardId-000000000000/1/0", "too_deep", "telemetry"),
        ("shardId-000000000000/2/0", "too_large", "telemetry"),
        ("shardId-000000000001/1/0", "unreadable_record", "-"),
        ("shardId-000000000001/2/0", "unreadable_record", "-"),
        ("shardId-000000000001/3/0", "not_json", "-"),
        ("shardId-000000000001/3/0", "schema_violated", "telemetry"),
        ("shardId-000000000001/4/0", "not_json", "-"),
    ];
    let found: Vec<_> =
        found.iter().map(|((record, reason), dataset)| (record.as_str(), reason.as_str(), dataset.as_str())).collect();
    assert_eq!(found, expected);
    let violated = column("reason").iter().position(|reason| reason == "schema_violated").unwrap();
    let at = |name: &str| column(name)[violated].clone();
    assert_eq!([at("source"), at("type"), at("pointer"), at("owner")], ["s", "t", "/value", "anna"]);
    let index = dead.column_by_name("index").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
    assert_eq!(index.value(violated), 5);
    assert_eq!(at("event_id"), bad.records[0].identity.derived_event_id(5));
    let originals = dead.column_by_name("original").unwrap().as_binary::<i32>();
    assert_eq!(originals.value(violated), elements[5].as_bytes());
    let lengths = dead.column_by_name("original_bytes").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
    let cut = (0..dead.num_rows()).find(|row| lengths.value(*row) == large.len() as i64).unwrap();
    assert_eq!(originals.value(cut), &large.as_bytes()[..limits::DEAD_LETTER_ORIGINAL_BYTES]);
    assert!(times(&dead, "event_time").iter().all(|time| (ARRIVAL + 1..=ARRIVAL + 4).contains(time)));
    assert!(output.chunks.is_empty(), "dead letters are not in the hot index");
    bad.records.truncate(0);
    let nothing = run(&transform(None), &bad);
    assert!(nothing.files.is_empty() && nothing.message.ledger.is_empty() && nothing.message.covers.is_empty());
}

#[test]
fn the_ledger_counts_events_bytes_and_reasons_and_says_which_records_it_covers() {
    let good = r#"{"value":1}"#;
    let output = run(
        &transform(None),
        &batch([
            record(1, 7, sealed("anna", "telemetry", None, 0, &[good, "x"])),
            record(0, 9, sealed("anna", "telemetry", None, 0, &[good])),
            record(1, 6, sealed("anna", "data", None, 0, &["{}"])),
            record(1, 8, "not routed"),
        ]),
    );
    let message = &output.message;
    let covers: Vec<_> = message.covers.iter().map(|r| (r.shard.as_str(), r.first.as_u64(), r.last.as_u64())).collect();
    assert_eq!(covers, [("shardId-000000000000", Some(9), Some(9)), ("shardId-000000000001", Some(6), Some(8))]);
    let counts: Vec<_> =
        message.ledger.iter().map(|e| (e.dataset.as_str(), e.received, e.written, e.dead, e.bytes)).collect();
    assert_eq!(counts, [("data", 1, 0, 1, 2), ("dead_letters", 1, 0, 1, 10), ("telemetry", 3, 2, 1, 23)]);
    assert!(message.ledger.iter().all(|entry| entry.arrival == ARRIVAL + 9 && entry.covers == message.covers));
    assert_eq!(message.ledger[2].dead_by_reason, BTreeMap::from([(ReasonCode::NotJson, 1)]));
    let stats: serde_json::Value = serde_json::from_str(&message.files.last().unwrap().stats).unwrap();
    assert_eq!(stats["numRecords"], 2);
    assert_eq!(stats["maxValues"]["event_time"], "2023-11-14T22:13:20.000Z");
    let text = message.files.iter().map(|file| file.stats.as_str()).collect::<String>();
    assert!(!text.contains("owner") && !text.contains("event_id") && !text.contains("extra"), "{text}");
}

/// A batch of readings from several owners and sources, before, within and after the hot retention.
fn readings(count: u64) -> DeliveryBatch {
    let records = (0..4).map(|sequence| {
        let elements: Vec<String> = (0..count)
            .map(|n| {
                let mixed = (n + sequence * count).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8;
                let time = ARRIVAL / 1000 - (mixed % (30 * 3_600_000)) as i64;
                format!(r#"{{"id":"{mixed}","source":"s{}","time":{time},"value":{n},"unit":"Cel"}}"#, mixed % 13)
            })
            .collect();
        let elements: Vec<&str> = elements.iter().map(String::as_str).collect();
        record(0, sequence + 1, sealed(["anna", "bert"][sequence as usize % 2], "telemetry", None, 0, &elements))
    });
    batch(records)
}

#[test]
fn hot_chunks_hold_every_hot_row_once_where_it_is_looked_for() {
    let output = run(&transform(None), &readings(500));
    let all = rows(&output, "telemetry");
    let newest = ARRIVAL + 4;
    let since = newest - 24 * 3_600_000_000;
    let hot = times(&all, "event_time").iter().filter(|time| **time >= since).count();
    assert!(hot > 1000 && hot < 2000, "the batch has rows on both sides of the retention: {hot}");
    assert_eq!(output.chunks.iter().map(|chunk| chunk.rows as usize).sum::<usize>(), hot);
    let mut ids = std::collections::BTreeSet::new();
    let mut keys = std::collections::BTreeSet::new();
    for chunk in &output.chunks {
        let block = read_block(&chunk.block, EXPANDED_BYTES).unwrap();
        assert_eq!(block.schema_ref(), all.schema_ref());
        assert_eq!(block.num_rows(), chunk.rows as usize);
        let (owners, sources, found) = (texts(&block, "owner"), texts(&block, "source"), times(&block, "event_time"));
        for ((owner, source), time) in owners.iter().zip(&sources).zip(&found) {
            assert_eq!(bucket_of(owner, source, BUCKETS), chunk.bucket);
            assert_eq!(time_bucket_of(*time), chunk.time_bucket);
        }
        assert!(owners.iter().zip(&sources).zip(&found).is_sorted());
        assert_eq!((found.iter().min(), found.iter().max()), (Some(&chunk.min_time), Some(&chunk.max_time)));
        assert_eq!(chunk.expires_at, chunk.max_time + 25 * 3_600_000_000);
        assert!(keys.insert((chunk.bucket, chunk.sort_key())), "a key stands once");
        ids.extend(texts(&block, "event_id"));
    }
    assert_eq!(ids.len(), hot);
}

#[test]
fn a_record_of_one_event_is_the_same_delimited_or_not() {
    let events = |end: &str| {
        let event = |n: u64| {
            let time = ARRIVAL / 1000 - (n * 7_919 % 40_000_000) as i64;
            let id = if n.is_multiple_of(7) { String::new() } else { format!(r#""id":"{n}","#) };
            format!(
                r#"{{{id}"source":"s{}","type":"reading","time":{time},"value":{n},"unit":"Cel"}}{end}"#,
                n * 31 % 97
            )
        };
        batch((0..500).map(|n| record(0, n + 1, event(n))))
    };
    let settled = transform(Some("telemetry"));
    let whole = run(&settled, &events(""));
    assert!(whole.chunks.len() > 10 && whole.message.ledger[0].written == 500);
    assert_eq!(whole, run(&settled, &events(" \n")));
    let in_order = |chunk: &HotChunk| {
        let block = read_block(&chunk.block, EXPANDED_BYTES).unwrap();
        texts(&block, "source").iter().zip(&times(&block, "event_time")).is_sorted()
    };
    assert!(whole.chunks.iter().all(in_order), "rows of one owner are in order of source and time");
}

#[test]
fn a_chunk_that_grows_too_large_is_cut_into_parts() {
    // Text that does not compress, in one source and one time bucket.
    let noise = |seed: u64| -> String {
        let mut state = seed;
        let step = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + 3 + ((state >> 40) % 88) as u8)
        };
        std::iter::repeat_with(step).filter(|c| *c != '\\' && *c != '"').take(100_000).collect()
    };
    let events: Vec<String> =
        (0..12).map(|n| format!(r#"{{"id":"{n}","source":"s","value":1,"note":"{}"}}"#, noise(n))).collect();
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let output = run(&transform(None), &batch([record(0, 1, sealed("anna", "telemetry", None, 0, &events))]));
    let parts: Vec<u16> = output.chunks.iter().map(|chunk| chunk.part).collect();
    assert!(parts.len() > 2 && parts.iter().copied().eq(0..parts.len() as u16), "{parts:?}");
    assert!(output.chunks.iter().all(|chunk| chunk.block.len() <= limits::HOT_CHUNK_BYTES));
    assert_eq!(output.chunks.iter().map(|chunk| chunk.rows).sum::<u32>(), 12);
}

#[test]
fn compressed_records_are_read_and_bombs_are_one_dead_letter() {
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let bomb = gzip(&"{}\n".repeat(6 << 20));
    let good = gzip("[{\"id\":\"a\",\"value\":1},{\"id\":\"b\",\"value\":2}]");
    let output = run(&transform(Some("telemetry")), &batch([record(0, 1, good.clone()), record(0, 2, bomb)]));
    assert_eq!(texts(&rows(&output, "telemetry"), "event_id"), ["a", "b"]);
    assert_eq!(texts(&rows(&output, "dead_letters"), "reason"), ["expands_too_far"]);
    let truncated = run(&transform(Some("telemetry")), &batch([record(0, 1, good[..good.len() - 9].to_vec())]));
    assert_eq!(texts(&rows(&truncated, "dead_letters"), "reason"), ["unreadable_record"]);
}

#[test]
fn an_event_that_arrives_twice_is_two_rows_here_and_the_lake_tells() {
    let event = r#"{"id":"same","source":"s","value":1}"#;
    let output = run(&transform(None), &batch([record(0, 1, sealed("anna", "telemetry", None, 0, &[event, event]))]));
    assert_eq!(texts(&rows(&output, "telemetry"), "event_id"), ["same", "same"]);
}

#[test]
fn user_records_of_an_aggregate_are_opened_each_by_itself() {
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        Bytes::from(encoder.finish().unwrap())
    };
    let user_records = [
        Bytes::from(r#"{"value":1}"#),
        gzip("{\"value\":2}\n{\"value\":3}"),
        sealed("anna", "telemetry", None, 0, &[r#"{"value":4}"#]),
        "broken".into(),
        aggregate(&[r#"{"value":5}"#]),
    ];
    let output = run(&transform(Some("telemetry")), &batch([record(0, 7, aggregate(&user_records))]));
    let identity = |subsequence| RecordIdentity { shard: ShardId::numbered(0), sequence: 7.into(), subsequence };
    let rows_found = rows(&output, "telemetry");
    let values = rows_found.column_by_name("value").unwrap().as_primitive::<arrow::datatypes::Float64Type>();
    let found: BTreeMap<String, i64> =
        texts(&rows_found, "event_id").into_iter().zip(values.values().iter().map(|value| *value as i64)).collect();
    let expected = [(0, 0, 1), (1, 0, 2), (1, 1, 3), (2, 0, 4), (4, 0, 5)];
    let expected = expected.map(|(subsequence, index, value)| (identity(subsequence).derived_event_id(index), value));
    assert_eq!(found, BTreeMap::from(expected));
    let dead = rows(&output, "dead_letters");
    assert_eq!(texts(&dead, "record"), ["shardId-000000000000/7/3"]);
    assert_eq!(output.message.covers[0].first, output.message.covers[0].last);
    // Where the stream's reader has taken the aggregate apart already, the same ids come of it.
    let mut apart: Vec<_> = user_records.iter().map(|data| record(0, 7, data.clone())).collect();
    apart.iter_mut().zip(0..).for_each(|(record, subsequence)| record.identity.subsequence = subsequence);
    let apart = run(&transform(Some("telemetry")), &batch(apart));
    assert_eq!(rows(&apart, "telemetry"), rows_found);
}

#[test]
fn a_record_for_which_the_batch_has_no_room_is_kept_whole() {
    let zstd = |text: &str| Bytes::from(zstd::bulk::compress(text.as_bytes(), 1).unwrap());
    let first = zstd(&format!("{{\"value\":1,\"note\":\"{}\"}}", "x".repeat(9000)));
    let second = zstd(&format!("{{\"value\":2,\"note\":\"{}\"}}", "abc".repeat(3000)));
    let settings = TransformSettings {
        batch_expanded_bytes: 10_000,
        dead_letter_original_bytes: 4,
        ..TransformSettings::default()
    };
    let transform = Transform::new(Arc::new(Datasets::load(None, Some("telemetry")).unwrap()), settings).unwrap();
    let output = run(&transform, &batch([record(0, 1, first), record(0, 2, second.clone()), record(0, 3, "{}")]));
    let dead = rows(&output, "dead_letters");
    let at = texts(&dead, "reason").iter().position(|reason| reason == "expands_too_far").unwrap();
    assert_eq!(dead.column_by_name("original").unwrap().as_binary::<i32>().value(at), second);
    assert!(texts(&dead, "detail")[at].contains("10000 bytes together"), "{}", texts(&dead, "detail")[at]);
    assert_eq!(rows(&output, "telemetry").num_rows(), 1);
}
