//! A row for each event.
//!
//! ```text
//! key    dataset | 00 | owner | 00 | source | 00 | event time i64, all bits inverted, so that the newest comes first | event id
//! value  the record as a line of JSON, ready to be answered
//! ```
//!
//! It is kinder than a whole index would be: nothing says when an event expires, which a second row would.

use std::path::Path;

use alluvium_core::clock::Micros;
use anyhow::Context as _;
use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::json::LineDelimitedWriter;
use arrow::record_batch::RecordBatch;
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};

use crate::{CACHE_BYTES, DATASET, LIMIT, OWNER};

const ITEMS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("items");

/// The table.
pub struct Items(Database);

/// A key and a value.
pub type Item = (Vec<u8>, Vec<u8>);

impl Items {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let database = redb::Builder::new().set_cache_size(CACHE_BYTES).create(path)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ITEMS)?;
        transaction.commit()?;
        Ok(Self(database))
    }

    /// Stores items, visible when it returns and durable with `flush`, as the hot index does with chunks.
    pub fn put(&self, items: &[Item], flush: bool) -> anyhow::Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(if flush { Durability::Immediate } else { Durability::None })?;
        let mut table = transaction.open_table(ITEMS)?;
        for (key, value) in items {
            table.insert(key.as_slice(), value.as_slice())?;
        }
        drop(table);
        transaction.commit()?;
        Ok(())
    }

    /// The newest records of a source, a line each.
    pub fn newest(&self, source: &str) -> anyhow::Result<Vec<u8>> {
        let table = self.0.begin_read()?.open_table(ITEMS)?;
        let first = key(OWNER, source, None);
        let mut past_last = first.clone();
        *past_last.last_mut().context("a key ends in a separator")? += 1;
        let mut answer = Vec::with_capacity(LIMIT * 400);
        for item in table.range(first.as_slice()..past_last.as_slice())?.take(LIMIT) {
            answer.extend_from_slice(item?.1.value());
        }
        Ok(answer)
    }
}

/// The items of rows.
pub fn made(rows: &RecordBatch) -> anyhow::Result<Vec<Item>> {
    let text = |name: &str| rows.column_by_name(name).map(|column| column.as_string::<i32>());
    let (Some(owners), Some(sources), Some(ids)) = (text("owner"), text("source"), text("event_id")) else {
        anyhow::bail!("rows without the common columns");
    };
    let times = rows.column_by_name("event_time").context("rows without a time")?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let lines = lines(rows)?;
    let values = lines.split_inclusive(|byte| *byte == b'\n');
    let item = |(row, value): (usize, &[u8])| {
        let key = key(owners.value(row), sources.value(row), Some((times.value(row), ids.value(row))));
        (key, value.to_vec())
    };
    Ok(values.enumerate().map(item).collect())
}

fn key(owner: &str, source: &str, event: Option<(Micros, &str)>) -> Vec<u8> {
    let mut key = Vec::with_capacity(96);
    for part in [DATASET, owner, source] {
        key.extend_from_slice(part.as_bytes());
        key.push(0);
    }
    if let Some((time, id)) = event {
        key.extend_from_slice(&(!((time as u64) ^ (1 << 63))).to_be_bytes());
        key.extend_from_slice(id.as_bytes());
    }
    key
}

/// Rows as lines of JSON.
pub fn lines(rows: &RecordBatch) -> anyhow::Result<Vec<u8>> {
    let mut writer = LineDelimitedWriter::new(Vec::with_capacity(rows.num_rows() * 400));
    writer.write(rows)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

/// The source of a row.
pub fn source(rows: &RecordBatch, row: usize) -> String {
    let sources = rows.column_by_name("source").map(|column| column.as_string::<i32>());
    sources.filter(|sources| row < sources.len()).map_or_else(String::new, |sources| sources.value(row).to_owned())
}
