#![allow(clippy::unwrap_used)]

use std::io::Write;

use alluvium_core::envelope::EnvelopeWriter;

use super::*;

fn elements(record: impl Into<Bytes>) -> Vec<String> {
    let opened = Opened::open(&record.into(), &TransformSettings::default()).unwrap();
    opened.elements().map(|element| String::from_utf8_lossy(element).into_owned()).collect()
}

fn refusal(record: impl Into<Bytes>, expanded: usize) -> Fault {
    let settings = TransformSettings { record_expanded_bytes: expanded, ..TransformSettings::default() };
    Opened::open(&record.into(), &settings).unwrap_err()
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
    let opened = Opened::open(&record, &TransformSettings::default()).unwrap();
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
        assert_eq!(refusal(record, usize::MAX - 1).reason, ReasonCode::ExpandsTooFar);
    }
    assert_eq!(elements("1\n".repeat(EVENTS_PER_RECORD)).len(), EVENTS_PER_RECORD);
}
