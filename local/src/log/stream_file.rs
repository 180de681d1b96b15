//! The small file that says how many shards a log has.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::LogError;
use super::format::VERSION;
use crate::disk::{Disk, EntryKind};

const NAME: &str = "log.json";
const UNFINISHED_NAME: &str = "log.json.new";
/// More than any such file has.
const MOST_BYTES: u64 = 4096;

#[derive(Serialize, Deserialize)]
struct StreamFile {
    version: u32,
    shards: u32,
}

/// How many shards the log in `folder` has; `None`: there is no log.
pub(super) fn shards_in(disk: &dyn Disk, folder: &Path) -> Result<Option<u32>, LogError> {
    let path = folder.join(NAME);
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("open", &path)(error)),
    };
    let length = file.len_bytes().map_err(LogError::io("measure", &path))?;
    let mut bytes = vec![0; length.min(MOST_BYTES) as usize];
    file.read_at(0, &mut bytes).map_err(LogError::io("read", &path))?;
    let found: StreamFile = serde_json::from_slice(&bytes)
        .map_err(|error| LogError::damaged(&path, 0, format!("it should say how many shards the log has ({error})")))?;
    if found.version > VERSION {
        return Err(LogError::Version { path, found: found.version, known: VERSION });
    }
    Ok(Some(found.shards))
}

/// Checks that the log in `folder` has this many shards, or notes it in a new one.
pub(super) fn check_or_make(disk: &dyn Disk, folder: &Path, shards: u32) -> Result<(), LogError> {
    match shards_in(disk, folder)? {
        None => make(disk, folder, shards),
        Some(found) if found == shards => Ok(()),
        Some(found) => Err(LogError::Shards { path: folder.to_owned(), found, asked: shards }),
    }
}

fn make(disk: &dyn Disk, folder: &Path, shards: u32) -> Result<(), LogError> {
    let entries = disk.list(folder).map_err(LogError::io("list", folder))?;
    if entries.iter().any(|entry| entry.kind == EntryKind::Folder) {
        return Err(LogError::damaged(&folder.join(NAME), 0, "it is missing, although the log has shards"));
    }
    let (unfinished, path) = (folder.join(UNFINISHED_NAME), folder.join(NAME));
    let bytes = serde_json::to_vec(&StreamFile { version: VERSION, shards }).expect("two numbers are JSON");
    let made = || {
        match disk.remove(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.create(&unfinished)?;
        file.write_at(0, &bytes)?;
        file.sync()?;
        disk.rename(&unfinished, &path)?;
        disk.sync_folder(folder)
    };
    made().map_err(LogError::io("make", &path))
}
