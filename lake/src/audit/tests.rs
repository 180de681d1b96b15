#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use alluvium_core::ports::PortError;
use alluvium_core::{BatchIdentity, RecordIdentity, Removal, SequenceNumber, ShardId, ShardRange};
use async_trait::async_trait;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::*;
use crate::testing::{
    LEDGER, MemoryIndex, NOTES, READINGS, TestStream, datasets, deliver, drive, empty_entry, open, range, root,
};

const STREAM: [u64; 2] = [60, 43];

async fn lake() -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    drive(&store, &store, &TestStream::new(STREAM), 100).await.unwrap();
    store
}

async fn report_of(store: &Arc<dyn ObjectStore>, stream: &TestStream) -> AuditReport {
    audit(&LakeReader::new(store.clone(), root()), &datasets(), &MemoryIndex::default(), stream, &AuditSettings::at(0))
        .await
        .unwrap()
}

async fn problems(store: &Arc<dyn ObjectStore>, stream: &TestStream) -> Vec<String> {
    let report = report_of(store, stream).await;
    assert!(!report.balances());
    report.problems().map(str::to_owned).collect()
}

async fn a_file_of(store: &Arc<dyn ObjectStore>, table: &str) -> Path {
    let files = LakeReader::new(store.clone(), root()).snapshot(table).await.unwrap().files;
    Path::from(format!("{table}/{}", files[0].path))
}

#[tokio::test]
async fn a_whole_lake_balances_and_its_numbers_are_right() {
    let store = lake().await;
    store.put(&Path::from("notes/left-over.parquet"), "x".into()).await.unwrap();
    let report = report_of(&store, &TestStream::new(STREAM)).await;
    assert!(report.balances(), "{:?}", report.problems().collect::<Vec<_>>());
    let rows = TestStream::new(STREAM).rows();
    for table in report.tables.iter().filter(|table| table.table != LEDGER) {
        assert_eq!(table.rows, rows[&table.table].len() as u64, "{}", table.table);
        assert_eq!(table.orphans, usize::from(table.table == NOTES));
    }
    let total = report.total();
    assert_eq!(total.received, total.written + total.filtered + total.dead);
    assert!(total.filtered > 0);
    assert_eq!(total.dead, rows["dead_letters"].len() as u64);
    let read: AuditReport = serde_json::from_value(serde_json::to_value(&report).unwrap()).unwrap();
    assert_eq!(read, report, "the report is what goes over the wire");
}

#[tokio::test]
async fn a_missing_file_and_a_file_of_another_size_are_named() {
    let store = lake().await;
    let (missing, longer) = (a_file_of(&store, READINGS).await, a_file_of(&store, NOTES).await);
    store.delete(&missing).await.unwrap();
    store.put(&longer, "no longer what it was".into()).await.unwrap();
    let found = problems(&store, &TestStream::new(STREAM)).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|problem| problem.contains(missing.as_ref()) && problem.contains("missing")), "{found:?}");
    assert!(found.iter().any(|problem| problem.contains(longer.as_ref()) && problem.contains("21 bytes")), "{found:?}");
}

#[tokio::test]
async fn a_ledger_file_that_is_gone_leaves_rows_and_records_unexplained() {
    let store = lake().await;
    let missing = a_file_of(&store, LEDGER).await;
    store.delete(&missing).await.unwrap();
    let found = problems(&store, &TestStream::new(STREAM)).await;
    assert!(found.iter().any(|problem| problem.contains(missing.as_ref())), "{found:?}");
    assert!(found.iter().any(|problem| problem.contains("the ledger says")), "{found:?}");
    assert!(
        found.iter().any(|problem| problem.contains("no batch covers") || problem.contains("the position stands")),
        "{found:?}"
    );
    assert!(found.iter().any(|problem| problem.contains("the stream holds")), "{found:?}");
}

#[tokio::test]
async fn a_ledger_file_with_an_entry_taken_out_is_found_out() {
    let store = lake().await;
    let path = a_file_of(&store, LEDGER).await;
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    let mut rows = ledger_file::decode(bytes).unwrap();
    rows.entries.pop();
    store.put(&path, ledger_file::encode(&rows, 0).bytes.into()).await.unwrap();
    let found = problems(&store, &TestStream::new(STREAM)).await;
    assert!(found.iter().any(|problem| problem.contains("rows, its log says")), "{found:?}");
    assert!(found.iter().any(|problem| problem.contains("the ledger says")), "{found:?}");
}

#[tokio::test]
async fn an_event_that_the_stream_holds_and_the_ledger_does_not_is_found() {
    let store = lake().await;
    let stream = TestStream { undelivered: 1, ..TestStream::new(STREAM) };
    let found = problems(&store, &stream).await;
    // One in each shard.
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("Dataset `readings`: the stream holds"), "{found:?}");
}

