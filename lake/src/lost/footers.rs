//! What data files say of their batches, and the message that is made of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use alluvium_core::clock::Micros;
use alluvium_core::footer::{BATCH_KEY, SCHEMA_KEY, STATS_KEY};
use alluvium_core::{BatchFooter, BatchFooterError, BatchIdentity, CommitMessage, DataFileEntry};
use bytes::Bytes;
use futures::future::try_join_all;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt as _};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, PageIndexPolicy, ParquetMetaDataReader};

use super::files::Found;
use super::report::LostOutcome;
use crate::error::{LakeError, Result};
use crate::message::check;
use crate::reader::LakeReader;

/// How much of a file's end is read at first: all of a usual footer.
const END_BYTES: u64 = 64 * 1024;
/// The largest footer that is read.
const MAX_FOOTER_BYTES: u64 = 256 * 1024 * 1024;

/// The footer of one file.
#[derive(Debug)]
pub(super) enum Read {
    Told(Box<Told>),
    Older,
    Damaged(String),
    /// It is not there any more.
    Gone,
}

/// What a file says.
#[derive(Debug)]
pub(super) struct Told {
    batch: BatchFooter,
    file: DataFileEntry,
    written_at: Micros,
}

/// What the footers of a batch's files come to.
#[derive(Debug)]
pub(super) enum Whole {
    Message(CommitMessage),
    Not(LostOutcome),
}

impl Read {
    /// What it says of its batch.
    pub(super) fn batch(&self) -> Option<&BatchFooter> {
        match self {
            Self::Told(told) => Some(&told.batch),
            _ => None,
        }
    }
}

/// Reads the footers of these files, in their order.
pub(super) async fn read_all(reader: &LakeReader, files: &[Found]) -> Result<Vec<Read>> {
    // Collected, so that whoever recovers may do so on another thread.
    let reads: Vec<_> = files.iter().map(|file| read(reader, file)).collect();
    try_join_all(reads).await
}

async fn read(reader: &LakeReader, file: &Found) -> Result<Read> {
    let mut wanted = END_BYTES.min(file.size_bytes);
    loop {
        let Some(end) = end_of(reader, file, wanted).await? else { return Ok(Read::Gone) };
        let mut footer = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Skip);
        match footer.try_parse_sized(&end, file.size_bytes).and_then(|()| footer.finish()) {
            Ok(metadata) => return Ok(told(file, metadata.file_metadata())),
            Err(ParquetError::NeedMoreData(needed)) if is_more(needed as u64, wanted, file) => wanted = needed as u64,
            Err(error) => return Ok(Read::Damaged(format!("{} is no whole Parquet file: {error}", file.path))),
        }
    }
}

fn is_more(needed: u64, wanted: u64, file: &Found) -> bool {
    needed > wanted && needed <= file.size_bytes.min(MAX_FOOTER_BYTES)
}

