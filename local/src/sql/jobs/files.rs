//! Whole results as files, written when they are first asked for.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use alluvium_core::csv::CsvWriter;
use alluvium_core::file::{FileFormat, OpenFile, ResultFiles};
use alluvium_core::ports::{Advice, PortError, StatementId, StatementState};
use arrow::ipc::reader::FileReader;
use async_trait::async_trait;

use super::{Job, QueryJobs};
use crate::export::{ExportError, FileOnDisk, ParquetWriter};

/// How many times as large as the most that a result may have a file of it may be: CSV says in text what was a few bytes.
const TIMES_A_RESULT: u64 = 4;

#[async_trait]
impl ResultFiles for QueryJobs {
    async fn open(&self, statement: &StatementId, format: FileFormat) -> Result<Box<dyn OpenFile>, PortError> {
        let job = self.find(statement)?;
        if !job.has_succeeded() {
            return Err(PortError::new(Advice::Stop, format!("the statement `{}` has no result", statement.0)));
        }
        let path = path(&job.file, format);
        let alone = self.writing.clone().lock_owned().await;
        if !path.exists() {
            let held: u64 = self.jobs().values().map(|job| job.bytes()).sum();
            if held >= self.settings.results_bytes {
                let message = "there is no room for another file of a result; cancel statements that are read, or come again later";
                return Err(PortError::new(Advice::BackOff, message));
            }
            let most_bytes = self.settings.result_bytes.saturating_mul(TIMES_A_RESULT);
            // It goes on when nobody waits for it any more, and nobody writes another or removes the result until it is done.
            let of = job.clone();
            let written = tokio::task::spawn_blocking(move || {
                let _alone = alone;
                let bytes = write(&of.file, format, most_bytes)?;
                of.files_bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok::<_, PortError>(())
            });
            written.await.map_err(|error| unreadable(&error))??;
        }
        let file = File::open(&path).map_err(|error| unreadable(&error))?;
        let bytes = file.metadata().map_err(|error| unreadable(&error))?.len();
        let what = format!("the result of `{}`", statement.0);
        // A statement's result never changes, and no other statement gets its id.
        Ok(Box::new(FileOnDisk::new(file, bytes, statement.0.clone(), what)))
    }
}

impl Job {
    fn has_succeeded(&self) -> bool {
        matches!(self.state.borrow().ended, Some((StatementState::Succeeded, _)))
    }
}

fn unreadable(error: &dyn std::error::Error) -> PortError {
    PortError::new(Advice::Retry, format!("the result cannot be written as a file: {error}"))
}

/// Where the file of a result is.
pub(super) fn path(result: &Path, format: FileFormat) -> PathBuf {
    result.with_extension(format.ending())
}

/// Where it is while it is written.
pub(super) fn draft(result: &Path, format: FileFormat) -> PathBuf {
    result.with_extension(format!("{}.new", format.ending()))
}

/// Writes a result as a file of a format; says how many bytes it has. There is none if it fails.
fn write(from: &Path, format: FileFormat, most_bytes: u64) -> Result<u64, PortError> {
    let (to, draft) = (path(from, format), draft(from, format));
    let written = write_draft(from, &draft, format, most_bytes);
    match written.and_then(|bytes| std::fs::rename(&draft, to).map(|()| bytes).map_err(|error| unreadable(&error))) {
        Ok(bytes) => Ok(bytes),
        Err(error) => {
            // It is of no use, and goes with the statement if it does not go now.
            let _left = std::fs::remove_file(&draft);
            Err(error)
        }
    }
}

fn write_draft(from: &Path, draft: &Path, format: FileFormat, most_bytes: u64) -> Result<u64, PortError> {
    let from = File::open(from).map_err(|error| unreadable(&error))?;
    let rows = FileReader::try_new(BufReader::new(from), None).map_err(|error| unreadable(&error))?;
    let columns = rows.schema();
    let draft = File::create(draft).map_err(|error| unreadable(&error))?;
    let output = Bounded { file: BufWriter::new(draft), bytes: 0, most_bytes };
    let written = match format {
        FileFormat::Csv => {
            let names = columns.fields().iter().map(|field| field.name().as_str());
            CsvWriter::new(output, names).map_err(ExportError::from).and_then(|mut writer| {
                for rows in rows {
                    writer.write_rows(&rows?)?;
                }
                Ok(writer.finish()?)
            })
        }
        FileFormat::Parquet => ParquetWriter::new(output, &columns, &[]).and_then(|mut writer| {
            for rows in rows {
                writer.write(&rows?)?;
            }
            writer.finish()
        }),
    };
    let mut output = written.map_err(|error| match error {
        ExportError::SameName(_) => PortError::new(Advice::Stop, error.to_string()),
        _ if error.to_string().contains(FULL) => {
            let message =
                format!("as a file the result has more than {most_bytes} bytes; read it in pages, or ask for less");
            PortError::new(Advice::Stop, message)
        }
        _ => unreadable(&error),
    })?;
    output.flush().map_err(|error| unreadable(&error))?;
    Ok(output.bytes)
}

/// What an output says that takes no more.
const FULL: &str = "the file has as many bytes as it may";

/// A file of a bounded size.
struct Bounded {
    file: BufWriter<File>,
    bytes: u64,
    most_bytes: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.bytes + bytes.len() as u64 > self.most_bytes {
            return Err(std::io::Error::other(FULL));
        }
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
