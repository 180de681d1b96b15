//! CSV time series: a header line, then one reading per row.

use std::fs::File;
use std::path::{Path, PathBuf};

use alluvium_core::clock::Micros;
use csv::{Reader, ReaderBuilder, StringRecord};

use super::cells::{Metered, SinceRow, TIME_COLUMNS, column_name, json_text, put_cell};
use super::raw_row::{Kept, RawRow};
use super::{ReplaySettings, Shift, stem_of, time};
use crate::{EventSource, IngestError, Written};

/// A CSV file as a source of events.
#[derive(Debug)]
pub(super) struct Series {
    rows: Rows,
    columns: Columns,
    /// `<stem>` as the inside of a JSON string.
    stem: Vec<u8>,
    /// `","source":…,"type":…,"time":`, which is the same in each event.
    between: Vec<u8>,
    shift_by: Micros,
}

/// Which columns are read, by position.
#[derive(Debug)]
struct Columns {
    time: usize,
    /// Each with its name as JSON.
    values: Vec<(usize, Vec<u8>)>,
}

impl Series {
    pub(super) fn open(file: &Path, settings: &ReplaySettings) -> Result<Self, IngestError> {
        let stem = stem_of(file)?;
        let source = settings.source.as_deref().unwrap_or(&stem);
        let (rows, columns) = Rows::open(file, settings)?;
        let shift_by = match settings.shift {
            Shift::None => 0,
            Shift::NewestTo(newest) => newest_time(file, settings)?.map_or(0, |found| newest.saturating_sub(found)),
        };
        let mut between = b"\",\"source\":".to_vec();
        between.extend(json_text(source));
        between.extend_from_slice(b",\"type\":");
        between.extend(json_text(&settings.event_type));
        between.extend_from_slice(b",\"time\":");
        let quoted = json_text(&stem);
        let stem = quoted[1..quoted.len() - 1].to_vec();
        Ok(Self { rows, columns, stem, between, shift_by })
    }
}

fn newest_time(file: &Path, settings: &ReplaySettings) -> Result<Option<Micros>, IngestError> {
    let (mut rows, columns) = Rows::open(file, settings)?;
    let mut newest = None;
    while rows.advance()? {
        newest = newest.max(Some(rows.time(&columns)?));
    }
    Ok(newest)
}

impl EventSource for Series {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        if !self.rows.advance()? {
            return Ok(None);
        }
        let at = self.rows.time(&self.columns)?.saturating_add(self.shift_by);
        out.extend_from_slice(b"{\"id\":\"");
        out.extend_from_slice(&self.stem);
        out.extend_from_slice(format!(":{}", self.rows.row).as_bytes());
        out.extend_from_slice(&self.between);
        time::put_json(out, at).ok_or_else(|| self.rows.refuse(self.columns.time, time::CANNOT_MOVE))?;
        out.extend_from_slice(b",\"data\":{");
        let start = out.len();
        for (column, name) in &self.columns.values {
            let cell = &self.rows.record[*column];
            // An empty cell is how CSV writes that there is no value.
            if cell.is_empty() {
                continue;
            }
            if out.len() > start {
                out.push(b',');
            }
            out.extend_from_slice(name);
            out.push(b':');
            put_cell(out, cell);
        }
        out.extend_from_slice(b"}}");
        Ok(Some(Written { at: Some(at) }))
    }
}

/// The rows of a CSV file, each as long as the header.
#[derive(Debug)]
struct Rows {
    file: PathBuf,
    reader: Reader<Metered<Kept<File>>>,
    /// How many bytes were read since the last row.
    since_row: SinceRow,
    raw: RawRow,
    delimiter: u8,
    record: StringRecord,
    /// The line on which the record begins.
    line: u64,
    /// The record's number among those of the file, the header being 1: its line, where no row takes several. Unlike the
    /// line it is different for every row.
    row: u64,
}

