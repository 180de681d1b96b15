//! Events of a Firehose invocation: any bytes, and events as Firehose writes them.

use std::collections::BTreeSet;

use alluvium_core::{LedgerEntry, limits};
use alluvium_transform::firehose::Invocation;
use base64_simd::STANDARD;
use serde_json::Value;

use crate::delivery::run;
use crate::event::FEW_COLUMNS;
use crate::pick::Pick;

/// Any bytes as an event. The first byte says how they are used.
pub fn firehose(bytes: &[u8]) {
    let mut pick = Pick(bytes);
    match pick.byte() {
        way if way % 2 == 0 => answered(pick.rest()),
        way => found_again(pick, way / 2),
    }
}

/// An event is refused, or every record id of it is answered once, in order (TR-1).
fn answered(event: &[u8]) {
    let Ok(invocation) = Invocation::read(event.to_vec()) else { return };
    let output = FEW_COLUMNS.run_invocation(&invocation).unwrap();
    assert!(output == FEW_COLUMNS.run_invocation(&invocation).unwrap(), "the same event gives the same bytes");
    assert!(output.message.ledger.iter().all(LedgerEntry::balances), "TR-2");
    let records = invocation.batch().records.len();
    let ids = ids_of(&invocation.stored());
    assert_eq!(ids.len(), records);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), records, "each id once");
    if let Some(sent) = ids_sent(event) {
        assert_eq!(ids, sent);
    }
}

/// The record ids of a response that says of each that it is stored.
fn ids_of(response: &[u8]) -> Vec<String> {
    assert!(response.len() <= limits::INVOCATION_BYTES);
    let response: Value = serde_json::from_slice(response).unwrap();
    let records = response["records"].as_array().unwrap();
    assert!(records.iter().all(|record| record["result"] == "Dropped" && record.as_object().unwrap().len() == 2));
    records.iter().map(|record| record["recordId"].as_str().unwrap().to_owned()).collect()
}

/// The record ids of an event as serde_json reads it; `None` when it reads no such event.
fn ids_sent(event: &[u8]) -> Option<Vec<String>> {
    let event: Value = serde_json::from_slice(event).ok()?;
    let records = event.get("records")?.as_array()?;
    records.iter().map(|record| Some(record.get("recordId")?.as_str()?.to_owned())).collect()
}

/// An event is written from pieces of the input, and each is found again in its record.
fn found_again(mut pick: Pick<'_>, form: u8) {
    let mut pieces = Vec::new();
    while !pick.0.is_empty() && pieces.len() < 12 {
        let length = usize::from(pick.byte()).min(pick.0.len());
        let (piece, rest) = pick.0.split_at(length);
        pieces.push(piece);
        pick.0 = rest;
    }
    let records: Vec<String> = pieces.iter().zip(0..).map(|(piece, index)| written(piece, index, form)).collect();
    let event =
        format!("{{\"invocationId\":\"i\",\"region\":null,\"records\":[{}],\"new\":[{{}}]}}", records.join(", "));
    answered(event.as_bytes());
    let invocation = match Invocation::read(event.into_bytes()) {
        Ok(invocation) => invocation,
        Err(error) => panic!("an event as Firehose writes it: {error}"),
    };
    let batch = invocation.batch();
    assert_eq!(batch.records.len(), pieces.len());
    for (record, piece) in batch.records.iter().zip(&pieces) {
        assert_eq!(record.data, piece);
        assert_eq!(record.arrival, 1_700_000_000_123_000);
    }
    let outcome = run(&FEW_COLUMNS, batch);
    assert!(outcome.output == FEW_COLUMNS.run_invocation(&invocation).unwrap(), "an invocation is its records");
}

/// One record of an event; `form` says how it is written.
fn written(piece: &[u8], index: usize, form: u8) -> String {
    let mut data = STANDARD.encode_to_string(piece);
    if form & 1 != 0 {
        data = data.replace('/', "\\/").replace('A', "\\u0041");
    }
    let id = if form & 2 != 0 { format!("\\u002d\\n{index}") } else { format!("{:056}", 100 - index) };
    let arrival = if form & 4 != 0 { "\"2023-11-14T22:13:20.123Z\"" } else { "1700000000123" };
    let subsequence = ["0", "\"\"", "null", "\"0\""][usize::from(form >> 3 & 3)];
    let metadata = match form & 32 {
        0 => String::new(),
        _ => format!(
            ",\"kinesisRecordMetadata\":{{\"sequenceNumber\":\"{index}\",\"subsequenceNumber\":{subsequence},\
             \"shardId\":\"shardId-000000000000\",\"partitionKey\":\"k\",\"approximateArrivalTimestamp\":{arrival}}}"
        ),
    };
    match form & 64 {
        0 => {
            format!("{{\"recordId\":\"{id}\",\"approximateArrivalTimestamp\":{arrival},\"data\":\"{data}\"{metadata}}}")
        }
        _ => format!(
            "{{ \"data\" : \"{data}\"{metadata} , \"approximateArrivalTimestamp\":{arrival}, \"recordId\":\"{id}\" }}"
        ),
    }
}
