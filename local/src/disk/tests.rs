#![allow(clippy::unwrap_used)]

use std::fs;

use super::lossy::{Loss, LossyDisk};
use super::*;

fn lossy() -> (tempfile::TempDir, LossyDisk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = LossyDisk::over(folder.path()).unwrap();
    (folder, disk)
}

#[test]
fn what_was_not_synced_is_gone() {
    let (folder, disk) = lossy();
    let path = folder.path().join("a");
    let file = disk.create(&path).unwrap();
    file.write_at(0, b"synced").unwrap();
    file.sync().unwrap();
    disk.sync_folder(folder.path()).unwrap();
    file.write_at(6, b" and not").unwrap();
    disk.create(&folder.path().join("b")).unwrap();
    disk.power_loss(Loss::Everything).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"synced");
    assert!(!folder.path().join("b").exists());
    assert!(file.write_at(0, b"x").is_err(), "a file opened before the cut is dead");
}

#[test]
fn a_synced_file_without_a_synced_name_is_gone() {
    let (folder, disk) = lossy();
    let file = disk.create(&folder.path().join("a")).unwrap();
    file.write_at(0, b"bytes").unwrap();
    file.sync().unwrap();
    disk.power_loss(Loss::Everything).unwrap();
    assert!(!folder.path().join("a").exists());
}

#[test]
fn an_unsynced_rename_and_removal_are_undone() {
    let (folder, disk) = lossy();
    let [a, b, c] = ["a", "b", "c"].map(|name| folder.path().join(name));
    for path in [&a, &b] {
        let file = disk.create(path).unwrap();
        file.write_at(0, path.file_name().unwrap().as_encoded_bytes()).unwrap();
        file.sync().unwrap();
    }
    disk.sync_folder(folder.path()).unwrap();
    disk.rename(&a, &c).unwrap();
    disk.remove(&b).unwrap();
    disk.power_loss(Loss::Everything).unwrap();
    assert_eq!((fs::read(&a).unwrap(), fs::read(&b).unwrap()), (b"a".to_vec(), b"b".to_vec()));
    assert!(!c.exists());
}

#[test]
fn a_name_in_a_folder_that_was_not_synced_itself_is_gone() {
    let (folder, disk) = lossy();
    let inner = folder.path().join("inner");
    disk.create_folder(&inner).unwrap();
    disk.create(&inner.join("a")).unwrap();
    disk.sync_folder(&inner).unwrap();
    disk.power_loss(Loss::Everything).unwrap();
    assert!(!inner.exists());
}

#[test]
fn a_partial_loss_keeps_what_was_synced_whatever_the_seed() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let (folder, disk) = lossy();
        let path = folder.path().join("a");
        let file = disk.create(&path).unwrap();
        file.write_at(0, &[1; 700]).unwrap();
        file.sync().unwrap();
        disk.sync_folder(folder.path()).unwrap();
        file.write_at(700, &[2; 2000]).unwrap();
        disk.create(&folder.path().join("b")).unwrap();
        disk.power_loss(Loss::Some { seed }).unwrap();
        let left = fs::read(&path).unwrap();
        assert_eq!(left[..700], [1; 700], "seed {seed}");
        outcomes.insert((left, folder.path().join("b").exists()));
    }
    assert!(outcomes.len() > 32, "seeds hardly differ: {}", outcomes.len());
}

#[test]
fn a_full_disk_takes_what_fits_and_says_so() {
    let (folder, disk) = lossy();
    let file = disk.create(&folder.path().join("a")).unwrap();
    disk.set_room_bytes(Some(3));
    let refused = file.write_at(0, b"12345").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.len_bytes().unwrap(), 3);
    disk.set_room_bytes(None);
    file.write_at(0, b"12345").unwrap();
}

#[test]
fn bytes_of_a_failed_sync_stay_lost_after_one_that_succeeds() {
    let (folder, disk) = lossy();
    let file = disk.create(&folder.path().join("a")).unwrap();
    disk.sync_folder(folder.path()).unwrap();
    file.write_at(0, b"lost").unwrap();
    disk.fail_syncs(1);
    assert!(file.sync().is_err());
    file.write_at(4, b"kept").unwrap();
    file.sync().unwrap();
    disk.power_loss(Loss::Everything).unwrap();
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"\0\0\0\0kept");
}

#[test]
fn the_power_goes_after_as_many_changes_as_it_was_told() {
    let (folder, disk) = lossy();
    disk.cut_power_after(2);
    let file = disk.create(&folder.path().join("a")).unwrap();
    file.write_at(0, b"1").unwrap();
    assert!(file.write_at(1, b"2").is_err());
    assert!(disk.list(folder.path()).is_err());
}

#[test]
fn the_real_disk_links_only_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    RealDisk.create(&a).unwrap().write_at(0, b"a").unwrap();
    RealDisk.hard_link(&a, &b).unwrap();
    assert_eq!(RealDisk.hard_link(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(RealDisk.create(&a).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let names: Vec<_> =
        RealDisk.list(folder.path()).unwrap().iter().map(|entry| entry.name().unwrap().to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
}
