//! CSV as a table of events of one dataset: the header names the fields, each row is an event in the bare form.

use std::collections::HashSet;
use std::io::Read;

use alluvium_core::Dataset;
use alluvium_core::dataset::{Property, ValueKind};
use csv::{ByteRecord, Reader, ReaderBuilder};

use super::cells::{Metered, SinceRow, TIME_COLUMNS, column_name, is_number, json_text, put_cell};
use super::raw_row::{Kept, RawRow};

/// Columns that are texts whatever stands in them: the attributes of an event. As text a time has one meaning.
const TEXTS: [&str; 4] = ["id", "source", "type", "time"];

/// A CSV file as events of a dataset.
///
/// A cell is written as its property wants it: a text as it is, an object or array as the JSON that it holds, anything else as a number
/// if it is one. An empty cell is no value. Where there is no column `time`, the first that is named like one and is no property of the
/// dataset is the event's time; where there is no `source`, every event has the one that is given.
pub(crate) struct Table {
    reader: Reader<Metered<Kept<Box<dyn Read + Send>>>>,
    since_row: SinceRow,
    raw: RawRow,
    columns: Vec<Column>,
    /// `"source":…`, or nothing.
    source: Vec<u8>,
    record: ByteRecord,
    /// The record's number among those of the file, the header being 1.
    row: u64,
    /// The line on which the record begins.
    line: u64,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("row", &self.row).finish_non_exhaustive()
    }
}

struct Column {
    /// `"name":`
    key: Vec<u8>,
    cells: Cells,
}

/// How the cells of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cells {
    Texts,
    Json,
    Guessed,
}

/// What a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// An event.
    Event,
    /// None, for this reason. What was written is the row itself.
    Odd(String),
}

