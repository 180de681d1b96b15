#![allow(clippy::unwrap_used)]

use super::*;

const MIB: u64 = 1 << 20;

fn file(path: &str, size_bytes: u64, days: [&str; 2]) -> ActiveFile {
    let [first, last] = days;
    let stats = format!(
        r#"{{"numRecords":1,"minValues":{{"event_date":"{first}"}},"maxValues":{{"event_date":"{last}"}},"nullCount":{{}}}}"#
    );
    ActiveFile { path: path.to_owned(), size_bytes, rows: 1, stats: Some(stats), modification_time: 0 }
}

fn new(number: u64, size_bytes: u64, days: [&str; 2]) -> ActiveFile {
    file(&format!("{number:032x}-{number:032x}.parquet"), size_bytes, days)
}

fn chosen(files: &[ActiveFile]) -> Vec<&str> {
    let mut chosen: Vec<_> =
        choose(files, &CompactSettings::default(), 2).into_iter().map(|file| file.path.as_str()).collect();
    chosen.sort_unstable();
    chosen
}

const MONDAY: [&str; 2] = ["2026-01-05", "2026-01-05"];
const TUESDAY: [&str; 2] = ["2026-01-06", "2026-01-06"];

#[test]
fn with_nothing_to_gain_nothing_is_chosen() {
    assert!(chosen(&[]).is_empty());
    assert!(chosen(&[new(1, MIB, MONDAY)]).is_empty(), "one file stays one file");
    assert!(
        chosen(&[file("a.parquet", MIB, MONDAY), file("b.parquet", MIB, MONDAY)]).is_empty(),
        "two small ones do no harm"
    );
    let large = [file("a.parquet", 100 * MIB, MONDAY), file("b.parquet", 120 * MIB, MONDAY)];
    assert!(chosen(&large).is_empty());
}

#[test]
fn new_files_take_small_ones_of_their_dates_along_while_that_is_worth_it() {
    let files = [
        new(1, MIB, MONDAY),
        new(2, MIB, MONDAY),
        file("monday-8.parquet", 8 * MIB, MONDAY),
        file("monday-60.parquet", 60 * MIB, MONDAY),
        file("tuesday.parquet", MIB, TUESDAY),
    ];
    assert_eq!(chosen(&files)[2..], ["monday-8.parquet"]);
    let one_new = [&files[..1], &[file("monday-4.parquet", 4 * MIB, MONDAY)]].concat();
    assert!(chosen(&one_new).is_empty(), "one new file waits for a second");
}

#[test]
fn a_file_of_many_dates_counts_little_for_each() {
    let year = ["2026-01-01", "2026-12-31"];
    let files = [new(1, 3 * MIB, year), new(2, MIB, year), file("monday.parquet", MIB, MONDAY)];
    assert_eq!(chosen(&files).len(), 2);
    let files = [new(1, 3 * MIB, year), new(2, MIB, year), file("monday.parquet", 1000, MONDAY)];
    assert_eq!(chosen(&files).len(), 3);
}

#[test]
fn many_small_files_of_one_date_are_merged() {
    let many: Vec<_> = (0..8).map(|n| file(&format!("monday-{n}.parquet"), (n + 1) * MIB, MONDAY)).collect();
    assert!(chosen(&many[..7]).is_empty());
    assert_eq!(chosen(&many).len(), 8);
    let with_one_new = [&many[..], &[new(1, MIB, TUESDAY)]].concat();
    assert_eq!(chosen(&with_one_new).len(), 9, "a new file that would have to wait does not hold them up");
}