#[tokio::test]
async fn what_the_stream_has_forgotten_is_not_provable_and_the_rest_is() {
    let store = lake().await;
    for oldest in [2, 7, 20, 44, 60, 61] {
        let stream = TestStream { oldest, ..TestStream::new(STREAM) };
        let report = report_of(&store, &stream).await;
        assert!(report.balances(), "{oldest}: {:?}", report.problems().collect::<Vec<_>>());
        let notes: Vec<_> = report.checks.iter().flat_map(|check| &check.notes).collect();
        assert!(notes.iter().any(|note| note.contains("Not provable")), "{oldest}: {notes:?}");
        let proven = report.shards[0].proven_from;
        assert_eq!(proven.is_none(), oldest > 55, "{oldest}: whole batches only, {proven:?}");
        // An event too many among those that can be counted is still found.
        let wrong = TestStream { undelivered: 1, ..stream };
        assert_eq!(report_of(&store, &wrong).await.balances(), proven.is_none(), "{oldest}");
    }
}

#[tokio::test]
async fn records_that_wait_for_their_commit_are_counted_and_no_imbalance() {
    let store = lake().await;
    let report = report_of(&store, &TestStream::new([70, 43])).await;
    assert!(report.balances());
    assert_eq!(report.shards[0].records_behind, Some(10));
    assert_eq!(report.shards[1].records_behind, Some(0));
}

#[tokio::test]
async fn where_one_committer_writes_messages_that_a_crash_left_are_told_and_no_imbalance() {
    let store = lake().await;
    let stored = deliver(&store, vec![range(0, 61, 70)]).await;
    store.put(&Path::from(stored.path()), stored.encode().into()).await.unwrap();
    let report = report_of(&store, &TestStream::new([70, 43])).await;
    assert!(report.balances());
    assert_eq!(report.uncommitted.iter().map(|message| &message.path).collect::<Vec<_>>(), [&stored.path()]);
    assert_eq!(report.overdue().count(), 0);
    let notes: Vec<_> = report.checks.iter().flat_map(|check| &check.notes).collect();
    assert!(notes.iter().any(|note| note.starts_with("1 commit message is stored")), "{notes:?}");
}

#[tokio::test]
async fn a_message_whose_batch_only_the_ledger_remembers_is_not_uncommitted() {
    let store = lake().await;
    let stored = deliver(&store, vec![range(0, 61, 70)]).await;
    store.put(&Path::from(stored.path()), stored.encode().into()).await.unwrap();
    let reader = LakeReader::new(store.clone(), root());
    let listed = pending::stored(&reader).await.unwrap();
    let uncommitted = messages::uncommitted(&reader, &listed, &[]).await.unwrap();
    assert_eq!(uncommitted.iter().map(|message| &message.path).collect::<Vec<_>>(), [&stored.path()]);
    // As if the tables had forgotten the batch: to enqueue its message would bring it in twice.
    assert_eq!(messages::uncommitted(&reader, &listed, &stored.ledger).await.unwrap(), []);
}

#[tokio::test]
async fn an_audit_while_tables_are_ahead_of_the_ledger_balances() {
    let store = lake().await;
    let (mut lake, _) = open(&store).await.unwrap();
    lake.commit(&[deliver(&store, vec![range(0, 61, 80)]).await]).await.unwrap();
    // The cycle's last commit never happened.
    let reader = LakeReader::new(store.clone(), root());
    let version = reader.newest(LEDGER).await.unwrap().version.unwrap();
    store.delete(&Path::from(format!("ledger/_delta_log/{version:020}.json"))).await.unwrap();
    let report = report_of(&store, &TestStream::new([80, 43])).await;
    assert!(report.balances(), "{:?}", report.problems().collect::<Vec<_>>());
    assert_eq!(report.shards[0].records_behind, Some(20));
    let readings = report.tables.iter().find(|table| table.table == READINGS).unwrap();
    assert_eq!(readings.versions_ahead, 1);
}

fn batch(n: u64) -> BatchIdentity {
    BatchIdentity::of(&[RecordIdentity { shard: ShardId::numbered(0), sequence: n.into(), subsequence: 0 }])
}

fn entry(n: u64, dataset: &str, first: u64, last: u64) -> LedgerEntry {
    empty_entry(&batch(n), dataset, &[range(0, first, last)])
}

fn coverage_problems(entries: &[LedgerEntry], position: u64) -> Vec<String> {
    let mut findings = Findings::default();
    coverage::check(entries, &BTreeMap::from([(ShardId::numbered(0), position.into())]), &mut findings);
    findings.problems
}

