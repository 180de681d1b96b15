//! What opening does to logs that something happened to.

use std::fs;
use std::path::Path;

use super::*;
use crate::log::format::{Frame, SEGMENT_HEADER_BYTES};

/// A log of three groups in one segment, closed, and where each group begins.
async fn three_groups() -> (Bench, Vec<u64>) {
    let bench = Bench::new(small());
    let log = bench.open();
    let mut begins = vec![SEGMENT_HEADER_BYTES as u64];
    for group in 0..3 {
        let records = (0..2).map(|n| record("key", format!("group {group} record {n}"))).collect();
        log.append(PutBatch { records }).await.unwrap();
        begins.push(log.stats().bytes());
    }
    log.close().await;
    (bench, begins)
}

fn records(groups: usize) -> Vec<Vec<u8>> {
    (0..groups).flat_map(|group| (0..2).map(move |n| format!("group {group} record {n}").into_bytes())).collect()
}

fn damage(bench: &Bench) -> String {
    let error = bench.try_open().map(|(_, report)| report).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    error.to_string()
}

fn remove_mark(bench: &Bench) {
    fs::remove_file(bench.shard_path().join("durable")).unwrap();
}

fn overwrite(bench: &mut Bench, path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    bench.rescan();
}

#[tokio::test]
async fn a_flipped_bit_in_what_the_mark_covers_is_refused_wherever_it_is() {
    let (mut bench, _) = three_groups().await;
    let path = bench.segments().remove(0);
    let intact = fs::read(&path).unwrap();
    for index in 0..intact.len() {
        let mut flipped = intact.clone();
        flipped[index] ^= 4;
        overwrite(&mut bench, &path, &flipped);
        let (error, before) = (bench.try_open().map(|_| ()).unwrap_err(), fs::read(&path).unwrap());
        // A version that is not ours is all that a flipped bit can look like besides damage.
        assert!(matches!(error, LogError::Damaged { .. } | LogError::Version { .. }), "byte {index}: {error}");
        assert_eq!(before, flipped, "byte {index}: a refused log was changed");
    }
    overwrite(&mut bench, &path, &intact);
    assert_eq!(held(&bench.open()).await, records(3));
}

#[tokio::test]
async fn without_a_mark_a_flipped_bit_is_refused_in_every_group_but_the_last() {
    let (mut bench, begins) = three_groups().await;
    let path = bench.segments().remove(0);
    let intact = fs::read(&path).unwrap();
    for index in SEGMENT_HEADER_BYTES..intact.len() {
        let mut flipped = intact.clone();
        flipped[index] ^= 4;
        remove_mark(&bench);
        overwrite(&mut bench, &path, &flipped);
        if (index as u64) < begins[2] {
            assert!(damage(&bench).contains("of a later group follows intact"), "byte {index}");
            fs::write(bench.shard_path().join("durable"), b"").unwrap();
        } else {
            let (log, report) = bench.try_open().unwrap();
            let torn = report.shards[0].torn.clone().unwrap();
            assert!(torn.offset >= begins[2] && torn.offset + torn.dropped_bytes == intact.len() as u64);
            assert!(held(&log).await.starts_with(&records(2)), "byte {index}");
        }
    }
}

#[tokio::test]
async fn a_tail_cut_at_any_byte_is_cut_back_to_a_whole_frame_and_reported() {
    let (mut bench, begins) = three_groups().await;
    let path = bench.segments().remove(0);
    let intact = fs::read(&path).unwrap();
    for length in begins[1]..=begins[3] {
        remove_mark(&bench);
        overwrite(&mut bench, &path, &intact[..length as usize]);
        let (log, report) = bench.try_open().unwrap();
        let held = held(&log).await;
        assert!(held.len() >= 2 && records(3).starts_with(&held), "cut at {length}");
        match &report.shards[0].torn {
            None => assert_eq!(log.stats().bytes(), length, "cut at {length}"),
            Some(torn) => assert_eq!((torn.offset + torn.dropped_bytes, torn.offset), (length, log.stats().bytes())),
        }
        let next = held.len() as u64 + 1;
        assert_eq!(put_stored(&log, "next").await, next, "cut at {length}");
        log.close().await;
        drop(log);
        assert_eq!(bench.try_open().unwrap().1.shards[0].torn, None, "cut at {length}, opened again");
    }
}

#[tokio::test]
async fn a_log_that_ends_before_its_mark_is_refused() {
    let (mut bench, begins) = three_groups().await;
    let path = bench.segments().remove(0);
    let intact = fs::read(&path).unwrap();
    for length in [SEGMENT_HEADER_BYTES as u64, begins[1], begins[2], begins[3] - 1] {
        overwrite(&mut bench, &path, &intact[..length as usize]);
        let message = damage(&bench);
        assert!(message.contains("records up to 6 were stored"), "cut at {length}: {message}");
    }
    fs::remove_file(&path).unwrap();
    bench.rescan();
    assert!(damage(&bench).contains("records up to 6 were stored"));
}

