//! From sorted rows to files in the store, cut at dates.

use std::sync::mpsc::sync_channel;

use alluvium_core::{DataFileFormat, DataFileWriter, IndexEntry};
use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::keys;
use super::sorter::Merge;
use super::{Result, Unsorted};
use crate::contents::Contents;
use crate::error::{LakeError, Result as LakeResult};
use crate::filter::{self, KeyFilter, KeyNumber};
use crate::log::TableLog;
use crate::rewrite::NewFile;
use crate::upkeep::Upkeep;

/// The rows of a row group.
const ROW_GROUP_ROWS: usize = 128 * 1024;

/// What becomes of a file, piece by piece.
enum Piece {
    Begin(String),
    Bytes(Bytes),
    End(NewFile, IndexEntry),
    /// Its key filter, if one could be made.
    Filter(String, Bytes),
}

/// Where files are cut.
#[derive(Debug, Clone, Copy)]
struct Cuts {
    /// A file ends when it has so many bytes,
    target_bytes: u64,
    /// or at a date when it has about so many.
    cut_bytes: u64,
    /// What rows take, by what those took that were read.
    rows_per_byte: f64,
}

impl Cuts {
    fn ends_at_a_date(&self, rows: usize) -> bool {
        rows as f64 / self.rows_per_byte >= self.cut_bytes as f64
    }
}

/// Rows for the file that is being written.
struct RowGroup {
    rows: RecordBatch,
    /// Whether they are its last, for those that follow are of other dates.
    ends_file: bool,
}

/// Writes the rows as files of a table.
pub(super) async fn write(
    upkeep: &Upkeep,
    log: &TableLog,
    work: &str,
    merge: Merge,
    rows_per_byte: f64,
) -> LakeResult<Vec<NewFile>> {
    let compact = &upkeep.settings.compact;
    let cuts = Cuts { target_bytes: compact.target_bytes, cut_bytes: compact.cut_bytes(), rows_per_byte };
    let (sender, pieces) = mpsc::channel(2);
    let (table, work, format) = (log.name().to_owned(), work.to_owned(), upkeep.format.clone());
    let encoding = tokio::task::spawn_blocking(move || encode(&*format, &table, &work, merge, cuts, &sender));
    let uploaded = upload(log, pieces).await;
    let encoded = encoding.await.map_err(Unsorted::from).and_then(|encoded| encoded);
    // Why the upload ended is what was to be said, not that it did.
    let (files, entries) = uploaded?;
    encoded.map_err(LakeError::upkeep("write sorted rows", log.name()))?;
    upkeep.index(entries).await?;
    Ok(files)
}

/// Merges on one thread and encodes on another.
fn encode(
    format: &dyn DataFileFormat,
    table: &str,
    work: &str,
    mut merge: Merge,
    cuts: Cuts,
    pieces: &mpsc::Sender<Piece>,
) -> Result<()> {
    let (sender, row_groups) = sync_channel::<RowGroup>(1);
    std::thread::scope(|scope| {
        let merging = scope.spawn(move || -> Result<()> {
            let mut in_file = 0;
            while let Some((rows, ends_file)) =
                merge.next(ROW_GROUP_ROWS, |rows| cuts.ends_at_a_date(in_file + rows))?
            {
                in_file = if ends_file { 0 } else { in_file + rows.num_rows() };
                if sender.send(RowGroup { rows, ends_file }).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let encoded = encode_row_groups(format, table, work, row_groups.iter(), cuts, pieces);
        drop(row_groups);
        merging.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(encoded)
    })
}

/// A file that is being encoded.
struct Open {
    path: String,
    writer: Box<dyn DataFileWriter>,
    bytes: u64,
    /// The numbers of its rows' keys.
    keys: Vec<u64>,
    contents: Contents,
}

fn encode_row_groups(
    format: &dyn DataFileFormat,
    table: &str,
    work: &str,
    row_groups: impl Iterator<Item = RowGroup>,
    cuts: Cuts,
    pieces: &mpsc::Sender<Piece>,
) -> Result<()> {
    let send = |piece| pieces.blocking_send(piece).map_err(|_| Unsorted::Abandoned);
    let mut open: Option<Open> = None;
    let mut number = KeyNumber::default();
    let mut files = 0;
    for RowGroup { rows, ends_file } in row_groups {
        let file = match &mut open {
            Some(file) => file,
            None => {
                // The date is for people who look into the folder. A name that holds no identity is that of no batch's file.
                let date = array_value_to_string(&rows["event_date"], 0)?;
                let path = format!("{date}_{work}_{files}.parquet");
                files += 1;
                send(Piece::Begin(path.clone()))?;
                open.insert(Open {
                    path,
                    writer: format.begin(table)?,
                    bytes: 0,
                    keys: Vec::new(),
                    contents: Contents::default(),
                })
            }
        };
        file.writer.write(&rows)?;
        file.contents.add(&rows);
        file.keys.extend(keys::numbers(&rows, &mut number));
        let bytes = file.writer.take();
        file.bytes += bytes.len() as u64;
        send(Piece::Bytes(bytes.into()))?;
        if let Some(whole) = open.take_if(|open| ends_file || open.bytes >= cuts.target_bytes) {
            end(table, whole, &send)?;
        }
    }
    open.map_or(Ok(()), |last| end(table, last, &send))
}

fn end(table: &str, file: Open, send: &impl Fn(Piece) -> Result<()>) -> Result<()> {
    let encoded = file.writer.finish()?;
    send(Piece::Bytes(encoded.end.into()))?;
    let filter = KeyFilter::encode(file.keys);
    let filter = filter.map(|bytes| Piece::Filter(filter::path_of(&file.path), bytes));
    let entry = file.contents.entry(table, &file.path, encoded.size_bytes);
    let file = NewFile { path: file.path, size_bytes: encoded.size_bytes, stats: encoded.stats };
    send(Piece::End(file, entry))?;
    filter.map_or(Ok(()), send)
}

/// Stores the pieces as they come. A file that does not end is not there.
async fn upload(log: &TableLog, mut pieces: mpsc::Receiver<Piece>) -> LakeResult<(Vec<NewFile>, Vec<IndexEntry>)> {
    let (mut files, mut entries) = (Vec::new(), Vec::new());
    let mut open = None;
    while let Some(piece) = pieces.recv().await {
        match (piece, &mut open) {
            (Piece::Begin(path), _) => open = Some(log.upload(&path)),
            (Piece::Bytes(bytes), Some(upload)) => upload.write(bytes).await?,
            (Piece::End(file, entry), upload) => {
                if let Some(upload) = upload.take() {
                    upload.finish().await?;
                    files.push(file);
                    entries.push(entry);
                }
            }
            (Piece::Filter(path, bytes), _) => log.put_if_absent(&path, bytes).await?,
            (Piece::Bytes(_), None) => {}
        }
    }
    Ok((files, entries))
}
