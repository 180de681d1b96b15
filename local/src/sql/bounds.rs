//! The bounds of files, kept from one statement to the next: a table of many files has most of them in its next version too, and
//! reading what the log says of each takes longer than a small statement.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_lake::TableSnapshot;
use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;

use super::delta_stats;

/// The bounds of the files that each table had when it was last asked for.
#[derive(Debug, Default)]
pub(super) struct KnownBounds(Mutex<HashMap<String, OfTable>>);

#[derive(Debug)]
struct OfTable {
    columns: SchemaRef,
    by_path: HashMap<String, Arc<Statistics>>,
}

impl KnownBounds {
    /// The bounds of a snapshot's files, in its order.
    pub(super) fn of(&self, table: &str, snapshot: &TableSnapshot) -> Vec<Arc<Statistics>> {
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = match tables.remove(table) {
            Some(known) if known.columns == snapshot.columns => known.by_path,
            _ => HashMap::new(),
        };
        let mut by_path = HashMap::with_capacity(snapshot.files.len());
        let bounds = snapshot.files.iter().map(|file| {
            let bounds = known.remove(&file.path).unwrap_or_else(|| {
                let rows = usize::try_from(file.rows).unwrap_or(usize::MAX);
                Arc::new(delta_stats::read(file.stats.as_deref(), rows, &snapshot.columns))
            });
            by_path.insert(file.path.clone(), bounds.clone());
            bounds
        });
        let bounds = bounds.collect();
        tables.insert(table.to_owned(), OfTable { columns: snapshot.columns.clone(), by_path });
        bounds
    }
}