#[tokio::test]
async fn a_missing_or_misnamed_segment_is_refused() {
    let mut bench = Bench::new(small());
    let log = bench.open();
    for _ in 0..12 {
        put_stored(&log, vec![b'x'; 500]).await;
    }
    log.close().await;
    let segments = bench.segments();
    assert!(segments.len() >= 4);
    let bytes = fs::read(&segments[1]).unwrap();
    fs::remove_file(&segments[1]).unwrap();
    bench.rescan();
    assert!(damage(&bench).contains("a segment is missing: records 4 to 6"));
    fs::write(&segments[1], fs::read(&segments[2]).unwrap()).unwrap();
    bench.rescan();
    assert!(damage(&bench).contains("under another's name"));
    fs::write(&segments[1], &bytes[..bytes.len() - 1]).unwrap();
    bench.rescan();
    let message = damage(&bench);
    assert!(message.contains("a later segment follows") && message.contains("nothing was changed"), "{message}");
    fs::write(&segments[1], bytes).unwrap();
    fs::write(bench.shard_path().join("7.seg"), b"").unwrap();
    bench.rescan();
    assert!(damage(&bench).contains("called after its first sequence number"));
}

#[tokio::test]
async fn bytes_that_a_sender_chose_do_not_pass_for_frames() {
    let mut bench = Bench::new(small());
    let log = bench.open();
    put_stored(&log, "first").await;
    let before = log.stats().bytes();
    // A frame as it would stand in a later group, if only the sender knew the salt.
    let mut forged = Vec::new();
    Frame { sequence: 3, arrival: 0, place: 0, key: "key", data: b"forged" }.encode(0, &mut forged);
    put_stored(&log, forged.repeat(3)).await;
    log.close().await;
    let path = bench.segments().remove(0);
    let bytes = fs::read(&path).unwrap();
    remove_mark(&bench);
    overwrite(&mut bench, &path, &bytes[..bytes.len() - 5]);
    let (log, report) = bench.try_open().unwrap();
    assert_eq!(report.shards[0].torn.as_ref().map(|torn| torn.offset), Some(before));
    assert_eq!(held(&log).await, [b"first"]);
}

#[tokio::test]
async fn what_a_killed_process_wrote_and_did_not_sync_is_durable_once_it_was_read() {
    let (mut bench, _) = three_groups().await;
    let path = bench.segments().remove(0);
    let intact = fs::read(&path).unwrap();
    let salt = u32::from_le_bytes(intact[32..36].try_into().unwrap());
    let mut frame = Vec::new();
    Frame { sequence: 7, arrival: 1_000_000, place: 0, key: "key", data: b"unsynced" }.encode(salt, &mut frame);
    bench.disk.open(&path).unwrap().write_at(intact.len() as u64, &frame).unwrap();
    let log = bench.open();
    assert_eq!(held(&log).await[6..], [b"unsynced"]);
    bench.lose_power(Loss::Everything);
    drop(log);
    assert_eq!(held(&bench.open()).await[6..], [b"unsynced"]);
}

/// After the failed sync the system shows a header that the disk never got, and counts it as written.
#[tokio::test]
async fn a_segment_whose_first_sync_failed_is_made_durable_when_the_log_is_opened_anew() {
    let mut bench = Bench::new(small());
    let log = bench.open();
    for n in 0..3 {
        put_stored(&log, vec![n; 500]).await;
    }
    bench.disk.fail_syncs(1);
    failure(&log, &"x".repeat(500)).await;
    assert_eq!(bench.segments().len(), 2, "the sync that failed was that of a new segment");
    log.close().await;
    drop(log);
    let log = bench.open();
    assert_eq!(put_stored(&log, vec![3; 500]).await, 4);
    bench.lose_power(Loss::Everything);
    drop(log);
    assert_eq!(held(&bench.open()).await, [0, 1, 2, 3].map(|n| vec![n; 500]));
}

#[tokio::test]
async fn a_segment_that_found_no_room_does_not_come_back_beside_the_one_that_went_on() {
    for seed in 0..32 {
        let mut bench = Bench::new(small());
        let log = bench.open();
        for _ in 0..3 {
            put_stored(&log, vec![b'x'; 500]).await;
        }
        bench.disk.set_room_bytes(Some(10));
        assert!(failure(&log, &"y".repeat(500)).await.contains("cannot start the segment"));
        bench.disk.set_room_bytes(None);
        put_stored(&log, "small enough for the segment before").await;
        bench.lose_power(Loss::Some { seed });
        drop(log);
        assert_eq!(held(&bench.open()).await.len(), 4, "seed {seed}");
    }
}

#[tokio::test]
async fn another_number_of_shards_is_refused_with_the_way_out() {
    let mut bench = Bench::new(LogSettings { shards: 2, ..small() });
    bench.open().close().await;
    bench.settings.shards = 3;
    let message = bench.try_open().map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("set the number of shards to 2"), "{message}");
    fs::remove_file(bench.path().join("log.json")).unwrap();
    bench.rescan();
    assert!(damage(&bench).contains("it is missing, although the log has shards"));
}

/// Stops the world after each single change in turn, and then loses power in many ways.
#[tokio::test]
async fn the_power_may_go_at_any_step() {
    for steps in 0..60 {
        for seed in 0..6 {
            let mut bench = Bench::new(small());
            bench.disk.cut_power_after(steps);
            let mut acknowledged = Vec::new();
            if let Ok((log, _)) = bench.try_open() {
                for n in 0..10 {
                    let data = format!("{n} {}", "x".repeat(400)).into_bytes();
                    if let PutVerdict::Stored { .. } = put(&log, data.clone()).await {
                        acknowledged.push(data);
                    }
                }
            }
            bench.lose_power(if seed == 0 { Loss::Everything } else { Loss::Some { seed } });
            let log = bench.try_open().unwrap_or_else(|error| panic!("{steps} steps, seed {seed}: {error}")).0;
            assert!(held(&log).await.starts_with(&acknowledged), "{steps} steps, seed {seed}");
        }
    }
}
