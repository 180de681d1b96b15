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
