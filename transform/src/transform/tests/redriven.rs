//! What is sent again out of the dead letters: it becomes the rows that it would have become.

use alluvium_core::envelope::{RedrivenRecord, redriven_event};
use alluvium_core::{DatasetName, Origin};

use super::*;

/// A transform with one dataset, to which events go that no route sends elsewhere.
fn with_schema(schema: &str) -> Transform {
    let dataset = Dataset::from_schema(DatasetName::new("measures").unwrap(), schema).unwrap();
    let datasets = Datasets::of([dataset], Some("measures")).unwrap();
    Transform::new(Arc::new(datasets), TransformSettings::default()).unwrap()
}

fn too_strict() -> Transform {
    with_schema(r#"{"properties": {"value": {"type": "integer"}}, "required": ["value"]}"#)
}

pub(super) fn corrected() -> Transform {
    with_schema(r#"{"properties": {"value": {"type": "number"}}}"#)
}

/// The dead letters of a batch as they are sent again, in the order of their ids.
pub(super) fn again(output: &BatchOutput) -> Vec<Bytes> {
    let dead = rows(output, "dead_letters");
    let column = |name: &str| texts(&dead, name);
    let originals = dead.column_by_name("original").unwrap().as_binary::<i32>();
    let indexes = dead.column_by_name("index").unwrap().as_primitive::<arrow::datatypes::Int64Type>();
    let mut records: Vec<_> = (0..dead.num_rows())
        .map(|row| {
            let origin = Origin {
                record: column("record")[row].parse().unwrap(),
                index: indexes.value(row) as u32,
                arrival: times(&dead, "ingest_time")[row],
                dead_letter: column("event_id")[row].parse().unwrap(),
            };
            let owner = column("owner")[row].clone();
            let original = originals.value(row);
            let record = if ["expands_too_far", "unreadable_record"].contains(&column("reason")[row].as_str()) {
                RedrivenRecord { owner, origin, record: original.to_vec().into() }.seal()
            } else {
                let dataset = Some(column("dataset")[row].clone()).filter(|dataset| dataset != "-");
                let header = EnvelopeHeader { owner, dataset: dataset.unwrap_or_default(), ..Default::default() };
                redriven_event(&header, &origin, original)
            };
            (column("event_id")[row].clone(), record)
        })
        .collect();
    records.sort();
    records.into_iter().map(|(_, record)| record).collect()
}

/// A batch of these records, delivered long after the first one and by another shard.
pub(super) fn later(records: Vec<Bytes>) -> DeliveryBatch {
    batch(records.into_iter().enumerate().map(|(at, data)| StreamRecord {
        arrival: ARRIVAL + 86_400_000_000 + at as i64,
        ..record(5, 1_000 + at as u64, data)
    }))
}

/// Events with and without what identifies them, which no integer is in.
fn events() -> DeliveryBatch {
    let bare = r#"{"value":1.5}"#;
    let whole = r#"{"id":"i","source":"s","type":"t","time":"2023-11-14T00:00:00Z","value":2.5,"more":true}"#;
    batch([
        record(0, 1, sealed("anna", "measures", None, 0, &[bare, whole, bare])),
        record(0, 2, sealed("bert", "measures", Some("key"), 40, &[bare, bare])),
        record(0, 3, sealed("", "", None, 0, &[bare])),
        record(1, 1, format!("{bare}\n\n{bare}")),
        record(1, 2, aggregate(&[bare, bare])),
    ])
}

#[test]
fn an_event_becomes_the_row_that_it_would_have_become() {
    let dead = run(&too_strict(), &events());
    assert_eq!(dead.message.ledger[0].dead, 10);
    let expected = rows(&run(&corrected(), &events()), "measures");
    let redriven = run(&corrected(), &later(again(&dead)));
    let counted = |output: &BatchOutput| output.message.ledger.iter().map(|entry| entry.redriven).collect::<Vec<_>>();
    assert_eq!((counted(&dead), counted(&redriven)), (vec![Some(0)], vec![Some(10)]));
    let redriven = rows(&redriven, "measures");
    assert_eq!(in_order(&redriven), in_order(&expected), "ids, owners, sources and both times: {redriven:?}");
}

#[test]
fn what_dies_again_is_a_dead_letter_of_its_own_and_can_be_sent_again() {
    let first = run(&too_strict(), &events());
    let second = run(&too_strict(), &later(again(&first)));
    let (before, after) = (rows(&first, "dead_letters"), rows(&second, "dead_letters"));
    let numbered = |ids: Vec<String>, times: u32| {
        let mut ids: Vec<_> = ids.into_iter().map(|id| format!("{id}-{times}")).collect();
        ids.sort();
        ids
    };
    let sorted = |rows: &RecordBatch, name: &str| {
        let mut texts = texts(rows, name);
        texts.sort();
        texts
    };
    assert_eq!(sorted(&after, "event_id"), numbered(texts(&before, "event_id"), 2));
    for column in ["record", "owner", "dataset", "reason"] {
        assert_eq!(sorted(&after, column), sorted(&before, column), "{column}");
    }
    let sorted_times = |rows| {
        let mut times = times(rows, "ingest_time");
        times.sort_unstable();
        times
    };
    assert_eq!(sorted_times(&after), sorted_times(&before));
    let repeated = run(&too_strict(), &later(again(&first)));
    assert_eq!(rows(&repeated, "dead_letters"), after, "sent twice, it is the same dead letter twice");
    let third = run(&too_strict(), &later(again(&second)));
    assert_eq!(sorted(&rows(&third, "dead_letters"), "event_id"), numbered(texts(&before, "event_id"), 3));
    let expected = rows(&run(&corrected(), &events()), "measures");
    let redriven = rows(&run(&corrected(), &later(again(&third))), "measures");
    assert_eq!(in_order(&redriven), in_order(&expected));
}

#[test]
fn a_record_that_was_never_opened_is_sent_again_whole() {
    let zstd = |text: &str| Bytes::from(zstd::bulk::compress(text.as_bytes(), 1).unwrap());
    let bare = r#"{"value":1.5}"#;
    let two = format!("{bare}\n{bare}");
    let records = batch([
        record(0, 1, zstd(&two)),
        record(0, 2, sealed("anna", "measures", Some("key"), 3, &[bare, bare])),
        record(0, 3, aggregate(&[bare.to_owned(), two])),
    ]);
    let no_room = TransformSettings { batch_expanded_bytes: 0, ..TransformSettings::default() };
    let no_room = Transform { settings: no_room, ..corrected() };
    let refused = run(&no_room, &records);
    assert_eq!(refused.message.ledger[0].dead, 4, "one of each record, the aggregate's two apart");
    let expected = rows(&run(&corrected(), &records), "measures");
    assert_eq!(expected.num_rows(), 7);
    let redriven = run(&corrected(), &later(again(&refused)));
    assert_eq!(redriven.message.ledger[0].redriven, Some(7), "every event out of a record that was sent again whole");
    assert_eq!(in_order(&rows(&redriven, "measures")), in_order(&expected));
    let refused_again = run(&no_room, &later(again(&refused)));
    let redriven = run(&corrected(), &later(again(&refused_again)));
    assert_eq!(in_order(&rows(&redriven, "measures")), in_order(&expected));
    let dead = rows(&run(&too_strict(), &later(again(&refused))), "dead_letters");
    let mut ids = texts(&dead, "event_id");
    ids.sort();
    let mut wanted: Vec<_> = texts(&expected, "event_id").into_iter().map(|id| id + "-2").collect();
    wanted.sort();
    assert_eq!(ids, wanted, "each event of it is a dead letter by itself");
}
