#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use jiff::civil::date;
use serde_json::{Value, json};

use super::*;
use crate::commit::DataFileEntry;
use crate::identity::{RecordIdentity, SequenceNumber, ShardId};
use crate::ledger::LedgerEntry;

fn batch(number: u64) -> BatchIdentity {
    let record = RecordIdentity { shard: ShardId::numbered(0), sequence: SequenceNumber::from(number), subsequence: 0 };
    BatchIdentity::of([&record])
}

fn file(dataset: &str, rows: u64, stats: &str) -> DataFileEntry {
    DataFileEntry {
        dataset: dataset.to_owned(),
        path: format!("{dataset}/x.parquet"),
        size_bytes: 1,
        rows,
        stats: stats.to_owned(),
        schema: String::new(),
    }
}

fn entry(number: u64, dataset: &str, written: u64, dead: u64) -> LedgerEntry {
    LedgerEntry {
        batch: batch(number),
        dataset: dataset.to_owned(),
        received: written + dead,
        written,
        filtered: 0,
        dead,
        bytes: 1,
        dead_by_reason: BTreeMap::new(),
        redriven: None,
        arrival: 0,
        covers: Vec::new(),
    }
}

fn message(number: u64, dates: (&str, &str)) -> CommitMessage {
    let stats = json!({"numRecords": 2, "minValues": {"event_date": dates.0}, "maxValues": {"event_date": dates.1}});
    let files = vec![file("dead_letters", 3, "{}"), file("telemetry", 2, &stats.to_string())];
    let ledger =
        vec![entry(number, "data", 0, 1), entry(number, "dead_letters", 0, 1), entry(number, "telemetry", 2, 1)];
    CommitMessage::new(batch(number), Vec::new(), files, ledger)
}

#[test]
fn each_dataset_is_told_of_once_for_all_batches() {
    let (one, two) = (message(1, ("2026-11-27", "2026-11-28")), message(2, ("2026-11-26", "2026-11-26")));
    let parts = [&one, &two, &one].into_iter().flat_map(BatchPart::of);
    let told = CommitAnnouncement::of(parts, |table| (table == "telemetry").then_some(17), 1_000_000);
    let [data, dead_letters, telemetry] = &told[..] else { panic!("{told:?}") };
    assert_eq!((data.dataset.as_str(), data.files, data.rows, data.dead, data.first_date), ("data", 0, 0, 2, None));
    assert_eq!((dead_letters.rows, dead_letters.dead, dead_letters.table_version), (6, 0, None));
    assert_eq!(
        serde_json::to_value(telemetry).unwrap(),
        json!({
            "format": "alluvium.commit", "version": 1, "dataset": "telemetry", "table_version": 17,
            "committed_at": "1970-01-01T00:00:01Z", "files": 2, "rows": 4, "dead": 2,
            "first_date": "2026-11-26", "last_date": "2026-11-28", "batches": [batch(1), batch(2)],
        })
    );
}

#[test]
fn a_filter_has_numbers_to_compare() {
    let parts = BatchPart::of(&message(1, ("0999-01-02", "2026-11-28")));
    let told = CommitAnnouncement::of(parts, |_| None, 0);
    let attributes: Vec<Vec<_>> = told.iter().map(CommitAnnouncement::attributes).collect();
    let number = Attribute::Number;
    assert_eq!(
        attributes[0],
        [("dataset", Attribute::Text("data".to_owned())), ("rows", number(0)), ("dead", number(1))]
    );
    assert_eq!(
        attributes[2][1..],
        [("rows", number(2)), ("dead", number(1)), ("first_day", number(9_990_102)), ("last_day", number(20_261_128))]
    );
}

#[test]
fn a_batch_of_which_nothing_stays_tells_nothing() {
    let nothing = CommitMessage::new(batch(1), Vec::new(), Vec::new(), vec![entry(1, "telemetry", 0, 0)]);
    assert_eq!(BatchPart::of(&nothing), []);
}

#[test]
fn a_file_whose_statistics_do_not_say_has_no_dates() {
    let without: [Value; 4] =
        [json!({}), json!(null), json!({"minValues": {"event_date": 3}, "maxValues": {}}), json!("x")];
    for stats in without {
        assert_eq!(file("telemetry", 1, &stats.to_string()).dates(), None, "{stats}");
    }
    let stats =
        json!({"minValues": {"event_date": "2026-01-31"}, "maxValues": {"event_date": "2026-02-01"}}).to_string();
    assert_eq!(file("telemetry", 1, &stats).dates(), Some((date(2026, 1, 31), date(2026, 2, 1))));
}