impl Rows {
    fn open(file: &Path, settings: &ReplaySettings) -> Result<(Self, Columns), IngestError> {
        let (input, raw) = Kept::of(super::open_file(file)?);
        let (input, since_row) = Metered::of(input);
        let reader = ReaderBuilder::new().has_headers(false).delimiter(settings.delimiter).from_reader(input);
        let (delimiter, record) = (settings.delimiter, StringRecord::new());
        let mut rows = Self { file: file.to_owned(), reader, since_row, raw, delimiter, record, line: 1, row: 0 };
        if !rows.advance()? {
            return Err(rows.refuse(0, "the file is empty; expected a header line such as `timestamp,value`"));
        }
        let columns = rows.columns(settings)?;
        Ok((rows, columns))
    }

    /// Reads the next row; says whether there was one.
    fn advance(&mut self) -> Result<bool, IngestError> {
        let (byte, line) = (self.reader.position().byte(), self.reader.position().line());
        self.since_row.begin();
        self.raw.begin(byte);
        let read = self.reader.read_record(&mut self.record);
        self.line = line + self.raw.line_ends_before();
        match read {
            Ok(true) if self.raw.ends_within_quotes(self.delimiter) => {
                Err(self.refuse(0, "a quote is opened in this row and not closed to the end of the file"))
            }
            Ok(more) => {
                self.row += u64::from(more);
                Ok(more)
            }
            Err(error) => Err(self.explain(error)),
        }
    }

    fn columns(&self, settings: &ReplaySettings) -> Result<Columns, IngestError> {
        let names: Vec<&str> = self.record.iter().map(column_name).collect();
        let find = |wanted: &str| {
            let found = names.iter().position(|name| *name == wanted);
            found.ok_or_else(|| {
                self.refuse(0, &format!("there is no column `{wanted}`; the columns are: {}", names.join(", ")))
            })
        };
        let time = match &settings.time_column {
            Some(wanted) => find(wanted)?,
            None => TIME_COLUMNS
                .iter()
                .find_map(|known| names.iter().position(|name| name.eq_ignore_ascii_case(known)))
                .ok_or_else(|| {
                    let (known, found) = (TIME_COLUMNS.join(", "), names.join(", "));
                    self.refuse(
                        0,
                        &format!("no column is named like a time ({known}); name it. The columns are: {found}"),
                    )
                })?,
        };
        let values = if settings.value_columns.is_empty() {
            (0..names.len()).filter(|column| *column != time).collect()
        } else {
            settings.value_columns.iter().map(|wanted| find(wanted)).collect::<Result<Vec<_>, _>>()?
        };
        Ok(Columns { time, values: values.into_iter().map(|column| (column, json_text(names[column]))).collect() })
    }

    fn time(&self, columns: &Columns) -> Result<Micros, IngestError> {
        let cell = &self.record[columns.time];
        let shown: String = cell.chars().take(40).collect();
        time::parse(cell).ok_or_else(|| self.refuse(columns.time, &format!("`{shown}` is no time; {}", time::EXPECTED)))
    }

    /// An error at a cell of the row that was read last.
    fn refuse(&self, column: usize, problem: &str) -> IngestError {
        IngestError::Input {
            file: self.file.clone(),
            line: self.line,
            column: column as u64 + 1,
            problem: problem.to_owned(),
        }
    }

    fn explain(&self, error: csv::Error) -> IngestError {
        let (column, problem) = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                (len + 1, format!("the row has {len} cells, the header {expected_len}; expected as many"))
            }
            csv::ErrorKind::Utf8 { err, .. } => (err.field() as u64 + 1, "the cell is not UTF-8".to_owned()),
            csv::ErrorKind::Io(error) if error.kind() == std::io::ErrorKind::FileTooLarge => (1, error.to_string()),
            csv::ErrorKind::Io(_) => {
                let csv::ErrorKind::Io(source) = error.into_kind() else { unreachable!("matched just before") };
                return IngestError::Unreadable { file: self.file.clone(), source };
            }
            _ => (1, error.to_string()),
        };
        IngestError::Input { file: self.file.clone(), line: self.line, column, problem }
    }
}
