#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use alluvium_core::BatchIdentity;
use arrow::array::{BinaryArray, Date32Array, Int64Array, StringArray, new_null_array};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::columns::conform;
use crate::commit::Operation;
use crate::testing::{
    Crash, Crashing, DEAD, Maintainer, all_dead, assert_the_library_reads_the_same, datasets, deliver_rows, maintainer,
    open_shared, root,
};
use crate::{CompactSettings, LakeReader, SharedLake};

const ARRIVAL: Micros = 1_700_000_000_000_000;
const NOW: Micros = ARRIVAL + 7 * MICROS_PER_DAY;

fn upkeep(store: &Arc<dyn ObjectStore>) -> (Upkeep, tempfile::TempDir) {
    let Maintainer { upkeep, spill, .. } = maintainer(store, CompactSettings::default());
    (upkeep, spill)
}

fn arrival(number: u64) -> Micros {
    ARRIVAL + number as i64 * MICROS_PER_DAY / 10
}

/// Dead letters of these numbers, every second one of another owner; without the column of marks, as releases before had it.
fn letters(numbers: std::ops::Range<u64>) -> RecordBatch {
    let columns = dead_letter_columns();
    let text = |of: fn(u64) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(numbers.clone().map(of))) };
    let time = || -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_iter_values(numbers.clone().map(arrival)).with_timezone("UTC"))
    };
    let values = columns.fields().iter().map(|field| match field.name().as_str() {
        "event_id" => text(|number| format!("id-{}", number / 2)),
        "owner" => text(|number| format!("owner-{}", number % 2)),
        "event_time" | "ingest_time" => time(),
        "event_date" => {
            let days = numbers.clone().map(|number| arrival(number).div_euclid(MICROS_PER_DAY) as i32);
            Arc::new(Date32Array::from_iter_values(days))
        }
        "index" | "original_bytes" => {
            Arc::new(Int64Array::from_iter_values(numbers.clone().map(|number| number as i64)))
        }
        "original" => Arc::new(BinaryArray::from_iter_values(numbers.clone().map(|number| [0xFF, number as u8]))),
        _ if field.is_nullable() => new_null_array(field.data_type(), numbers.clone().count()),
        _ => text(|number| format!("text {number}")),
    });
    let whole = RecordBatch::try_new(columns.clone(), values.collect()).unwrap();
    whole.project(&(0..columns.fields().len() - 1).collect::<Vec<_>>()).unwrap()
}

/// Stores and commits these dead letters as one batch.
async fn bury(store: &Arc<dyn ObjectStore>, lake: &mut SharedLake, rows: &RecordBatch, batch: u64) {
    let message = deliver_rows(store, DEAD, 1_000 * batch, rows, all_dead).await;
    let committed = lake.commit(&[message]).await;
    assert!(committed.failure.is_none() && committed.outcomes[0].is_done(), "{committed:?}");
}

/// A lake with three batches of ten dead letters each.
async fn filled() -> (Arc<dyn ObjectStore>, SharedLake) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    for batch in 0..3 {
        bury(&store, &mut lake, &letters(batch * 10..batch * 10 + 10), batch).await;
    }
    (store, lake)
}

fn keys(numbers: impl IntoIterator<Item = u64>) -> Arc<DeadLetterKeys> {
    let mut keys = DeadLetterKeys::default();
    for number in numbers {
        keys.insert(
            &format!("owner-{}", number % 2),
            &format!("text {number}"),
            &format!("id-{}", number / 2),
            arrival(number),
        );
    }
    Arc::new(keys)
}

/// The rows of each active file, with the columns of this release.
async fn rows_of(store: &Arc<dyn ObjectStore>) -> BTreeMap<String, RecordBatch> {
    let snapshot = LakeReader::new(store.clone(), root()).snapshot(DEAD).await.unwrap();
    let mut found = BTreeMap::new();
    for file in snapshot.files {
        let bytes = store.get(&Path::from(format!("{DEAD}/{}", file.path))).await.unwrap().bytes().await.unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap().next().unwrap().unwrap();
        found.insert(file.path, conform(&rows, &dead_letter_columns()).unwrap());
    }
    found
}

