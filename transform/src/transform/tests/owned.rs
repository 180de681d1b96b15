//! Records that are sealed with their owner (AU-1): they become what they would have become in a stream of this owner's, and nothing that
//! they hold names another.

use alluvium_core::envelope::{OwnedRecord, RedrivenRecord, redriven_event};
use alluvium_core::{DeadLetterId, Origin};
use proptest::prelude::*;

use super::redriven::{again, corrected, later};
use super::*;

fn owned(owner: &str, record: impl Into<Bytes>) -> Bytes {
    OwnedRecord { owner: owner.to_owned(), dataset: String::new(), record: record.into() }.seal()
}

/// Sealed by a route that names a dataset.
fn routed(dataset: &str, record: impl Into<Bytes>) -> Bytes {
    OwnedRecord { owner: "anna".to_owned(), dataset: dataset.to_owned(), record: record.into() }.seal()
}

/// The transform of a stream of one owner's.
fn of_owner(owner: &str) -> Transform {
    let settings = TransformSettings { stream_owner: owner.to_owned(), ..TransformSettings::default() };
    Transform { settings, ..corrected() }
}

fn origin() -> Origin {
    let record = RecordIdentity { shard: ShardId::numbered(7), sequence: 77_u64.into(), subsequence: 0 };
    Origin { record, index: 0, arrival: ARRIVAL, dead_letter: DeadLetterId::after("9d09".to_owned(), 0) }
}

/// Every envelope that could name another owner.
fn envelopes() -> Vec<Bytes> {
    let event = r#"{"value":1.5}"#;
    let header = EnvelopeHeader { owner: "mallory".to_owned(), ..EnvelopeHeader::default() };
    let record = Bytes::from_static(event.as_bytes());
    vec![
        sealed("mallory", "measures", None, 0, &[event]),
        sealed("", "measures", Some("key"), 0, &[event]),
        redriven_event(&header, &origin(), event.as_bytes()),
        RedrivenRecord { owner: "mallory".to_owned(), origin: origin(), record: record.clone() }.seal(),
        owned("mallory", record.clone()),
        owned("mallory", owned("mallory", record)),
        Bytes::from_static(&alluvium_core::envelope::MAGIC),
    ]
}