#[test]
fn gaps_and_overlaps_of_coverage_are_found() {
    let whole = [entry(1, "a", 1, 4), entry(1, "b", 1, 4), entry(2, "b", 5, 9), entry(3, "a", 10, 10)];
    assert_eq!(coverage_problems(&whole, 10), Vec::<String>::new());
    let redelivered = [entry(1, "a", 1, 9), entry(2, "b", 1, 4), entry(3, "b", 5, 9)];
    assert_eq!(
        coverage_problems(&redelivered, 9),
        Vec::<String>::new(),
        "after a crash, other batches for other tables"
    );
    let gap = coverage_problems(&[entry(1, "a", 1, 4), entry(2, "a", 6, 9)], 9);
    assert!(gap.len() == 1 && gap[0].contains("between 4 and 6"), "{gap:?}");
    let twice = coverage_problems(&[entry(1, "a", 1, 4), entry(2, "a", 4, 9)], 9);
    assert!(twice.len() == 1 && twice[0].contains("records 4 to 4 are covered twice"), "{twice:?}");
    let short = coverage_problems(&[entry(1, "a", 1, 4)], 9);
    assert!(short.len() == 1 && short[0].contains("stands at 9"), "{short:?}");
    let none = coverage_problems(&[], 9);
    assert!(none.len() == 1 && none[0].contains("covers no record"), "{none:?}");
}

#[test]
fn an_entry_that_does_not_balance_and_one_that_is_there_twice_are_found() {
    let mut unbalanced = entry(1, "a", 1, 4);
    unbalanced.received = 3;
    let mut unexplained = entry(2, "a", 5, 6);
    (unexplained.received, unexplained.dead) = (1, 1);
    let mut findings = Findings::default();
    let entries = vec![unbalanced, unexplained, entry(3, "a", 7, 7), entry(3, "a", 7, 7)];
    rows::check_entries(&LedgerRows { entries, removals: Vec::new() }, &mut findings);
    assert_eq!(findings.problems.len(), 3, "{:?}", findings.problems);
    assert!(findings.problems[2].contains("more than once"));
}

const DAY: Micros = 86_400_000_000;

/// A lake whose first batch arrived on 14 November 2023, its second the day after.
async fn lake_of_days() -> (Arc<dyn ObjectStore>, TestStream) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut lake, _) = open(&store).await.unwrap();
    for (covers, days) in [(range(0, 1, 30), 0), (range(0, 31, 60), 1)] {
        let mut message = deliver(&store, vec![covers]).await;
        message.ledger.iter_mut().for_each(|entry| entry.arrival += days * DAY);
        lake.commit(&[message]).await.unwrap();
    }
    (store, TestStream::new([60, 0]))
}

async fn asked(store: &Arc<dyn ObjectStore>, stream: &TestStream, settings: AuditSettings) -> Result<AuditReport> {
    audit(&LakeReader::new(store.clone(), root()), &datasets(), &MemoryIndex::default(), stream, &settings).await
}

#[tokio::test]
async fn each_day_and_each_selection_has_its_sums_and_the_checks_see_everything() {
    let (store, stream) = lake_of_days().await;
    let everything = AuditSettings::at(0);
    let all = asked(&store, &stream, everything.clone()).await.unwrap();
    assert!(all.balances() && all.selected.is_none() && all.ledger_difference == 0);
    let days: Vec<_> = all.days.iter().map(|day| day.day.as_str()).collect();
    assert_eq!(days, ["2023-11-14", "2023-11-15"]);
    let total = all.total();
    let of_days = |of: fn(&DayAudit) -> u64| all.days.iter().map(of).sum::<u64>();
    assert_eq!(of_days(|day| day.received), total.received);
    assert_eq!(
        [of_days(|day| day.written), of_days(|day| day.filtered), of_days(|day| day.dead)],
        [total.written, total.filtered, total.dead]
    );
    assert!(all.days.iter().all(|day| day.missing == 0 && day.received > 20));

    let second = 1_700_000_000_000_000 + DAY;
    let since = AuditSettings { since: Some(second), ..everything.clone() };
    let late = asked(&store, &stream, since.clone()).await.unwrap();
    assert_eq!(late.days, all.days[1..]);
    let selected = late.selected.clone().unwrap();
    assert_eq!(DatasetAudit::sum_of(&selected.datasets).received, all.days[1].received);
    assert_eq!((late.datasets, late.checks), (all.datasets.clone(), all.checks.clone()), "these are of everything");
    let after = asked(&store, &stream, AuditSettings { since: Some(second + 1), ..everything.clone() }).await.unwrap();
    assert!(after.days.is_empty() && after.selected.unwrap().datasets.is_empty());

    let of = |dataset: &str| AuditSettings { dataset: Some(dataset.to_owned()), ..since.clone() };
    let readings = asked(&store, &stream, of(READINGS)).await.unwrap();
    let selected = readings.selected.unwrap();
    assert_eq!(selected.datasets.iter().map(|sums| sums.dataset.as_str()).collect::<Vec<_>>(), [READINGS]);
    assert_eq!(selected.datasets[0].received, readings.days[0].received);
    assert!(readings.days[0].received < late.days[0].received);
}