/// The last bytes of a file; `None`: it is gone.
async fn end_of(reader: &LakeReader, file: &Found, bytes: u64) -> Result<Option<Bytes>> {
    if bytes == 0 {
        return Ok(Some(Bytes::new()));
    }
    let range = file.size_bytes - bytes..file.size_bytes;
    match reader.store().get_range(&Path::from(file.path.as_str()), range).await {
        Ok(end) => Ok(Some(end)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(source) => {
            let path = format!("{}/{}", reader.root(), file.path);
            Err(LakeError::Store { doing: "read the end of", path, source })
        }
    }
}

fn told(file: &Found, about: &FileMetaData) -> Read {
    let pairs = about.key_value_metadata().map_or(&[][..], Vec::as_slice);
    let said = |key| pairs.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
    let (Some(batch), Some(schema)) = (said(BATCH_KEY), said(SCHEMA_KEY)) else {
        return Read::Damaged(format!("{} says nothing of a batch; another program wrote it", file.path));
    };
    let batch = match BatchFooter::decode(&batch) {
        Ok(batch) => batch,
        Err(BatchFooterError::Older) => return Read::Older,
        Err(error) => return Read::Damaged(format!("{}: {error}", file.path)),
    };
    let (Some(stats), Ok(rows)) = (said(STATS_KEY), u64::try_from(about.num_rows())) else {
        return Read::Damaged(format!("{} lacks its statistics", file.path));
    };
    let (dataset, path, size_bytes) = (file.table.clone(), file.path.clone(), file.size_bytes);
    let entry = DataFileEntry { dataset, path, size_bytes, rows, stats, schema };
    Read::Told(Box::new(Told { batch, file: entry, written_at: file.written_at }))
}

/// The message that a batch had. `wanted` are the paths of its files, sorted, where they are known: tables have some of them already.
///
/// Where several releases have left files, those are taken that say the same of the batch, of each table the one that was written last.
pub(super) fn whole(batch: &BatchIdentity, read: Vec<Read>, wanted: Option<&[String]>) -> Whole {
    let mut alike: BTreeMap<String, Vec<Told>> = BTreeMap::new();
    let mut unread = None;
    for read in read {
        match read {
            Read::Told(told) if wanted.is_none_or(|wanted| wanted.contains(&told.file.path)) => {
                alike.entry(told.batch.encode()).or_default().push(*told);
            }
            Read::Damaged(problem) => unread = Some(LostOutcome::Damaged { problem }),
            Read::Older => unread = unread.or(Some(LostOutcome::OlderRelease)),
            Read::Told(_) | Read::Gone => {}
        }
    }
    let mut alike: Vec<Vec<Told>> = alike.into_values().collect();
    alike.iter_mut().for_each(|told| told.sort_by_key(|told| Reverse(told.written_at)));
    alike.sort_by_key(|told| Reverse(told.first().map(|newest| newest.written_at)));
    let mut missing = None;
    for told in alike {
        let footer = told[0].batch.clone();
        match files_of(&footer, told) {
            Ok(files) => return message(batch, &footer, files, wanted),
            Err(tables) => missing = missing.or(Some(LostOutcome::FileMissing { tables })),
        }
    }
    // A file that cannot be read is not missing.
    let nothing =
        || LostOutcome::FileMissing { tables: wanted.unwrap_or_default().iter().map(|path| table_of(path)).collect() };
    Whole::Not(unread.or(missing).unwrap_or_else(nothing))
}

/// The first file of each table that has one; else the tables whose file is missing.
fn files_of(footer: &BatchFooter, told: Vec<Told>) -> std::result::Result<Vec<DataFileEntry>, Vec<String>> {
    let mut by_table: BTreeMap<String, DataFileEntry> = BTreeMap::new();
    for Told { file, .. } in told {
        by_table.entry(file.dataset.clone()).or_insert(file);
    }
    let missing: Vec<String> = footer.files.iter().filter(|table| !by_table.contains_key(*table)).cloned().collect();
    if missing.is_empty() { Ok(by_table.into_values().collect()) } else { Err(missing) }
}

fn message(batch: &BatchIdentity, footer: &BatchFooter, files: Vec<DataFileEntry>, wanted: Option<&[String]>) -> Whole {
    let damaged = |problem| Whole::Not(LostOutcome::Damaged { problem });
    if footer.batch != *batch {
        return damaged(format!("its files say that they are of batch {}", footer.batch));
    }
    if let Some(wanted) = wanted
        && !files.iter().map(|file| &file.path).eq(wanted)
    {
        let missing = wanted.iter().filter(|path| files.iter().all(|file| file.path != **path));
        return Whole::Not(LostOutcome::FileMissing { tables: missing.map(|path| table_of(path)).collect() });
    }
    let message = footer.message(files);
    match check(&message) {
        Ok(()) => Whole::Message(message),
        Err(error) => damaged(error.to_string()),
    }
}

fn table_of(path: &str) -> String {
    path.split_once('/').map_or(path, |(table, _)| table).to_owned()
}
