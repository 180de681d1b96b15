use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn header() -> EnvelopeHeader {
    EnvelopeHeader {
        owner: "anna".into(),
        dataset: "telemetry".into(),
        idempotency_key: Some("k".into()),
        first_index: 300,
    }
}

fn sealed(elements: &[&[u8]]) -> Bytes {
    let mut writer = EnvelopeWriter::new(&header(), 0);
    elements.iter().for_each(|element| writer.push(element));
    writer.finish()
}

#[test]
fn what_was_sealed_comes_out_again() {
    let long = vec![b'x'; 300];
    let elements: [&[u8]; 4] = [b"{}", b"", b"\n\xff", &long];
    let envelope = Envelope::open(&sealed(&elements)).unwrap();
    assert_eq!(envelope.header, header());
    assert_eq!(envelope.elements().collect::<Vec<_>>(), elements);
}

fn origin() -> Origin {
    let shard = ShardId::numbered(3);
    let record = RecordIdentity { shard, sequence: "49".repeat(28).parse().unwrap(), subsequence: 300 };
    Origin { record, index: 7, arrival: -1_700_000_000_000_000, dead_letter: "9d09-2".parse().unwrap() }
}

#[test]
fn what_is_sent_again_says_where_it_came_from() {
    let sealed = redriven_event(&header(), &origin(), b"{}");
    let envelope = Envelope::open(&sealed).unwrap();
    assert_eq!((&envelope.header, &envelope.origin), (&header(), &Some(origin())));
    assert_eq!(envelope.elements().collect::<Vec<_>>(), [b"{}"]);
    assert_eq!(RedrivenRecord::open(&sealed), None);
    let again = RedrivenRecord { owner: "anna".to_owned(), origin: origin(), record: sealed };
    assert_eq!(RedrivenRecord::open(&again.seal()), Some(again.clone()));
    assert_eq!(Envelope::open(&again.seal()), Err(EnvelopeError::Encoding(1)));
}

#[test]
fn an_origin_is_of_one_event_and_never_of_a_part() {
    let whole = redriven_event(&header(), &origin(), b"{}");
    for length in MAGIC.len()..whole.len() {
        assert!(Envelope::open(&whole.slice(..length)).is_err(), "cut at {length}");
    }
    let two = [&whole[..], b"\x01x"].concat();
    assert!(matches!(Envelope::open(&two.into()), Err(EnvelopeError::Damaged(_))));
    let again = RedrivenRecord { owner: String::new(), origin: origin(), record: Bytes::new() }.seal();
    for length in 0..again.len() {
        assert_eq!(RedrivenRecord::open(&again.slice(..length)), None, "cut at {length}");
    }
}

#[test]
fn every_truncation_is_refused_or_holds_whole_elements_only() {
    let whole = sealed(&[b"one", b"two"]);
    for length in MAGIC.len()..whole.len() {
        if let Ok(envelope) = Envelope::open(&whole.slice(..length)) {
            assert!(envelope.elements().all(|element| element == b"one"), "cut at {length}");
        }
    }
}

#[test]
fn an_unknown_version_or_encoding_is_named() {
    let mut bytes = sealed(&[b"{}"]).to_vec();
    bytes[4] = 9;
    assert_eq!(Envelope::open(&bytes.clone().into()), Err(EnvelopeError::Version(9)));
    bytes[4] = 1;
    bytes[5] = 7;
    assert_eq!(Envelope::open(&bytes.into()), Err(EnvelopeError::Encoding(7)));
}

fn owned(owner: &str, record: impl Into<Bytes>) -> OwnedRecord {
    OwnedRecord { owner: owner.to_owned(), dataset: String::new(), record: record.into() }
}

#[test]
fn a_sealed_record_has_its_owner_and_its_bytes_and_is_no_envelope_of_events() {
    let inner = owned("bert", "x").seal();
    for record in ["{}".into(), Bytes::new(), sealed(&[b"{}"]), inner.clone()] {
        for owner in ["a", "anna", "ännä", &"x".repeat(MAX_TEXT_BYTES)] {
            let owned = owned(owner, record.clone());
            let seal = owned.seal();
            assert_eq!(OwnedRecord::open(&seal), Some(owned));
            assert!(seal.len() - record.len() <= MAX_SEAL_BYTES);
            assert_eq!(seal, [&OwnedRecord::seal_of(owner), &record[..]].concat());
            assert!(Envelope::is_envelope(&seal));
            assert_eq!(Envelope::open(&seal), Err(EnvelopeError::Sealed));
            assert_eq!(RedrivenRecord::open(&seal), None);
        }
    }
    assert_eq!(owned("x".repeat(MAX_TEXT_BYTES).as_str(), "").seal().len(), MAX_SEAL_BYTES);
    let again = RedrivenRecord { owner: "carl".to_owned(), origin: origin(), record: inner.clone() };
    assert_eq!(RedrivenRecord::open(&again.seal()).unwrap().record, inner);
    for other in
        [sealed(&[b"{}"]), redriven_event(&header(), &origin(), b"{}"), again.seal(), Bytes::from_static(b"{}")]
    {
        assert_eq!(OwnedRecord::open(&other), None);
    }
}

