//! What is known of a data file before its first row: columns, order, and what may be told of each column.

use alluvium_core::Dataset;
use alluvium_core::dataset::{EXTRA_COLUMN, Identity, Property, ValueKind, dead_letter_columns};
use arrow::datatypes::SchemaRef;
use rustc_hash::FxHashSet;

/// The order of rows when nothing else is said, and of dead letters.
const SORTED_BY: [&str; 2] = ["source", "event_time"];

/// How the rows of one table are laid out in its data files.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) columns: SchemaRef,
    /// The columns that rows are sorted by, the first the most significant.
    pub(crate) sorted_by: Vec<String>,
    /// The columns that have a bloom filter.
    pub(crate) bloom_filters: FxHashSet<String>,
    /// Paths (`a.b`) of columns of which nothing is told outside their pages: no bounds, no counts, no bloom filter.
    pub(super) silent: FxHashSet<String>,
}

impl Layout {
    /// Of a dataset's table.
    pub(crate) fn of(dataset: &Dataset) -> Self {
        let mut silent: FxHashSet<String> = ["owner", EXTRA_COLUMN].map(str::to_owned).into_iter().collect();
        pseudonyms(&dataset.object.properties, "", &mut silent);
        Self {
            columns: dataset.columns().clone(),
            sorted_by: dataset.sort.clone(),
            bloom_filters: dataset.bloom_filters.iter().filter(|name| !silent.contains(*name)).cloned().collect(),
            silent,
        }
    }

    /// Of the table `dead_letters`, whose texts may hold anything that was sent.
    pub(crate) fn dead_letters() -> Self {
        Self {
            columns: dead_letter_columns(),
            sorted_by: SORTED_BY.map(str::to_owned).to_vec(),
            bloom_filters: ["source".to_owned()].into_iter().collect(),
            silent: ["owner", "detail", "original"].map(str::to_owned).into_iter().collect(),
        }
    }

    /// Of columns like these, of which all is told.
    #[cfg(test)]
    pub(crate) fn with_columns(columns: SchemaRef) -> Self {
        Self {
            columns,
            sorted_by: SORTED_BY.map(str::to_owned).to_vec(),
            bloom_filters: ["source".to_owned()].into_iter().collect(),
            silent: FxHashSet::default(),
        }
    }

    /// Whether nothing is told of the column with this path.
    pub(crate) fn is_silent(&self, path: &str) -> bool {
        self.silent.contains(path)
    }
}

/// Adds the paths of pseudonymised columns: bounds of pseudonyms are pseudonyms, and outlive the rows in the log.
fn pseudonyms(properties: &[Property], parent: &str, silent: &mut FxHashSet<String>) {
    for property in properties {
        let path = format!("{parent}{}", property.name);
        if property.identity == Identity::Pseudonymised {
            silent.insert(path.clone());
        }
        let mut values = &property.values;
        let mut inner = path + ".";
        while let ValueKind::List(list) = &values.kind {
            values = &list.items;
            inner.push_str("list.element.");
        }
        if let ValueKind::Object(object) = &values.kind {
            pseudonyms(&object.properties, &inner, silent);
        }
    }
}
