//! What goes to standard output: tables for people, JSON for machines.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// Whether progress bars make sense: a person is looking at standard error.
pub fn interactive() -> bool {
    std::io::stderr().is_terminal()
}

/// An error and its causes in one sentence, each cause once: many errors already repeat theirs.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Prints text as it is. A reader that has gone away (`| head`) is no failure.
pub fn text(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A text that somebody sent, as it can be printed: what would move the cursor or colour the terminal is written out.
pub fn printable(text: &str) -> String {
    let written_out = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(written_out).collect()
}

/// Prints one line.
pub fn line(line: impl std::fmt::Display) {
    text(&format!("{line}\n"));
}

/// Tells a person at a terminal what takes long.
#[cfg(feature = "aws")]
pub fn note(text: impl std::fmt::Display) {
    if interactive() {
        eprintln!("{text}");
    }
}

/// Prints a value as one JSON document.
pub fn json(value: &impl Serialize) {
    line(serde_json::to_string_pretty(value).expect("what the program prints has text for keys"));
}

/// Prints a table; numbers stand right.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    align_numbers(&mut table);
    line(table);
}

/// Prints query results as a table, at most `most` rows of it; says how many it left out.
pub fn rows(batches: &[RecordBatch], most: usize) -> anyhow::Result<()> {
    let Some(first) = batches.first() else { return Ok(()) };
    let mut table = Table::new();
    let names: Vec<_> = first.schema().fields().iter().map(|field| field.name().clone()).collect();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(names);
    let mut shown = 0;
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    for batch in batches {
        let batch = with_nested_as_json(batch)?;
        let columns = formatters(&batch)?;
        for row in 0..batch.num_rows().min(most - shown) {
            table.add_row(columns.iter().map(|column| column.value(row).to_string()));
        }
        shown = (shown + batch.num_rows()).min(most);
    }
    align_numbers(&mut table);
    line(table);
    if total > shown {
        line(format!("{} more rows not shown; --json prints all", thousands((total - shown) as u64)));
    }
    Ok(())
}

/// Prints query results as one JSON object per line.
///
/// # Errors
///
/// When two columns have one name, of which an object would show one alone.
pub fn ndjson(batches: &[RecordBatch]) -> anyhow::Result<()> {
    let mut names = batches.first().into_iter().flat_map(|batch| batch.schema_ref().fields()).map(|field| field.name());
    let mut known = BTreeSet::new();
    if let Some(twice) = names.find(|name| !known.insert(*name)) {
        anyhow::bail!("two columns are called `{twice}`; name one of them otherwise, with `as`");
    }
    let mut bytes = Vec::new();
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::LineDelimited>(&mut bytes);
    for batch in batches {
        writer.write(&readable_binaries(batch)?)?;
    }
    writer.finish()?;
    drop(writer);
    text(&String::from_utf8_lossy(&bytes));
    Ok(())
}

/// The same rows with every binary column as text, as far as it is text.
fn readable_binaries(batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let schema = batch.schema();
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| match column.as_binary_opt::<i32>() {
            Some(binary) => {
                let texts = binary.iter().map(|bytes| bytes.map(String::from_utf8_lossy));
                let texts: StringArray = texts.collect();
                let field = Field::new(field.name(), DataType::Utf8, field.is_nullable());
                (field, Arc::new(texts) as ArrayRef)
            }
            None => (field.as_ref().clone(), column.clone()),
        })
        .unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The same rows with every object and array as its JSON text.
fn with_nested_as_json(batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let schema = batch.schema();
    let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| match json_texts(field, column) {
            Some(texts) => (Arc::new(Field::new(field.name(), DataType::Utf8, true)), Arc::new(texts) as ArrayRef),
            None => (field.clone(), column.clone()),
        })
        .unzip();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Each value of a nested column as JSON, null members left out; `None`: the column is not nested, or of a type that JSON lacks.
fn json_texts(field: &FieldRef, column: &ArrayRef) -> Option<StringArray> {
    let options = EncoderOptions::default();
    let mut encoder = field.data_type().is_nested().then(|| make_encoder(field, column, &options).ok())??;
    let texts = (0..column.len()).map(|row| {
        let mut text = Vec::new();
        (!encoder.is_null(row)).then(|| {
            encoder.encode(row, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        })
    });
    Some(texts.collect())
}

fn formatters(batch: &RecordBatch) -> anyhow::Result<Vec<ArrayFormatter<'_>>> {
    const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_null("null");
    batch.columns().iter().map(|column| Ok(ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?)).collect()
}

fn align_numbers(table: &mut Table) {
    let numeric = |text: &str| {
        text.chars().any(|c| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || "-+.,e% ".contains(c))
    };
    let columns = table.column_count();
    for at in 0..columns {
        let cells = || table.row_iter().filter_map(|row| row.cell_iter().nth(at)).map(comfy_table::Cell::content);
        let numbers = table.row_count() > 0 && cells().all(|text| numeric(&text) || text == "null" || text == "-");
        if numbers && let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// So many of something, in the form of the word that goes with the number.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// A number with a comma every three digits.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that keeps at least one digit before the point.
pub fn bytes(count: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units.iter().find(|(_, size)| count >= *size);
    unit.map_or_else(|| format!("{count} B"), |(name, size)| format!("{:.1} {name}", count as f64 / *size as f64))
}

/// A time in microseconds since 1970 as people write it, to the second.
pub fn time(micros: i64) -> String {
    let time = jiff::Timestamp::from_microsecond(micros);
    time.map_or_else(|_| micros.to_string(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// Seconds with a unit that suits them.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

#[cfg(test)]
mod tests;
