//! Opening the index file, whatever state a dead process left it in.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use alluvium_core::clock::Micros;
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableHandle as _};

use super::error::HotIndexError;
use super::{BLOCKS, CHUNKS, COMPLETE_SINCE, EXPIRY, LAST_PUT, NAMES, PUTS, write};

/// The files of an index.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) dir: PathBuf,
    /// What redb keeps of a file in memory.
    pub(super) cache_bytes: usize,
}

impl Files {
    pub(super) fn index(&self) -> PathBuf {
        self.dir.join("index.redb")
    }

    /// Where a damaged file is kept: the newest one only, so that damage cannot fill the disk.
    pub(super) fn damaged(&self) -> PathBuf {
        self.dir.join("index.damaged")
    }

    /// Where the index is written anew.
    pub(super) fn draft(&self) -> PathBuf {
        self.dir.join("index.new")
    }
}

/// What was found when an index was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Nothing: the index is new, and empty.
    New,
    /// An index; if its last process had died, redb has taken it back to the last flush.
    Existing,
    /// A file that cannot be an index any more. It was moved to `kept`, and the index is new, and empty.
    SetAside {
        /// Where the file is now.
        kept: PathBuf,
        /// What was wrong with it.
        why: String,
    },
}

pub(super) fn open(files: &Files) -> Result<(Database, Opened), HotIndexError> {
    let Files { dir, cache_bytes } = files;
    let cache_bytes = *cache_bytes;
    std::fs::create_dir_all(dir).map_err(io("make the folder", dir))?;
    // Left by one that was killed.
    remove(&files.draft())?;
    let file = files.index();
    let found = file.try_exists().map_err(io("look for", &file))?;
    match try_open(&file, cache_bytes) {
        Ok(database) => Ok((database, if found { Opened::Existing } else { Opened::New })),
        Err(Failed::Refused(error)) => Err(error),
        Err(Failed::Damaged(why)) => {
            let kept = files.damaged();
            std::fs::rename(&file, &kept).map_err(io("set aside the damaged", &file))?;
            match try_open(&file, cache_bytes) {
                Ok(database) => Ok((database, Opened::SetAside { kept, why })),
                Err(Failed::Refused(error)) => Err(error),
                Err(Failed::Damaged(_)) => Err(HotIndexError::Damaged("a new index file")),
            }
        }
    }
}

enum Failed {
    Refused(HotIndexError),
    Damaged(String),
}

fn try_open(file: &Path, cache_bytes: usize) -> Result<Database, Failed> {
    // redb asserts what it reads, and a file can be damaged so that an assertion fails.
    let opened = catch_unwind(AssertUnwindSafe(|| create(file, cache_bytes)));
    let error = match opened {
        Ok(Ok(database)) => return Ok(database),
        Ok(Err(error)) => error,
        Err(_) => return Err(Failed::Damaged("redb hit a broken invariant in it".to_owned())),
    };
    Err(match error {
        HotIndexError::Redb(redb::Error::DatabaseAlreadyOpen) => {
            Failed::Refused(HotIndexError::InUse(file.display().to_string()))
        }
        // What is too short or begins wrongly comes as an I/O error of these kinds.
        HotIndexError::Redb(redb::Error::Io(source))
            if !matches!(source.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
        {
            Failed::Refused(io("open", file)(source))
        }
        other => Failed::Damaged(other.to_string()),
    })
}

/// Opens a file, which is made if it is missing, with the tables of an index.
pub(super) fn create(file: &Path, cache_bytes: usize) -> Result<Database, HotIndexError> {
    let database = Database::builder().set_cache_size(cache_bytes).create(file)?;
    make_tables(&database)?;
    Ok(database)
}

/// Removes a file, which need not be there.
pub(super) fn remove(file: &Path) -> Result<(), HotIndexError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io("remove", file)(error)),
        _ => Ok(()),
    }
}

/// Makes durable what was renamed in a folder.
pub(super) fn sync(dir: &Path) -> Result<(), HotIndexError> {
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync", dir))
}

/// The tables of an index whose chunks this release does not read.
const BEFORE: [&str; 2] = ["chunks.v1", "chunks.v2"];

/// Makes the tables where they are missing, so that readers always find them.
fn make_tables(database: &Database) -> Result<(), HotIndexError> {
    write(database, Durability::Immediate, |transaction| {
        if transaction.list_tables()?.any(|table| BEFORE.contains(&table.name())) {
            return Err(HotIndexError::Before);
        }
        transaction.open_table(EXPIRY)?;
        transaction.open_table(PUTS)?;
        transaction.open_table(LAST_PUT)?;
        transaction.open_table(COMPLETE_SINCE)?;
        transaction.open_table(CHUNKS)?;
        transaction.open_table(BLOCKS)?;
        transaction.open_table(NAMES)?;
        Ok(())
    })
}

/// The marks that a file has.
pub(super) fn marks(database: &Database) -> Result<HashMap<String, Micros>, HotIndexError> {
    let marks = database.begin_read()?.open_table(COMPLETE_SINCE)?;
    let marks = marks.iter()?.map(|entry| entry.map(|(dataset, since)| (dataset.value().to_owned(), since.value())));
    Ok(marks.collect::<Result<_, _>>()?)
}

pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> HotIndexError {
    let path = path.display().to_string();
    move |source| HotIndexError::Io { doing, path, source }
}