/// Why a file cannot be read on, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The line, from 1; `None`: the file as a whole.
    pub line: Option<u64>,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl Table {
    /// Reads the header.
    pub(crate) fn open(input: Box<dyn Read + Send>, dataset: &Dataset, source: Option<&str>) -> Result<Self, Broken> {
        let (input, raw) = Kept::of(input);
        let (input, since_row) = Metered::of(input);
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
        let (columns, record) = (Vec::new(), ByteRecord::new());
        let mut table = Self { reader, since_row, raw, columns, source: Vec::new(), record, row: 0, line: 1 };
        if !table.advance()? {
            let problem = "the file is empty; expected a header line such as `time,source,value`".to_owned();
            return Err(Broken { line: Some(1), problem });
        }
        let line = table.line;
        let at_header = |problem: String| Broken { line: Some(line), problem };
        let cells = table.record.iter().map(std::str::from_utf8).collect::<Result<Vec<_>, _>>();
        let cells = cells.map_err(|_| at_header("the header is not UTF-8".to_owned()))?;
        let names: Vec<&str> = cells.into_iter().map(column_name).collect();
        check(&names).map_err(at_header)?;
        if let Some(source) = source.filter(|_| !names.contains(&"source")) {
            table.source = [b"\"source\":".to_vec(), json_text(source)].concat();
        }
        table.columns = columns_of(&names, dataset);
        Ok(table)
    }

    /// Appends the next row as an event; `None`: there are no more.
    pub(crate) fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Broken> {
        if !self.advance()? {
            return Ok(None);
        }
        let start = out.len();
        let odd = match self.put_event(out) {
            Ok(()) => return Ok(Some(Row::Event)),
            Err(odd) => odd,
        };
        out.truncate(start);
        out.extend(self.row_as_it_is());
        Ok(Some(Row::Odd(odd)))
    }

    /// The number of the row that was read last, the header being 1.
    pub(crate) fn row(&self) -> u64 {
        self.row
    }

    /// The line on which that row begins, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next row that is not blank; says whether there is one.
    fn advance(&mut self) -> Result<bool, Broken> {
        loop {
            let more = self.read_record()?;
            if !more || !self.is_blank() {
                return Ok(more);
            }
        }
    }

    /// Whether the row is a line of nothing but blanks.
    fn is_blank(&self) -> bool {
        self.record.len() == 1 && !self.record[0].is_empty() && self.record[0].trim_ascii().is_empty()
    }

    fn read_record(&mut self) -> Result<bool, Broken> {
        let (byte, line) = (self.reader.position().byte(), self.reader.position().line());
        self.since_row.begin();
        self.raw.begin(byte);
        let read = self.reader.read_byte_record(&mut self.record);
        let begins = line + self.raw.line_ends_before();
        let broken = |problem| Err(Broken { line: Some(begins), problem });
        match read {
            Ok(false) => return Ok(false),
            Ok(true) if self.raw.ends_within_quotes(b',') => {
                return broken("a quote is opened in this row and not closed to the end of the file".to_owned());
            }
            Ok(true) => {}
            Err(error) => return broken(unwrapped(error)),
        }
        (self.row, self.line) = (self.row + 1, begins);
        Ok(true)
    }

    fn put_event(&self, out: &mut Vec<u8>) -> Result<(), String> {
        let (cells, columns) = (self.record.len(), self.columns.len());
        if cells != columns {
            return Err(format!("the row has {cells} cells, the header {columns}; expected as many"));
        }
        out.push(b'{');
        out.extend_from_slice(&self.source);
        let start = out.len() - self.source.len();
        for (index, (column, cell)) in self.columns.iter().zip(&self.record).enumerate() {
            // An empty cell is how CSV writes that there is no value.
            if cell.is_empty() {
                continue;
            }
            let cell = std::str::from_utf8(cell).map_err(|_| format!("cell {} is not UTF-8", index + 1))?;
            if out.len() > start {
                out.push(b',');
            }
            out.extend_from_slice(&column.key);
            match column.cells {
                Cells::Texts => out.extend(json_text(cell)),
                Cells::Json if is_json(cell) => out.extend_from_slice(cell.trim().as_bytes()),
                Cells::Json | Cells::Guessed => put_cell(out, cell),
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// The row in CSV, without a line end.
    fn row_as_it_is(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_byte_record(&self.record).expect("writing to memory does not fail");
        let mut row = writer.into_inner().expect("writing to memory does not fail");
        row.truncate(row.trim_ascii_end().len());
        row
    }
}

/// Whether a cell is an object or array that can stand within a line.
fn is_json(cell: &str) -> bool {
    let begins = cell.trim_start().starts_with(['{', '[']);
    begins && !cell.contains(['\n', '\r']) && serde_json::from_str::<serde::de::IgnoredAny>(cell).is_ok()
}

/// Checks that the header can be one.
fn check(names: &[&str]) -> Result<(), String> {
    if names.iter().all(|name| is_number(name) || super::time::parse(name).is_some()) {
        return Err(
            "the first line holds values and no names; expected a header line such as `time,source,value`".to_owned()
        );
    }
    if names.first().is_some_and(|name| name.starts_with(['{', '['])) {
        return Err("the first line is JSON; expected a header line such as `time,source,value`, or the format NDJSON"
            .to_owned());
    }
    if let [only] = names
        && let Some(mark) = only.chars().find(|c| matches!(c, ';' | '\t' | '|'))
    {
        return Err(format!("the header is one column with {mark:?} in its name; expected commas between columns"));
    }
    let mut known = HashSet::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name; expected one for every column", index + 1));
        }
        if !known.insert(*name) {
            let name: String = name.chars().take(80).collect();
            return Err(format!("two columns are named `{name}`; give each its own name"));
        }
    }
    Ok(())
}

fn columns_of(names: &[&str], dataset: &Dataset) -> Vec<Column> {
    let property = |name: &str| {
        let is = |property: &&Property| property.name == name || property.aliases.iter().any(|alias| alias == name);
        dataset.object.properties.iter().find(is)
    };
    let like_a_time = |known: &&str| {
        let named = |name: &&str| name.eq_ignore_ascii_case(known) && property(name).is_none();
        names.iter().position(named)
    };
    let time = match names.iter().position(|name| *name == "time") {
        Some(_) => None,
        None => TIME_COLUMNS.iter().find_map(like_a_time),
    };
    let column = |(index, name): (usize, &&str)| {
        let name = if time == Some(index) { "time" } else { *name };
        let cells = match property(name).map(|property| &property.values.kind) {
            _ if TEXTS.contains(&name) => Cells::Texts,
            Some(ValueKind::Text(_) | ValueKind::Timestamp | ValueKind::Date) => Cells::Texts,
            Some(ValueKind::Object(_) | ValueKind::List(_)) => Cells::Json,
            _ => Cells::Guessed,
        };
        Column { key: [json_text(name), b":".to_vec()].concat(), cells }
    };
    names.iter().enumerate().map(column).collect()
}

fn unwrapped(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests;