/// The number of each dead letter that is marked, and when it was; every other value must be as it was sent.
async fn marks(store: &Arc<dyn ObjectStore>) -> BTreeMap<u64, Micros> {
    let (mut marks, mut numbers) = (BTreeMap::new(), BTreeSet::new());
    for (path, rows) in rows_of(store).await {
        let first = rows["index"].as_primitive::<arrow::datatypes::Int64Type>().value(0) as u64;
        let marked = rows["redriven_at"].as_primitive::<TimestampMicrosecondType>();
        let values: Vec<_> = (0..rows.num_columns() - 1).collect();
        assert_eq!(rows.project(&values).unwrap(), letters(first..first + rows.num_rows() as u64), "{path}");
        numbers.extend(first..first + rows.num_rows() as u64);
        let pairs = marked.iter().enumerate().filter_map(|(at, mark)| Some((first + at as u64, mark?)));
        marks.extend(pairs);
    }
    assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "each once: {numbers:?}");
    marks
}

async fn assert_balanced(store: &Arc<dyn ObjectStore>, lake: &mut SharedLake, next: u64) {
    // The ledger copies what came before with the next batch.
    bury(store, lake, &letters(next..next + 1), next).await;
    let reader = LakeReader::new(store.clone(), root());
    let newest = reader.newest("ledger").await.unwrap().version.unwrap();
    assert_eq!(crate::audit::problems_at(&reader, &datasets(), newest).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn only_the_letters_are_marked_and_only_their_files_are_written_anew() {
    let (store, mut lake) = filled().await;
    let before = rows_of(&store).await;
    let (upkeep, _spill) = upkeep(&store);
    let chosen = [3, 4, 25];
    assert_eq!(upkeep.mark_redriven(&keys(chosen), NOW).await.unwrap(), 3);
    assert_eq!(marks(&store).await, chosen.map(|number| (number, NOW)).into());
    let after = rows_of(&store).await;
    assert_eq!(after.keys().filter(|path| before.contains_key(*path)).count(), 1, "{after:?}");
    assert!(after.keys().all(|path| before.contains_key(path) || BatchIdentity::from_data_file_name(path).is_none()));
    assert_the_library_reads_the_same(&store).await;
    assert_balanced(&store, &mut lake, 30).await;
}

#[tokio::test]
async fn a_mark_that_stands_stays_and_marking_nothing_writes_nothing() {
    let (store, _lake) = filled().await;
    let (upkeep, _spill) = upkeep(&store);
    upkeep.mark_redriven(&keys([3]), NOW).await.unwrap();
    let (before, version) = (rows_of(&store).await, upkeep.reader.newest(DEAD).await.unwrap().version);
    for none in [keys([3]), keys([]), keys([100])] {
        assert_eq!(upkeep.mark_redriven(&none, NOW + 1).await.unwrap(), 0);
    }
    assert_eq!(rows_of(&store).await, before);
    assert_eq!(upkeep.reader.newest(DEAD).await.unwrap().version, version);
    assert_eq!(upkeep.mark_redriven(&keys(0..6), NOW + 1).await.unwrap(), 5);
    assert_eq!(marks(&store).await, (0..6).map(|number| (number, if number == 3 { NOW } else { NOW + 1 })).collect());
}

#[tokio::test]
async fn a_letter_that_was_delivered_twice_is_marked_twice() {
    let (store, mut lake) = filled().await;
    bury(&store, &mut lake, &letters(3..4), 77).await;
    let (upkeep, _spill) = upkeep(&store);
    assert_eq!(upkeep.mark_redriven(&keys([3]), NOW).await.unwrap(), 2);
}

#[tokio::test]
async fn a_batch_whose_file_was_marked_does_not_come_in_again() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open_shared(&store).await.unwrap();
    bury(&store, &mut lake, &letters(0..10), 0).await;
    upkeep(&store).0.mark_redriven(&keys([1]), NOW).await.unwrap();
    let (mut other, _) = open_shared(&store).await.unwrap();
    bury(&store, &mut other, &letters(0..10), 0).await;
    assert_eq!(marks(&store).await, [(1, NOW)].into(), "`bury` has asserted that the message is dealt with");
}

#[tokio::test]
async fn marked_rows_are_still_new_to_compaction_and_keep_their_marks() {
    let (store, mut lake) = filled().await;
    bury(&store, &mut lake, &letters(3..4), 77).await;
    let (upkeep, _spill) = upkeep(&store);
    upkeep.mark_redriven(&keys(0..30), NOW).await.unwrap();
    let rounds = upkeep.compact(DEAD, 2).await.unwrap();
    assert_eq!(rounds.iter().map(|round| (round.files_before, round.duplicates)).collect::<Vec<_>>(), [(4, 1)]);
    let [compacted]: [String; 1] = rows_of(&store).await.into_keys().collect::<Vec<_>>().try_into().unwrap();
    bury(&store, &mut lake, &letters(30..40), 78).await;
    upkeep.mark_redriven(&keys(0..40), NOW + 1).await.unwrap();
    let after = rows_of(&store).await;
    assert!(after.contains_key(&compacted), "it was all marked: {after:?}");
    let marked: Vec<_> =
        after.values().flat_map(|rows| rows["redriven_at"].as_primitive::<TimestampMicrosecondType>()).collect();
    assert_eq!((marked.len(), marked.iter().flatten().filter(|mark| **mark == NOW).count()), (40, 30));
}

#[tokio::test]
async fn a_marking_that_dies_at_any_write_has_marked_all_or_none() {
    let chosen = [3, 4, 15, 25];
    for crash in [Crash::BeforeTheWrite, Crash::AfterTheWrite] {
        for at_write in 1.. {
            let (store, mut lake) = filled().await;
            let crashing = Arc::new(Crashing::new(store.clone(), crash, at_write));
            let dying: Arc<dyn ObjectStore> = crashing.clone();
            let died = upkeep(&dying).0.mark_redriven(&keys(chosen), NOW).await;
            if !crashing.has_crashed() {
                assert_eq!(died.unwrap(), 4);
                assert!(at_write > 4, "it writes three files and a commit");
                break;
            }
            let found = marks(&store).await;
            assert!(found.is_empty() || found == chosen.map(|number| (number, NOW)).into(), "{found:?}");
            upkeep(&store).0.mark_redriven(&keys(chosen), NOW).await.unwrap();
            assert_eq!(marks(&store).await, chosen.map(|number| (number, NOW)).into(), "{crash:?} at write {at_write}");
            assert_balanced(&store, &mut lake, 30).await;
        }
    }
}

#[tokio::test]
async fn two_markings_compaction_and_appends_at_a_time_lose_nothing() {
    let (store, mut lake) = filled().await;
    let (one, other, compactor) = (upkeep(&store), upkeep(&store), upkeep(&store));
    let append = async {
        for number in 30..35 {
            bury(&store, &mut lake, &letters(number..number + 1), number).await;
        }
    };
    let (odd, even) = (keys((0..30).step_by(2)), keys((1..30).step_by(2)));
    let (odd, even, compacted, ()) = tokio::join!(
        one.0.mark_redriven(&odd, NOW),
        other.0.mark_redriven(&even, NOW),
        compactor.0.compact(DEAD, 2),
        append
    );
    assert_eq!((odd.unwrap(), even.unwrap()), (15, 15));
    compacted.unwrap();
    let rows = rows_of(&store).await;
    let marked = rows.values().map(|rows| rows["redriven_at"].len() - rows["redriven_at"].null_count()).sum::<usize>();
    assert_eq!((rows.values().map(RecordBatch::num_rows).sum::<usize>(), marked), (35, 30));
    assert_balanced(&store, &mut lake, 35).await;
}

#[tokio::test]
async fn a_table_of_a_release_before_is_marked_once_its_lake_was_opened() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let columns = dead_letter_columns();
    let before = columns.project(&(0..columns.fields().len() - 1).collect::<Vec<_>>()).unwrap();
    let entry = crate::columns::create(DEAD, &before, &[], NOW).encode(Operation::Create, NOW);
    TableLog::new(&store, &root(), DEAD).write(0, entry).await.unwrap();
    let refused = upkeep(&store).0.mark_redriven(&keys([1]), NOW).await.unwrap_err();
    assert!(matches!(refused, LakeError::Columns { .. }) && refused.to_string().contains(MARK), "{refused}");
    let (mut lake, _) = open_shared(&store).await.unwrap();
    bury(&store, &mut lake, &letters(0..10), 0).await;
    assert_eq!(upkeep(&store).0.mark_redriven(&keys([1]), NOW).await.unwrap(), 1);
}
