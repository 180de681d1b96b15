#![allow(clippy::unwrap_used)]

use std::io::Write;

use alluvium_core::envelope::EnvelopeWriter;

use super::*;

fn elements(record: impl Into<Bytes>) -> Vec<String> {
    let settings = TransformSettings::default();
    let opened = Opener::new(&settings).open(&record.into(), Envelopes::Opened).unwrap();
    opened.elements().map(|element| String::from_utf8_lossy(element).into_owned()).collect()
}

fn refusal(record: impl Into<Bytes>, expanded: usize) -> Fault {
    let settings = TransformSettings { record_expanded_bytes: expanded, ..TransformSettings::default() };
    match Opener::new(&settings).open(&record.into(), Envelopes::Opened).unwrap_err() {
        Refusal::OfRecord(fault) => fault,
        Refusal::OfBatch(fault) => panic!("not of the batch: {}", fault.detail),
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_record_is_told_into_its_elements() {
    let cases: [(&str, &[&str]); 14] = [
        ("", &[]),
        (" \n ", &[]),
        (r#"{"a":1}"#, &[r#"{"a":1}"#]),
        (" {\n \"a\": \"}\\\"{\" \n}\n", &["{\n \"a\": \"}\\\"{\" \n}"]),
        ("{\"a\":1}\r\n\r\n{\"b\":2}\n", &[r#"{"a":1}"#, r#"{"b":2}"#]),
        ("{\"a\":1}\nnot json\n{\"b\":\n", &[r#"{"a":1}"#, "not json", "{\"b\":"]),
        ("[]", &[]),
        ("[ ]\n", &[]),
        (r#"[{"a":[1,2]} , {"b":"],["}]"#, &[r#"{"a":[1,2]}"#, r#"{"b":"],["}"#]),
        ("[1,,2]", &["1", "", "2"]),
        ("[1,]", &["1", ""]),
        ("[\n{\"a\":1},\n{\"a\":2}\n]", &[r#"{"a":1}"#, r#"{"a":2}"#]),
        (r#"{"a":1}{"b":2}"#, &[r#"{"a":1}{"b":2}"#]),
        ("}\n{\"a\":1}", &["}", r#"{"a":1}"#]),
    ];
    for (record, expected) in cases {
        assert_eq!(elements(record), expected, "{record}");
        assert_eq!(elements(gzip(record.as_bytes())), expected, "gzip of {record}");
        assert_eq!(elements(zstd::bulk::compress(record.as_bytes(), 1).unwrap()), expected, "zstd of {record}");
    }
}

#[test]
fn an_array_that_does_not_end_is_one_fault() {
    for record in ["[", "[1", "[{\"a\":1},{\"b\":", "[{\"a\":\"]", "[1] 2", "[\"\\", "[1]]"] {
        assert_eq!(refusal(record, 1000).reason, ReasonCode::NotJson, "{record}");
    }
}

#[test]
fn an_envelope_gives_its_header_and_its_elements() {
    let header = EnvelopeHeader { owner: "anna".into(), dataset: "telemetry".into(), ..EnvelopeHeader::default() };
    let mut writer = EnvelopeWriter::new(&header, 0);
    writer.push(b"{}");
    writer.push(b"[not delimited again");
    let record = writer.finish();
    let settings = TransformSettings::default();
    let opened = Opener::new(&settings).open(&record, Envelopes::Opened).unwrap();
    assert_eq!(opened.header(), &header);
    assert_eq!(opened.elements().collect::<Vec<_>>(), [&b"{}"[..], b"[not delimited again"]);
    assert_eq!(refusal(record.slice(..record.len() - 1), 1000).reason, ReasonCode::UnreadableRecord);
}

#[test]
fn a_compression_bomb_stops_at_the_limit() {
    let zeros = vec![b' '; 50 << 20];
    for bomb in [gzip(&zeros), zstd::bulk::compress(&zeros, 1).unwrap(), gzip(b"{}").repeat(1000)] {
        assert_eq!(refusal(bomb, 1500).reason, ReasonCode::ExpandsTooFar);
    }
}

#[test]
fn damaged_compression_is_an_unreadable_record() {
    let (gzip, zstd) = (gzip(br#"{"a":"some text"}"#), zstd::bulk::compress(br#"{"a":"some text"}"#, 1).unwrap());
    for whole in [gzip, zstd] {
        for length in 4..whole.len() {
            let fault = refusal(whole[..length].to_vec(), 1000);
            assert_eq!(fault.reason, ReasonCode::UnreadableRecord, "cut at {length}: {}", fault.detail);
        }
    }
}

#[test]
fn more_events_than_a_record_may_hold_are_one_fault() {
    for record in ["1\n".repeat(EVENTS_PER_RECORD + 1), format!("[{}1]", "1,".repeat(EVENTS_PER_RECORD))] {
        assert_eq!(refusal(record, 1000).reason, ReasonCode::ExpandsTooFar);
    }
    assert_eq!(elements("1\n".repeat(EVENTS_PER_RECORD)).len(), EVENTS_PER_RECORD);
}

#[test]
fn frames_and_members_one_after_another_are_one_text_and_nothing_may_follow_them() {
    let zstd = |text: &str| zstd::bulk::compress(text.as_bytes(), 1).unwrap();
    assert_eq!(elements([gzip(b"{\"a\":"), gzip(b"1}")].concat()), [r#"{"a":1}"#]);
    assert_eq!(elements([zstd("{\"a\":"), zstd("1}")].concat()), [r#"{"a":1}"#]);
    // A skippable frame is part of the format (RFC 8878, section 3.1.2).
    let skippable = b"\x50\x2A\x4D\x18\x03\x00\x00\x00abc";
    assert_eq!(elements([zstd("1").as_slice(), skippable].concat()), ["1"]);
    for whole in [gzip(b"{}"), zstd("{}")] {
        for garbage in [&b"garbage"[..], b"\0\0\0\0\0\0\0\0\0\0", b"{}"] {
            let fault = refusal([&whole, garbage].concat(), 1000);
            assert_eq!(fault.reason, ReasonCode::UnreadableRecord, "{garbage:?}");
        }
    }
}

#[test]
fn a_frame_that_needs_a_dictionary_is_unreadable() {
    let dictionary = b"{\"temperature\":20.5,\"unit\":\"Cel\",\"battery\":97}".repeat(20);
    let mut compressor = zstd::bulk::Compressor::with_dictionary(1, &dictionary).unwrap();
    let frame = compressor.compress(b"{\"temperature\":20.5,\"unit\":\"Cel\",\"battery\":97}").unwrap();
    assert_eq!(refusal(frame, 1000).reason, ReasonCode::UnreadableRecord);
}

#[test]
fn the_records_of_a_batch_share_its_room() {
    let settings = TransformSettings { batch_expanded_bytes: 3000, ..TransformSettings::default() };
    let mut opener = Opener::new(&settings);
    let of_batch = |refusal: Refusal| match refusal {
        Refusal::OfBatch(fault) => assert_eq!(fault.reason, ReasonCode::ExpandsTooFar),
        Refusal::OfRecord(fault) => panic!("of the record: {}", fault.detail),
    };
    let large: Bytes = gzip(format!("{{\"a\":\"{}\"}}", "x".repeat(1900)).as_bytes()).into();
    opener.open(&large, Envelopes::Opened).unwrap();
    of_batch(opener.open(&large, Envelopes::Opened).unwrap_err());
    // A smaller one still fits, and what is not compressed takes room for its events alone.
    opener.open(&gzip(b"{}").into(), Envelopes::Opened).unwrap();
    opener.open(&format!("\"{}\"", "x".repeat(10_000)).into(), Envelopes::Opened).unwrap();
    of_batch(opener.open(&"1\n".repeat(40).into(), Envelopes::Opened).unwrap_err());
}

#[test]
fn records_that_are_refused_after_reading_are_not_read_for_ever() {
    let settings =
        TransformSettings { batch_expanded_bytes: 3000, record_expanded_bytes: 2000, ..TransformSettings::default() };
    let mut opener = Opener::new(&settings);
    let bomb: Bytes = gzip(&vec![b' '; 1 << 20]).into();
    let refusals: Vec<bool> =
        (0..20).map(|_| matches!(opener.open(&bomb, Envelopes::Opened).unwrap_err(), Refusal::OfRecord(_))).collect();
    assert_eq!(refusals.iter().filter(|of_record| **of_record).count(), 12, "{refusals:?}");
    assert!(refusals.is_sorted_by(|one, other| one >= other), "first they are read, then not any more: {refusals:?}");
    opener.open(&"{}".into(), Envelopes::Opened).unwrap();
}

#[test]
fn records_that_break_after_much_was_read_are_not_read_for_ever() {
    let settings =
        TransformSettings { batch_expanded_bytes: 3000, record_expanded_bytes: 2000, ..TransformSettings::default() };
    let mut opener = Opener::new(&settings);
    let mut broken = gzip(&[b' '; 1900]);
    let last = broken.len() - 1;
    broken[last] ^= 1;
    assert!(broken.len() * READINGS < 1900, "it expands to far more than it is");
    let broken = Bytes::from(broken);
    let read = (0..20)
        .filter(|_| matches!(opener.open(&broken, Envelopes::Opened).unwrap_err(), Refusal::OfRecord(_)))
        .count();
    assert_eq!(read, 3000 * READINGS / 1900);
}
