#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use alluvium_core::{SequenceNumber, ShardId};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::audit::lost_redrives;
use crate::testing::{Event, datasets, deliver_letters, empty_entry, maintainer, open_shared, range, root};
use crate::{CompactSettings, DeadLetterKeys, LakeReader};

const NOW: Micros = 1_767_225_600_000_000;
const HOUR: Micros = 3_600_000_000;

fn marked(marks: impl IntoIterator<Item = Micros>) -> Marked {
    Marked(marks.into_iter().enumerate().map(|(key, mark)| (key as u64, mark)).collect())
}

fn entry(redriven: Option<u64>, arrival: Micros) -> LedgerEntry {
    let batch = BatchIdentity::of([]);
    LedgerEntry { received: 5, redriven, arrival, ..empty_entry(&batch, "a", &[range(0, 1, 5)]) }
}

fn shard(records_behind: Option<u64>) -> ShardAudit {
    let (first, position) = (SequenceNumber::from(1), SequenceNumber::from(5));
    ShardAudit { shard: ShardId::numbered(0), first, position, proven_from: None, records_behind }
}

/// What is found, and what is noted.
fn found(marked: &Marked, entries: &[LedgerEntry], shards: &[ShardAudit]) -> (Vec<String>, Vec<String>) {
    let mut findings = Findings::default();
    check(marked, entries, shards, &mut findings);
    (findings.problems, findings.notes)
}

#[test]
fn more_marks_than_events_are_a_loss_once_everything_is_committed() {
    let marks = marked([NOW; 3]);
    let came = |count: u64| [entry(Some(count - 1), NOW), entry(Some(1), NOW)];
    let (problems, notes) = found(&marks, &came(3), &[shard(Some(0))]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(notes, ["3 dead letters are marked as sent again, 3 events came again."]);
    let (problems, notes) = found(&marks, &came(2), &[shard(Some(0)), shard(Some(0))]);
    assert_eq!(problems, ["3 dead letters are marked as sent again, 2 events came again: 1 is lost."]);
    assert!(notes.is_empty(), "{notes:?}");
    for behind in [Some(1), None] {
        let (problems, notes) = found(&marks, &came(2), &[shard(Some(0)), shard(behind)]);
        assert!(problems.is_empty() && notes[0].contains("not committed yet"), "{problems:?} {notes:?}");
    }
}

#[test]
fn nothing_is_said_where_nothing_was_sent_again() {
    assert_eq!(found(&marked([]), &[entry(Some(0), NOW)], &[shard(Some(0))]), (Vec::new(), Vec::new()));
}

#[test]
fn marks_from_before_events_were_counted_prove_nothing() {
    let marks = marked([NOW - HOUR, NOW + HOUR, NOW + HOUR + 1]);
    let (problems, notes) = found(&marks, &[entry(None, NOW), entry(Some(1), NOW + 2 * HOUR)], &[shard(Some(0))]);
    assert!(problems.is_empty(), "{problems:?}");
    assert!(notes[0].starts_with("2 dead letters were sent again before"), "{notes:?}");
    assert!(notes[1].starts_with("1 dead letter is marked as sent again, 1 event came"), "{notes:?}");
}

#[tokio::test]
async fn marks_are_read_out_of_the_table_and_a_letter_that_is_there_twice_is_one() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    let letter = |id: &str| Event {
        owner: "anna".to_owned(),
        source: "a".to_owned(),
        id: id.to_owned(),
        ingest_time: NOW,
        event_time: NOW,
    };
    let batches = [[letter("1"), letter("2")], [letter("1"), letter("3")]];
    for (first, letters) in [(1, &batches[0]), (3, &batches[1])] {
        let message = deliver_letters(&store, first, letters).await;
        assert!(lake.commit(&[message]).await.failure.is_none());
    }
    let reader = LakeReader::new(store.clone(), root());
    assert_eq!(lost_redrives(&reader, &datasets()).await.unwrap(), [""; 0]);
    let mut keys = DeadLetterKeys::default();
    ["1", "3"].iter().for_each(|id| keys.insert("anna", "a", id, NOW));
    let upkeep = maintainer(&store, CompactSettings::default()).upkeep;
    assert_eq!(upkeep.mark_redriven(&Arc::new(keys), NOW).await.unwrap(), 3, "rows");
    assert!(lake.commit(&[]).await.failure.is_none());
    let lost = lost_redrives(&reader, &datasets()).await.unwrap();
    assert_eq!(lost, ["2 dead letters are marked as sent again, 0 events came again: 2 are lost."]);
    // The marks stay readable when the files are merged.
    upkeep.compact("dead_letters", 2).await.unwrap();
    assert!(lake.commit(&[]).await.failure.is_none());
    assert_eq!(lost_redrives(&reader, &datasets()).await.unwrap(), lost);
}
