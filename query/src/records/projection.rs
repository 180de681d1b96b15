//! Which columns of a table a page is made of.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use crate::error::QueryError;

/// What puts rows in order and tells arrivals of one key apart. It is read whatever is wanted.
const KEYS: [&str; 5] = ["event_id", "source", "event_time", "ingest_time", "owner"];

/// The columns that are read, and which of them are answered.
pub(super) struct Projection {
    pub(super) read: SchemaRef,
    /// Indices in `read`, in the order wanted.
    pub(super) answered: Vec<usize>,
}

impl Projection {
    /// What of a table with these columns is read where these are wanted.
    ///
    /// # Errors
    ///
    /// When there is none of such a name, or none is wanted.
    pub(super) fn new(table: &Schema, wanted: &[String]) -> Result<Self, QueryError> {
        if wanted.is_empty() {
            return Err(QueryError::parameter("columns", "there is none; name at least one, or leave it out for all"));
        }
        let needed = |name: &String| KEYS.contains(&name.as_str()) || wanted.contains(name);
        let read: Vec<_> = table.fields().iter().filter(|field| needed(field.name())).map(Arc::clone).collect();
        let index = |name: &String| {
            let index = read.iter().position(|field| field.name() == name);
            index.ok_or_else(|| {
                let known: Vec<&str> = table.fields().iter().map(|field| field.name().as_str()).collect();
                let name: String = name.chars().take(80).collect();
                QueryError::parameter("columns", format!("there is no column `{name}`; known: {}", known.join(", ")))
            })
        };
        let answered = wanted.iter().map(index).collect::<Result<_, _>>()?;
        Ok(Self { read: Arc::new(Schema::new(read)), answered })
    }
}