/// A stream that must not be asked.
struct Untouched;

#[async_trait]
impl StreamCounts for Untouched {
    async fn received(&self, _: &ShardRange) -> std::result::Result<Option<BTreeMap<String, u64>>, PortError> {
        unreachable!("the stream is not asked")
    }

    async fn oldest(&self, _: &ShardId) -> std::result::Result<Option<SequenceNumber>, PortError> {
        unreachable!("the stream is not asked")
    }

    async fn newest(&self, _: &ShardId) -> std::result::Result<Option<SequenceNumber>, PortError> {
        unreachable!("the stream is not asked")
    }
}

#[tokio::test]
async fn what_is_no_dataset_is_refused_before_the_stream_is_read() {
    let (store, stream) = lake_of_days().await;
    let of = |dataset: &str| AuditSettings { dataset: Some(dataset.to_owned()), ..AuditSettings::at(0) };
    let reader = LakeReader::new(store.clone(), root());
    for name in ["nonsense", LEDGER, ""] {
        let error = audit(&reader, &datasets(), &MemoryIndex::default(), &Untouched, &of(name)).await.unwrap_err();
        assert!(matches!(&error, LakeError::NoDataset(refused) if refused == name), "{error}");
    }
    assert!(asked(&store, &stream, of("dead_letters")).await.unwrap().balances());
}

#[test]
fn removals_are_selected_by_when_they_were_done() {
    let removal = |work: &str, at| Removal {
        work: work.to_owned(),
        table: READINGS.to_owned(),
        duplicates: 3,
        at,
        ..Removal::default()
    };
    let removals = [removal("a", 5), removal("b", 10)];
    let settings = AuditSettings { since: Some(10), ..AuditSettings::at(20) };
    let sums = rows::sums(&[], removals.iter().filter(|gone| settings.selects(&gone.table, gone.at)));
    assert_eq!(sums[READINGS].duplicates, 3);
    assert!(!AuditSettings { dataset: Some(NOTES.to_owned()), ..settings }.selects(READINGS, 10));
}

#[tokio::test]
async fn what_the_ledger_leaves_out_is_counted_once() {
    let (store, stream) = lake_of_days().await;
    let path = a_file_of(&store, LEDGER).await;
    let bytes = store.get(&path).await.unwrap().bytes().await.unwrap();
    let mut rows = ledger_file::decode(bytes).unwrap();
    let entry = rows.entries.iter_mut().find(|entry| entry.dataset == READINGS).unwrap();
    entry.written -= 2;
    let day = days::days([&*entry])[0].day.clone();
    store.put(&path, ledger_file::encode(&rows, 0).bytes.into()).await.unwrap();
    let report = asked(&store, &stream, AuditSettings::at(0)).await.unwrap();
    assert_eq!(report.ledger_difference, 2, "two events, whose rows the ledger does not know");
    let missing: Vec<_> = report.days.iter().map(|day| (day.day.clone(), day.missing)).collect();
    assert!(missing.contains(&(day, 2)) && missing.iter().map(|(_, missing)| missing).sum::<u64>() == 2, "{missing:?}");
}

#[test]
fn too_few_and_too_many_do_not_make_up_for_each_other() {
    let counted = |n, received, written| LedgerEntry { received, written, ..entry(n, "a", n, n) };
    let (less, more, right) = (counted(1, 5, 2), counted(2, 5, 9), counted(3, 5, 5));
    let day = &days::days([&less, &more, &right])[0];
    assert_eq!((day.received, day.written, day.missing), (15, 16, 7));
    let difference = |too_few, too_many| Differ { too_few, too_many }.with_missing([&less, &more, &right]);
    assert_eq!(difference(0, 0), 7);
    assert_eq!(difference(4, 3), 7, "the same ones");
    assert_eq!(difference(5, 0), 8);
    assert_eq!(difference(0, 9), 13);
}

#[tokio::test]
async fn the_difference_alone_says_not_whether_the_audit_balances() {
    let store = lake().await;
    store.delete(&a_file_of(&store, READINGS).await).await.unwrap();
    let report = report_of(&store, &TestStream::new(STREAM)).await;
    assert_eq!((report.ledger_difference, report.balances(), report.problems().count()), (0, false, 1));
}

#[test]
fn a_long_list_of_problems_is_cut() {
    let mut findings = Findings::default();
    (0..80).for_each(|n| findings.problem(format!("{n}.")));
    let check = findings.into_check("x");
    assert_eq!(check.problems.len(), 51);
    assert_eq!(check.problems[50], "And 30 more like these.");
}
