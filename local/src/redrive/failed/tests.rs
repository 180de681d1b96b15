#![allow(clippy::unwrap_used)]

use alluvium_core::envelope::{EnvelopeHeader, EnvelopeWriter, redriven_event};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

const ARRIVAL_MS: i64 = 1_764_202_500_000;

fn line(data: &[u8]) -> String {
    json!({
        "attemptsMade": 4,
        "arrivalTimestamp": ARRIVAL_MS,
        "errorCode": "Lambda.FunctionError",
        "errorMessage": "The Lambda function failed",
        "attemptEndingTimestamp": ARRIVAL_MS + 1,
        "rawData": STANDARD.encode(data),
        "lambdaArn": "arn:aws:lambda:eu-west-1:1:function:f",
    })
    .to_string()
}

fn object(records: &[&[u8]]) -> String {
    records.iter().map(|record| line(record) + "\n").collect()
}

#[test]
fn each_line_is_sent_as_the_record_that_it_was_under_an_identity_of_its_own() {
    let mut envelope = EnvelopeWriter::new(&EnvelopeHeader { owner: "anna".to_owned(), ..Default::default() }, 0);
    envelope.push(b"{}");
    let from_the_gateway = envelope.finish();
    let originals: [&[u8]; 3] = [b"{\"id\":\"1\"}", b"{\"id\":\"1\"}", &from_the_gateway];
    let object = object(&originals);
    let records = failed_records(object.as_bytes()).unwrap();
    let mut identities = std::collections::BTreeSet::new();
    for (record, original) in records.iter().zip(originals) {
        let redriven = RedrivenRecord::open(&record.data).unwrap();
        assert_eq!((&redriven.record[..], redriven.origin.arrival), (original, ARRIVAL_MS * 1000));
        assert!(redriven.origin.record.shard.is_direct_put());
        identities.insert(redriven.origin.record);
    }
    assert_eq!(identities.len(), 3);
    assert_eq!(failed_records(object.as_bytes()).unwrap(), records, "the same object, however often it is read");
}

#[test]
fn what_was_being_sent_again_when_it_failed_keeps_its_origin() {
    let record = RecordIdentity::of_direct_put("an earlier one");
    let dead_letter = DeadLetterId::after("9d09".to_owned(), 1);
    let origin = Origin { record, index: 4, arrival: 5, dead_letter };
    let event = redriven_event(&EnvelopeHeader::default(), &origin, b"{}");
    let whole = RedrivenRecord { owner: "anna".to_owned(), origin, record: Bytes::from_static(b"\xFF") }.seal();
    let records = failed_records(object(&[&event, &whole]).as_bytes()).unwrap();
    assert_eq!(records.into_iter().map(|record| record.data).collect::<Vec<_>>(), [event, whole]);
}

#[test]
fn a_line_that_tells_of_no_record_is_named_and_nothing_of_the_object_is_sent() {
    let error = failed_records(format!("{}{{\"rawData\":\"e30=\"}}\n", object(&[b"{}"])).as_bytes()).unwrap_err();
    assert!(error.to_string().starts_with("line 2 tells of no record"), "{error}");
    assert!(error.to_string().contains("processing-failed/"), "{error}");
}

#[test]
fn a_record_too_large_for_its_envelope_is_counted() {
    let large = vec![b' '; STREAM_RECORD_BYTES];
    let records = failed_records(object(&[b"{}", &large]).as_bytes()).unwrap();
    let report = preview_failed(&records);
    assert_eq!((report.sent, report.too_large), (1, 1));
}