#[test]
fn the_bytes_of_a_seal_are_as_documented() {
    let seal = owned("anna", "{}").seal();
    assert_eq!(seal, b"\xA1LVM\x03\x01\x04anna{}"[..]);
}

#[test]
fn a_seal_of_a_route_is_made_of_parts_whose_base64_can_be_joined() {
    for length in 1..=64 {
        for owner in ["a", "an", "ann", "ännä", &"x".repeat(127), &"x".repeat(128), &"x".repeat(MAX_TEXT_BYTES)] {
            let dataset = "d".repeat(length);
            let routed = OwnedRecord { dataset: dataset.clone(), ..owned(owner, "{}") };
            let seal = routed.seal();
            let before = OwnedRecord::seal_before_dataset(owner);
            assert_eq!((before.len() % 3, seal.len() % 3), (0, 2), "{owner} {dataset}");
            assert!(seal.starts_with(&before));
            assert_eq!(OwnedRecord::open(&seal), Some(routed));
            assert_eq!(Envelope::open(&seal), Err(EnvelopeError::Sealed));
            assert_eq!(RedrivenRecord::open(&seal), None);
        }
    }
    let of_no_dataset = [&OwnedRecord::seal_before_dataset("anna")[..], b"\x80\x80\x00{}"].concat();
    assert_eq!(OwnedRecord::open(&of_no_dataset.into()), Some(owned("anna", "{}")));
}

/// What the mapping template of API Gateway makes of hostile bodies, by `infra/tests/templates/test_direct_route.py`.
#[test]
fn what_the_direct_route_puts_is_its_callers_and_what_was_sent() {
    let made = include_str!("../../../testdata/direct_route.json");
    let made: Vec<std::collections::BTreeMap<String, String>> = serde_json::from_str(made).unwrap();
    assert!(made.len() > 80);
    for put in made {
        let decoded = |name: &str| Bytes::from(STANDARD.decode(&put[name]).unwrap());
        let (owner, dataset) = (put["owner"].clone(), put["dataset"].clone());
        let expected = OwnedRecord { owner, dataset, record: decoded("body") };
        assert_eq!(OwnedRecord::open(&decoded("data")).as_ref(), Some(&expected));
        assert_eq!(expected.seal(), decoded("data"), "both write a seal alike");
    }
}

#[test]
fn the_bytes_of_a_seal_of_a_route_are_as_documented() {
    let seal = OwnedRecord { dataset: "telemetry".to_owned(), ..owned("anna", "{}") }.seal();
    assert_eq!(seal, b"\xA1LVM\x04\x01\x84\x00anna\x89\x80\x00telemetry{}"[..]);
    for length in 0..seal.len() - 2 {
        assert_eq!(OwnedRecord::open(&seal.slice(..length)), None, "cut at {length}");
        assert!(length < MAGIC.len() || Envelope::open(&seal.slice(..length)).is_err(), "cut at {length}");
    }
    let long = [&OwnedRecord::seal_before_dataset("anna")[..], &[0x81, 0x08], &[b'd'; 1025]].concat();
    assert_eq!(OwnedRecord::open(&long.into()), None);
}

#[test]
fn a_seal_that_names_nobody_or_is_damaged_is_not_opened() {
    let head = |rest: &[u8]| Bytes::from([&MAGIC[..], &[VERSION_OWNED], rest].concat());
    let long = [&[RECORD, 0x81, 0x08][..], &vec![b'x'; MAX_TEXT_BYTES + 1]].concat();
    let cases: [(&[u8], EnvelopeError); 8] = [
        (b"", EnvelopeError::Damaged(5)),
        (b"\x01", EnvelopeError::Damaged(6)),
        (b"\x01\x00{}", EnvelopeError::Damaged(6)),
        (b"\x01\x05anna", EnvelopeError::Damaged(6)),
        (b"\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", EnvelopeError::Damaged(6)),
        (b"\x01\x02\xC3(", EnvelopeError::Damaged(9)),
        (b"\x00\x04anna{}", EnvelopeError::Encoding(0)),
        (&long, EnvelopeError::Damaged(6)),
    ];
    for (rest, error) in cases {
        assert_eq!(OwnedRecord::open(&head(rest)), None, "{rest:?}");
        assert_eq!(Envelope::open(&head(rest)), Err(error), "{rest:?}");
    }
    let whole = owned("anna", "").seal();
    for length in 0..whole.len() {
        assert_eq!(OwnedRecord::open(&whole.slice(..length)), None, "cut at {length}");
    }
}
