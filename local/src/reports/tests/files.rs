//! What lies in the folder.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest as _, Sha256};

use super::*;

#[tokio::test]
async fn a_result_is_both_files_and_what_is_known_of_them() {
    let world = World::new();
    let reports = world.hourly();
    world.engine.number.store(7, Ordering::SeqCst);
    make_all(&reports).await;
    assert_eq!(
        world.files("hourly"),
        ["19720927T0900Z.csv", "19720927T0900Z.json", "19720927T0900Z.parquet", "seen.json"]
    );
    assert_eq!(names(&world.results().join(".drafts")), [""; 0]);
    let page = reports.results("hourly", None, 10).await.unwrap().unwrap();
    let result = &page.results[0];
    assert_eq!((page.results.len(), page.more, result.rows), (1, false, 2));
    for format in FileFormat::ALL {
        let file = reports.open("hourly", result.window(), format).await.unwrap().unwrap();
        let mut bytes = Vec::new();
        loop {
            let more = file.read(bytes.len() as u64).await.unwrap();
            if more.is_empty() {
                break;
            }
            bytes.extend_from_slice(&more);
        }
        assert_eq!(bytes.len() as u64, file.facts().bytes);
        assert_eq!(hex(&bytes), file.facts().sha256);
        if format == FileFormat::Csv {
            let text = String::from_utf8(bytes).unwrap();
            let lines: Vec<_> = text.split("\r\n").collect();
            assert!(lines.len() == 4 && lines[0] == "statement,number" && lines[2].ends_with(",7"), "{text}");
        } else {
            let read = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
            assert_eq!(read.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2);
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn made_twice_it_is_there_once_with_the_same_bytes() {
    let world = World::new();
    let reports = world.hourly();
    make_all(&reports).await;
    let before = reports.results("hourly", None, 10).await.unwrap().unwrap().results;
    let files = world.files("hourly");
    world.clock.advance(MINUTE);
    let again = reports.make("hourly", before[0].window()).await.unwrap();
    assert_eq!((&again.csv, &again.parquet), (&before[0].csv, &before[0].parquet));
    assert_eq!(again.made_at, before[0].made_at + MINUTE);
    assert_eq!(world.files("hourly"), files);
    assert_eq!(reports.results("hourly", None, 10).await.unwrap().unwrap().results, [again]);
}

#[tokio::test]
async fn a_reader_in_the_middle_of_a_file_reads_it_to_its_end() {
    let world = World::new();
    let reports = world.hourly();
    make_all(&reports).await;
    let window = reports.results("hourly", None, 1).await.unwrap().unwrap().results[0].window();
    let old = reports.open("hourly", window, FileFormat::Csv).await.unwrap().unwrap();
    world.engine.number.store(123_456, Ordering::SeqCst);
    reports.make("hourly", window).await.unwrap();
    assert_eq!(hex(&old.read(0).await.unwrap()), old.facts().sha256);
    let new = reports.open("hourly", window, FileFormat::Csv).await.unwrap().unwrap();
    assert_ne!(new.facts(), old.facts());
    assert_eq!(hex(&new.read(0).await.unwrap()), new.facts().sha256);
}

#[tokio::test]
async fn so_many_results_are_kept() {
    let mut world = World::new();
    (world.settings.windows_kept, world.settings.catch_up) = (2, 2);
    let reports = world.hourly();
    for _ in 0..4 {
        make_all(&reports).await;
        world.clock.advance(HOUR);
    }
    assert_eq!(made(&reports, "hourly").await, ["1200", "1100"]);
    assert_eq!(world.files("hourly").len(), 2 * 3 + 1);
    assert_eq!(made(&world.hourly(), "hourly").await, ["1200", "1100"]);
}

#[tokio::test]
async fn a_result_that_is_too_large_fails_and_leaves_nothing() {
    let mut world = World::new();
    world.settings.result_bytes = 20;
    let reports = world.hourly();
    make_all(&reports).await;
    let failure = status(&reports, "hourly").await.failure.unwrap();
    assert!(failure.error.starts_with("the result has more than 20 bytes; "), "{failure:?}");
    assert_eq!(
        (world.files("hourly"), names(&world.results().join(".drafts"))),
        (vec!["seen.json".to_owned()], vec![])
    );
}

#[tokio::test]
async fn what_was_taken_out_of_the_folder_is_made_again_and_what_is_not_ours_is_left_alone() {
    let world = World::new();
    make_all(&world.hourly()).await;
    let folder = world.results().join("hourly");
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    std::fs::write(folder.join("19720927T0800Z.csv"), "left by a removal").unwrap();
    std::fs::remove_file(folder.join("19720927T0900Z.parquet")).unwrap();
    let reports = world.hourly();
    assert_eq!(made(&reports, "hourly").await, [""; 0]);
    assert_eq!(make_all(&reports).await, 1);
    assert_eq!(made(&reports, "hourly").await, ["0900"]);
    assert_eq!(
        world.files("hourly"),
        ["19720927T0900Z.csv", "19720927T0900Z.json", "19720927T0900Z.parquet", "notes.txt", "seen.json"]
    );
}

#[tokio::test]
async fn results_outlive_their_report_and_say_so() {
    let world = World::new();
    make_all(&world.hourly()).await;
    let reports = world.open(Vec::new()).unwrap();
    let status = status(&reports, "hourly").await;
    assert_eq!((status.kept, status.next_run), (1, None));
    assert_eq!(
        status.broken.as_deref(),
        Some("there is no file `hourly.sql` any more; its results stay until their folder is removed")
    );
    assert_eq!(made(&reports, "hourly").await, ["0900"]);
    assert_eq!(reports.results("none", None, 1).await.unwrap(), None);
}
