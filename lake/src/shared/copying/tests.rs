#![allow(clippy::unwrap_used)]

use alluvium_core::{BatchIdentity, RecordIdentity, ShardId};

use super::*;
use crate::testing::Dice;

fn batch(n: u64) -> BatchIdentity {
    BatchIdentity::of(&[RecordIdentity { shard: ShardId::numbered(0), sequence: n.into(), subsequence: 0 }])
}

fn note(n: u64, tables: &[&str]) -> BatchNote {
    let batch = batch(n);
    let files = tables.iter().map(|table| format!("{table}/{batch}-{batch}.parquet")).collect();
    BatchNote { batch, files }
}

type Commits = BTreeMap<&'static str, Vec<Vec<BatchNote>>>;

/// What [`closed_prefixes`] says of tables that have nothing but these commits, in which nothing was copied before.
fn closed(commits: &Commits) -> BTreeMap<&str, usize> {
    let has = |table: &str, batch| {
        let mut notes = commits.get(table).into_iter().flatten().flatten();
        notes.any(|note| IdentityBits::of(&note.batch) == Some(batch))
    };
    let notes = commits.iter().map(|(table, commits)| (*table, commits.iter().map(Vec::as_slice).collect()));
    closed_prefixes(&notes.collect(), has)
}

#[test]
fn whole_batches_are_copied_and_half_ones_hold_back_what_follows() {
    let whole = note(1, &["a", "b"]);
    let half = note(2, &["a", "b"]);
    let after = note(3, &["a", "c"]);
    let alone = note(4, &["b"]);
    let commits = BTreeMap::from([
        ("a", vec![vec![whole.clone()], vec![half.clone()], vec![after.clone()]]),
        ("b", vec![vec![whole, alone]]),
        ("c", vec![vec![after]]),
    ]);
    assert_eq!(closed(&commits), BTreeMap::from([("a", 1), ("b", 1), ("c", 0)]));
    let mut completed = commits;
    completed.get_mut("b").unwrap().push(vec![half]);
    assert_eq!(closed(&completed), BTreeMap::from([("a", 3), ("b", 2), ("c", 1)]));
}

#[test]
fn a_part_that_was_copied_before_holds_nothing_back() {
    let note = note(1, &["a", "b"]);
    let commits = BTreeMap::from([("a", vec![std::slice::from_ref(&note)]), ("b", vec![])]);
    assert_eq!(closed_prefixes(&commits, |table, _| table == "b"), BTreeMap::from([("a", 1), ("b", 0)]));
    assert_eq!(closed_prefixes(&commits, |_, _| false), BTreeMap::from([("a", 0), ("b", 0)]));
}

#[test]
fn batches_that_meet_in_opposite_orders_are_copied_together_or_not_at_all() {
    let (one, two) = (note(1, &["a", "b"]), note(2, &["a", "b"]));
    let mut commits =
        BTreeMap::from([("a", vec![vec![one.clone()], vec![two.clone()]]), ("b", vec![vec![two], vec![one]])]);
    assert_eq!(closed(&commits), BTreeMap::from([("a", 2), ("b", 2)]));
    commits.get_mut("b").unwrap().pop();
    assert_eq!(closed(&commits), BTreeMap::from([("a", 0), ("b", 0)]));
}

#[test]
fn a_batch_without_files_is_whole_with_its_one_part() {
    let commits = BTreeMap::from([("dead_letters", vec![vec![note(1, &[])]])]);
    assert_eq!(closed(&commits), BTreeMap::from([("dead_letters", 1)]));
}

const TABLES: [&str; 3] = ["a", "b", "c"];

fn is_closed(commits: &Commits, ends: &[usize; 3]) -> bool {
    let within = |table: &str, batch: &BatchIdentity| {
        let end = ends[TABLES.iter().position(|name| *name == table).unwrap()];
        commits[table][..end].iter().flatten().any(|note| note.batch == *batch)
    };
    let notes = TABLES.iter().zip(ends).flat_map(|(table, end)| commits[*table][..*end].iter().flatten());
    notes.into_iter().all(|note| note.tables().iter().all(|table| within(table, &note.batch)))
}

#[test]
fn the_prefixes_are_the_greatest_of_all_that_are_closed() {
    for seed in 0..2_000 {
        let mut dice = Dice(seed);
        let mut commits: Commits = TABLES.map(|table| (table, Vec::new())).into();
        for n in 0..1 + dice.below(7) {
            let tables: Vec<_> = TABLES.into_iter().filter(|_| dice.below(2) == 0).collect();
            let note = note(n, if tables.is_empty() { &["b"] } else { &tables });
            for table in note.tables() {
                // Now and then a part is missing; parts of several batches may share a commit, in any order.
                if dice.below(8) > 0 {
                    let commits = commits.get_mut(table.as_str()).unwrap();
                    let at = dice.below(commits.len() as u64 + 1) as usize;
                    match commits.get_mut(at).filter(|_| dice.below(3) == 0) {
                        Some(commit) => commit.push(note.clone()),
                        None => commits.insert(at, vec![note.clone()]),
                    }
                }
            }
        }
        let found = closed(&commits);
        let found = TABLES.map(|table| found[table]);
        assert!(is_closed(&commits, &found), "{seed}: {found:?} of {commits:?}");
        let lengths = TABLES.map(|table| commits[table].len());
        let all = (0..=lengths[0]).flat_map(|a| (0..=lengths[1]).map(move |b| (a, b)));
        for ends in all.flat_map(|(a, b)| (0..=lengths[2]).map(move |c| [a, b, c])) {
            let greater = ends.iter().zip(&found).any(|(end, found)| end > found);
            assert!(!greater || !is_closed(&commits, &ends), "{seed}: {ends:?} beats {found:?} of {commits:?}");
        }
    }
}
