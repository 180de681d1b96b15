use std::fs;

use super::*;
use crate::producer::ProducerSettings;
use crate::producer::memory_destination::MemoryDestination;

const HEADER_BYTES: usize = frame::HEADER.len();

fn spilled(n: usize) -> SpilledRecord {
    let explicit_hash_key = n.is_multiple_of(3).then_some(n as u128);
    SpilledRecord { partition_key: format!("key-{n}"), explicit_hash_key, data: format!("data {n}").into() }
}

fn frames(numbers: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    numbers.map(|n| frame::encode(&spilled(n).as_user_record())).collect()
}

fn settings(folder: &tempfile::TempDir) -> SpillSettings {
    SpillSettings { segment_bytes: 200, ..SpillSettings::at(folder.path()) }
}

fn read_all(folder: &mut Folder) -> Vec<SpilledRecord> {
    std::iter::from_fn(|| Some(folder.read(64).unwrap()).filter(|records| !records.is_empty())).flatten().collect()
}

fn files(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn records_come_back_in_order_also_after_a_restart_and_go_when_they_are_settled() {
    let at = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(settings(&at)).unwrap();
    (0..10).for_each(|n| folder.append(&frames(n * 3..n * 3 + 3)).unwrap());
    assert!(files(&at).len() > 2);
    let all: Vec<_> = (0..30).map(spilled).collect();
    assert_eq!(read_all(&mut folder)[..], all);
    drop(folder);
    let mut folder = Folder::open(settings(&at)).unwrap();
    assert_eq!(folder.records(), 30);
    folder.append(&frames(30..31)).unwrap();
    assert_eq!(read_all(&mut folder).len(), 31);
    folder.release().unwrap();
    assert_eq!((folder.records(), files(&at).len()), (0, 0));
    folder.append(&frames(31..32)).unwrap();
    assert_eq!(read_all(&mut folder), [spilled(31)]);
}

#[test]
fn only_segments_that_were_read_whole_are_deleted() {
    let at = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(settings(&at)).unwrap();
    (0..20).for_each(|n| folder.append(&frames(n..n + 1)).unwrap());
    let read = folder.read(64).unwrap().len();
    folder.release().unwrap();
    assert_eq!(folder.records(), 20);
    let rest = read_all(&mut folder);
    assert_eq!((read + rest.len(), rest[0].clone()), (20, spilled(read)));
}

#[test]
fn an_end_that_was_half_written_is_cut_off_wherever_it_was() {
    let at = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(SpillSettings::at(at.path())).unwrap();
    folder.append(&frames(0..3)).unwrap();
    drop(folder);
    let file = files(&at).remove(0);
    let content = fs::read(&file).unwrap();
    let last = frames(2..3)[0].len();
    for length in 0..content.len() {
        fs::write(&file, &content[..length]).unwrap();
        let mut folder = Folder::open(SpillSettings::at(at.path())).unwrap();
        let whole = read_all(&mut folder);
        assert!(whole.len() < 3 && (0..whole.len()).all(|n| whole[n] == spilled(n)), "{length}");
        assert!(length < content.len() - last || whole.len() == 2, "{length}");
        folder.append(&frames(7..8)).unwrap();
        assert_eq!(read_all(&mut folder), [spilled(7)], "{length}");
        files(&at).into_iter().for_each(|file| fs::remove_file(file).unwrap());
    }
}

#[test]
fn a_folder_that_is_damaged_or_of_another_release_is_refused_by_name() {
    let at = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(settings(&at)).unwrap();
    (0..20).for_each(|n| folder.append(&frames(n..n + 1)).unwrap());
    drop(folder);
    let first = files(&at).remove(0);
    let content = fs::read(&first).unwrap();
    let mut damaged = content.clone();
    damaged[40] ^= 1;
    fs::write(&first, damaged).unwrap();
    assert!(matches!(Folder::open(settings(&at)), Err(SpillError::Damaged { path, .. }) if path == first));
    let mut newer = content;
    newer[7] = 2;
    fs::write(&first, newer).unwrap();
    assert!(matches!(Folder::open(settings(&at)), Err(SpillError::Format { path }) if path == first));
}

#[test]
fn a_segment_that_cannot_be_begun_leaves_the_one_before_as_it_is() {
    let at = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(SpillSettings { segment_bytes: 1, ..settings(&at) }).unwrap();
    folder.append(&frames(0..3)).unwrap();
    let in_the_way = at.path().join(format!("{:020}.spill", 1));
    fs::create_dir(&in_the_way).unwrap();
    assert!(matches!(folder.append(&frames(3..4)), Err(SpillError::Io { .. })));
    assert_eq!(read_all(&mut folder), (0..3).map(spilled).collect::<Vec<_>>());
    fs::remove_dir(&in_the_way).unwrap();
    folder.append(&frames(4..5)).unwrap();
    assert_eq!(read_all(&mut folder), [spilled(4)]);
}

#[test]
fn an_end_that_cannot_be_read_is_put_aside() {
    let at = tempfile::tempdir().unwrap();
    let mut folder = Folder::open(SpillSettings::at(at.path())).unwrap();
    folder.append(&frames(0..3)).unwrap();
    drop(folder);
    let file = files(&at).remove(0);
    let mut content = fs::read(&file).unwrap();
    let first = HEADER_BYTES + frames(0..1)[0].len();
    content[first + 10] ^= 1;
    fs::write(&file, &content).unwrap();
    let mut folder = Folder::open(SpillSettings::at(at.path())).unwrap();
    assert_eq!(read_all(&mut folder), [spilled(0)]);
    assert_eq!(fs::read(file.with_extension("cut")).unwrap(), content[first..]);
}

#[test]
fn a_full_folder_takes_nothing_and_keeps_what_it_has() {
    let at = tempfile::tempdir().unwrap();
    let settings = SpillSettings { max_bytes: 300, ..settings(&at) };
    let mut folder = Folder::open(settings).unwrap();
    let taken = (0..100).take_while(|n| folder.append(&frames(*n..n + 1)).is_ok()).count();
    assert!((3..12).contains(&taken), "{taken}");
    assert_eq!(read_all(&mut folder).len(), taken);
    folder.release().unwrap();
    folder.append(&frames(0..1)).unwrap();
}

fn producer(kept: &Arc<MemoryDestination>) -> Producer {
    let ms = Duration::from_millis;
    let settings = ProducerSettings {
        aggregation: crate::producer::Aggregation::NdjsonZstd,
        linger: ms(1),
        first_pause: ms(1),
        longest_pause: ms(5),
        record_time_to_live: ms(50),
        ..ProducerSettings::default()
    };
    Producer::start(kept.clone(), settings).unwrap()
}

#[tokio::test]
async fn while_the_destination_is_away_records_are_spilled_and_come_back_after_a_restart() {
    let at = tempfile::tempdir().unwrap();
    let kept = MemoryDestination::open();
    kept.fail_from_now();
    let spilling = SpillingProducer::start(producer(&kept), settings(&at)).await.unwrap();
    // The first finds out that nobody is there.
    let Sent::Taken(first) = spilling.send(UserRecord::new("key", b"lost")).await.unwrap() else { panic!() };
    assert!(first.outcome().await.delivered().is_none());
    for n in 0..100 {
        let data = format!("{n:03}");
        assert!(matches!(spilling.send(UserRecord::new("key", data.as_bytes())).await.unwrap(), Sent::Spilled));
    }
    assert_eq!(spilling.spilled_records(), 100);
    assert!(matches!(spilling.send(UserRecord::new("", b"")).await, Err(SpillError::Send(SendError::Invalid(_)))));
    spilling.close().await;
    kept.fail_no_more();
    let spilling = SpillingProducer::start(producer(&kept), settings(&at)).await.unwrap();
    while spilling.spilled_records() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let expected: Vec<_> = (0..100).map(|n| format!("{n:03}").into_bytes()).collect();
    assert_eq!(kept.data(), expected);
    assert!(matches!(spilling.send(UserRecord::new("key", b"now")).await.unwrap(), Sent::Taken(_)));
    assert_eq!((spilling.close().await.delivered_records, files(&at).len()), (101, 0));
}
