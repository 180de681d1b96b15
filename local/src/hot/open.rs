//! Opening the index file, whatever state a dead process left it in.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::{Database, Durability};

use super::error::HotIndexError;
use super::{CHUNKS, COMPLETE_SINCE, EXPIRY, write};

const FILE: &str = "index.redb";
/// Where a damaged file is kept: the newest one only, so that damage cannot fill the disk.
const DAMAGED: &str = "index.damaged";

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

pub(super) fn open(dir: &Path, cache_bytes: usize) -> Result<(Database, Opened), HotIndexError> {
    std::fs::create_dir_all(dir).map_err(io("make the folder", dir))?;
    let file = dir.join(FILE);
    let found = file.try_exists().map_err(io("look for", &file))?;
    match try_open(&file, cache_bytes) {
        Ok(database) => Ok((database, if found { Opened::Existing } else { Opened::New })),
        Err(Failed::Refused(error)) => Err(error),
        Err(Failed::Damaged(why)) => {
            let kept = dir.join(DAMAGED);
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
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = Database::builder().set_cache_size(cache_bytes).create(file)?;
        make_tables(&database)?;
        Ok(database)
    }));
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

/// Makes the tables where they are missing, so that readers always find them.
fn make_tables(database: &Database) -> Result<(), HotIndexError> {
    write(database, Durability::Immediate, |transaction| {
        transaction.open_table(CHUNKS)?;
        transaction.open_table(EXPIRY)?;
        transaction.open_table(COMPLETE_SINCE)?;
        Ok(())
    })
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> HotIndexError {
    let path = path.display().to_string();
    move |source| HotIndexError::Io { doing, path, source }
}