#[test]
fn a_round_takes_no_more_than_it_may_and_the_oldest_first() {
    let settings = CompactSettings { round_bytes: 5 * MIB, ..CompactSettings::default() };
    let mut files: Vec<_> = (1..=5).map(|n| new(n, 2 * MIB, MONDAY)).collect();
    files[4].modification_time = -1;
    let chosen: Vec<_> = choose(&files, &settings, 2).into_iter().map(|file| file.path.clone()).collect();
    assert_eq!(chosen, [files[4].path.clone(), files[0].path.clone()]);
    let settings = CompactSettings { round_bytes: 1, ..CompactSettings::default() };
    assert_eq!(choose(&files, &settings, 2).len(), 1, "a file larger than a round is taken by itself");
}

#[test]
fn when_more_wait_than_a_round_takes_the_date_with_most_files_comes_first() {
    let week = ["2026-01-01", "2026-01-07"];
    let files = [
        new(1, 2 * MIB, week),
        new(2, 2 * MIB, TUESDAY),
        new(3, 2 * MIB, MONDAY),
        new(4, 2 * MIB, TUESDAY),
        new(5, 2 * MIB, ["2026-02-01", "2026-02-01"]),
    ];
    let take = |round_bytes| -> Vec<&str> {
        let settings = CompactSettings { round_bytes, ..CompactSettings::default() };
        choose(&files, &settings, 2).into_iter().map(|file| &file.path[30..32]).collect()
    };
    assert_eq!(take(5 * MIB), ["01", "02"], "those of Tuesday, in the order of their commits");
    assert_eq!(take(8 * MIB), ["01", "02", "04", "05"], "then the newest of the dates with as many of the rest");
    assert_eq!(take(10 * MIB).len(), 5);
    let silent = ActiveFile { stats: None, ..files[4].clone() };
    let many: Vec<_> = (0..1_000).map(|n| new(n, MIB, MONDAY)).chain([silent]).collect();
    let settings = CompactSettings { round_bytes: 5 * MIB, ..CompactSettings::default() };
    assert_eq!(choose(&many, &settings, 2).len(), 5, "one that has any dates has Monday's too");
}

#[test]
fn a_round_takes_no_more_compacted_bytes_than_new_ones_and_two_of_many_small_ones_at_the_least() {
    let many: Vec<_> = (0..10).map(|n| file(&format!("monday-{n}.parquet"), (n + 1) * MIB, MONDAY)).collect();
    let take = |files: &[ActiveFile], round_bytes| {
        let settings = CompactSettings { round_bytes, ..CompactSettings::default() };
        choose(files, &settings, 2).into_iter().map(|file| file.path.clone()).collect::<Vec<_>>()
    };
    assert_eq!(take(&many, 6 * MIB), ["monday-0.parquet", "monday-1.parquet", "monday-2.parquet"]);
    assert_eq!(take(&many, 1), ["monday-0.parquet", "monday-1.parquet"], "or nothing would be gained");
    let week = file("week.parquet", 11 * MIB, ["2026-01-05", "2026-01-11"]);
    let days: Vec<_> = (5..12)
        .map(|day| {
            file(
                &format!("day-{day:02}.parquet"),
                5 * MIB,
                [&format!("2026-01-{day:02}"), &format!("2026-01-{day:02}")],
            )
        })
        .collect();
    let scattered = [&[week][..], &days].concat();
    assert_eq!(take(&scattered, 17 * MIB), ["week.parquet", "day-05.parquet"], "files that share no date gain nothing");
    let with_new = [&[new(1, 3 * MIB, MONDAY), new(2, 3 * MIB, MONDAY)][..], &many[..4]].concat();
    assert_eq!(take(&with_new, 6 * MIB).len(), 5, "of 1, 2, 3 and 4 MiB, the first three");
}

#[test]
fn a_file_that_does_not_say_its_dates_may_have_any() {
    let silent = ActiveFile { stats: Some(r#"{"numRecords":1}"#.to_owned()), ..new(1, MIB, MONDAY) };
    assert_eq!(days_of(&silent), i32::MIN..=i32::MAX);
    assert_eq!(days_of(&new(1, MIB, MONDAY)), 20_458..=20_458);
}