/// Records of every form.
fn forms() -> Vec<Bytes> {
    let bare = r#"{"value":1.5}"#;
    let whole = r#"{"id":"i","source":"s","type":"t","time":"2023-11-14T00:00:00Z","value":2.5,"more":true}"#;
    let lines = format!("{bare}\n\n{whole}\nno json\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::bulk::compress(lines.as_bytes(), 1).unwrap();
    let nested = aggregate(&[&zstd[..], bare.as_bytes()]);
    vec![
        bare.into(),
        bare.replace("1.5", "2.5").into(),
        whole.into(),
        lines.into(),
        format!("[{bare},{whole}, 7]").into(),
        Bytes::new(),
        "[1, 2".into(),
        gzip.into(),
        zstd.into(),
        aggregate(&[bare, bare, whole]),
        aggregate(&[&nested[..], bare.as_bytes(), b"no json"]),
    ]
}

#[test]
fn a_sealed_record_becomes_what_it_becomes_in_a_stream_of_its_owner() {
    let numbered = |(at, data)| record(0, at as u64, data);
    let plain = run(&of_owner("anna"), &batch(forms().into_iter().enumerate().map(numbered)));
    let sealed = forms().into_iter().map(|record| owned("anna", record));
    let sealed = run(&corrected(), &batch(sealed.enumerate().map(numbered)));
    for dataset in ["measures", "dead_letters"] {
        assert!(rows(&plain, dataset).num_rows() > 4);
        assert_eq!(in_order(&rows(&sealed, dataset)), in_order(&rows(&plain, dataset)), "{dataset}");
    }
    assert_eq!(sealed.message.ledger, plain.message.ledger);
}

#[test]
fn records_of_several_owners_and_of_none_are_told_apart_however_alike_they_are() {
    let owners = ["", "anna", "", "bert", "anna", "anonymous", "bert", ""];
    let records = (0..200_u64).map(|n| {
        let owner = owners[n as usize % owners.len()];
        let event = format!(r#"{{"id":"{n}","source":"s{}","value":{n}.5}}"#, n % 3);
        record(0, n, if owner.is_empty() { event.into() } else { owned(owner, event) })
    });
    let rows = rows(&run(&corrected(), &batch(records)), "measures");
    let found = texts(&rows, "event_id").into_iter().zip(texts(&rows, "owner"));
    for (id, owner) in found {
        let expected = owners[id.parse::<usize>().unwrap() % owners.len()];
        assert_eq!(owner, if expected.is_empty() { "anonymous" } else { expected }, "{id}");
    }
    assert_eq!(rows.num_rows(), 200);
}

#[test]
fn no_envelope_under_a_seal_is_opened() {
    for envelope in envelopes() {
        let event = br#"{"value":1.5}"#.as_slice();
        let mixed = aggregate(&[event, &envelope, event]);
        let again_aggregated = aggregate(&[&mixed[..], event]);
        for (data, events) in [(envelope.clone(), 0), (mixed, 2), (again_aggregated, 3)] {
            let output = run(&corrected(), &batch([record(0, 1, owned("anna", data))]));
            let dead = rows(&output, "dead_letters");
            assert_eq!(
                (texts(&dead, "owner"), texts(&dead, "reason")),
                (vec!["anna".into()], vec!["unreadable_record".into()])
            );
            let detail = texts(&dead, "detail").remove(0);
            assert!(detail.contains("begins like an envelope") && detail.contains("whose data it is"), "{detail}");
            let original = dead.column_by_name("original").unwrap().as_binary::<i32>().value(0).to_vec();
            assert_eq!(original, owned("anna", envelope.clone()), "sealed again, and alone");
            if events > 0 {
                assert_eq!(texts(&rows(&output, "measures"), "owner"), vec!["anna"; events]);
            }
            let redriven = run(&corrected(), &later(again(&output)));
            let dead_again = rows(&redriven, "dead_letters");
            assert_eq!(texts(&dead_again, "owner"), ["anna"]);
            assert_eq!(texts(&dead_again, "event_id"), [texts(&dead, "event_id").remove(0) + "-2"]);
            assert_eq!(dead_again.column_by_name("original"), dead.column_by_name("original"));
        }
    }
}

#[test]
fn a_damaged_seal_is_one_dead_letter_of_the_streams_owner() {
    let whole = owned("anna", r#"{"value":1.5}"#);
    let cut = whole.slice(..8);
    let dead = rows(&run(&corrected(), &batch([record(0, 1, cut)])), "dead_letters");
    assert_eq!(
        (texts(&dead, "owner"), texts(&dead, "reason")),
        (vec!["anonymous".into()], vec!["unreadable_record".into()])
    );
    let outside = aggregate(&[&whole]);
    let dead = rows(&run(&corrected(), &batch([record(0, 1, outside)])), "dead_letters");
    assert!(texts(&dead, "detail")[0].contains("may lie only in the stream itself"), "{:?}", texts(&dead, "detail"));
}

#[test]
fn what_is_refused_whole_out_of_a_seal_is_sent_again_under_it() {
    let records = || batch(forms().into_iter().enumerate().map(|(at, data)| record(0, at as u64, owned("anna", data))));
    let no_room = TransformSettings { batch_expanded_bytes: 0, ..TransformSettings::default() };
    let no_room = Transform { settings: no_room, ..corrected() };
    let refused = run(&no_room, &records());
    let expected = rows(&run(&corrected(), &records()), "measures");
    let redriven = run(&corrected(), &later(again(&refused)));
    assert_eq!(in_order(&rows(&redriven, "measures")), in_order(&expected));
    let refused_again = run(&no_room, &later(again(&refused)));
    let redriven = run(&corrected(), &later(again(&refused_again)));
    assert_eq!(in_order(&rows(&redriven, "measures")), in_order(&expected));
}

#[test]
fn what_is_sent_again_whole_as_another_owners_stays_the_sealed_owners() {
    let of_bert = |record| RedrivenRecord { owner: "bert".to_owned(), origin: origin(), record }.seal();
    let records = [of_bert(owned("anna", r#"{"value":1.5}"#)), of_bert(owned("anna", envelopes().remove(0)))];
    let output =
        run(&corrected(), &batch(records.into_iter().enumerate().map(|(at, data)| record(0, at as u64, data))));
    assert_eq!(texts(&rows(&output, "measures"), "owner"), ["anna"]);
    assert_eq!(texts(&rows(&output, "dead_letters"), "owner"), ["anna"]);
}

/// Anything that a client may send: envelopes, events and bytes, aggregated and compressed in one another.
fn anything() -> impl Strategy<Value = Bytes> {
    let leaf = prop_oneof![
        proptest::sample::select(envelopes()),
        proptest::sample::select(forms()),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from),
        proptest::collection::vec(any::<u8>(), 0..40)
            .prop_map(|rest| [&alluvium_core::envelope::MAGIC[..], &rest].concat().into()),
    ];
    leaf.prop_recursive(4, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|records| aggregate(&records)),
            inner.clone().prop_map(|record| zstd::bulk::compress(&record, 1).unwrap().into()),
            inner.clone().prop_map(|record| owned("mallory", record)),
            inner
                .prop_map(|record| { RedrivenRecord { owner: "mallory".to_owned(), origin: origin(), record }.seal() }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_sealed_is_its_owners(record_data in anything()) {
        let first = run(&corrected(), &batch([record(0, 1, owned("anna", record_data))]));
        let has = |output: &BatchOutput, dataset: &str| output.message.files.iter().any(|file| file.dataset == dataset);
        let mut outputs = vec![];
        if has(&first, "dead_letters") {
            outputs.push(run(&corrected(), &later(again(&first))));
        }
        outputs.push(first);
        for output in &outputs {
            for file in &output.message.files {
                let owners = texts(&rows(output, &file.dataset), "owner");
                prop_assert!(owners.iter().all(|owner| owner == "anna"), "{owners:?}");
            }
        }
    }
}

#[test]
fn a_seal_of_a_route_sends_events_where_the_route_does() {
    let bare = r#"{"value":1.5}"#;
    let typed = r#"{"id":"i","source":"s","type":"t","time":"2023-11-14T00:00:00Z","value":2.5}"#;
    let records = [bare, typed, &format!("{bare}\n{typed}\nno json\n"), &format!("[{bare},{typed},7]"), "[1, 2"];
    let two_datasets = || transform(None);
    let numbered =
        |records: Vec<Bytes>| batch(records.into_iter().enumerate().map(|(at, data)| record(0, at as u64, data)));
    let output =
        run(&two_datasets(), &numbered(records.iter().map(|data| routed("telemetry", data.to_string())).collect()));
    assert_eq!(texts(&rows(&output, "telemetry"), "owner"), vec!["anna"; 6]);
    let dead = rows(&output, "dead_letters");
    assert_eq!(texts(&dead, "owner"), ["anna", "anna", "anna"]);
    assert!(texts(&dead, "dataset").iter().filter(|dataset| *dataset == "telemetry").count() >= 2, "{dead:?}");

    // A dataset that there is not any more is as none: the event's type or the default decides.
    let output = run(&two_datasets(), &numbered(vec![routed("gone", bare)]));
    assert_eq!(texts(&rows(&output, "dead_letters"), "reason"), ["no_dataset"]);
}

#[test]
fn what_is_refused_whole_out_of_a_seal_of_a_route_keeps_the_route() {
    let no_room = TransformSettings { batch_expanded_bytes: 0, ..TransformSettings::default() };
    let no_room = Transform { settings: no_room, ..transform(None) };
    let sealed = routed("telemetry", r#"[{"value":1.5}]"#);
    let refused = run(&no_room, &batch([record(0, 1, sealed.clone())]));
    let original =
        rows(&refused, "dead_letters").column_by_name("original").unwrap().as_binary::<i32>().value(0).to_vec();
    assert_eq!(original, sealed);
    let redriven = run(&transform(None), &later(again(&refused)));
    assert_eq!(texts(&rows(&redriven, "telemetry"), "owner"), ["anna"]);
}

#[test]
fn no_envelope_under_a_seal_of_a_route_is_opened() {
    for envelope in envelopes() {
        let output = run(&transform(None), &batch([record(0, 1, routed("telemetry", envelope))]));
        let dead = rows(&output, "dead_letters");
        assert_eq!(
            (texts(&dead, "owner"), texts(&dead, "reason")),
            (vec!["anna".into()], vec!["unreadable_record".into()])
        );
    }
}
