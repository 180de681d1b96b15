//! What may become of a table's columns when its schema changes: columns may come, none may go or change its type.

use arrow::datatypes::{DataType, Field, Fields, Schema};

/// What a schema does to the columns of a table that exists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evolution {
    /// Columns that the table gets; rows that are there read as null.
    pub added: Vec<ColumnChange>,
    /// Why it cannot be, column by column. Empty: the table stays readable, and takes the new rows.
    pub conflicts: Vec<ColumnChange>,
}

/// What becomes of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnChange {
    /// Its name; that of a nested one is a path, such as `position.lat`.
    pub column: String,
    /// What is new about it, or in the way and what would be right.
    pub detail: String,
}

impl Evolution {
    /// Compares the columns of a table that exists with those that a schema declares. Their order does not matter: columns are
    /// found by name.
    pub fn between(present: &Schema, wanted: &Schema) -> Self {
        let mut evolution = Self::default();
        evolution.compare("", present.fields(), wanted.fields());
        evolution
    }

    fn compare(&mut self, outer: &str, present: &Fields, wanted: &Fields) {
        let path =
            |field: &Field| if outer.is_empty() { field.name().clone() } else { format!("{outer}.{}", field.name()) };
        for field in present {
            match wanted.find(field.name()) {
                Some((_, now)) => self.compare_field(&path(field), field, now),
                None => self.refuse(
                    path(field),
                    format!(
                        "the table has it ({}) and the schema no longer does. Put it back into the schema; it need not be \
                         required. If events name it otherwise now, list the new name under `aliases`. Or give the schema \
                         another name, which makes a new table",
                        type_name(field.data_type())
                    ),
                ),
            }
        }
        for field in wanted.iter().filter(|field| present.find(field.name()).is_none()) {
            if field.is_nullable() {
                self.added.push(ColumnChange { column: path(field), detail: type_name(field.data_type()) });
            } else {
                let problem = "it is new and may not be null, but the rows that are there have no value";
                self.refuse(path(field), problem.to_owned());
            }
        }
    }

    fn compare_field(&mut self, path: &str, present: &Field, wanted: &Field) {
        if present.is_nullable() != wanted.is_nullable() {
            let problem = "whether it may be null has changed, which a table's column cannot";
            self.refuse(path.to_owned(), problem.to_owned());
        }
        match (present.data_type(), wanted.data_type()) {
            (DataType::Struct(present), DataType::Struct(wanted)) => self.compare(path, present, wanted),
            (DataType::List(present), DataType::List(wanted)) => self.compare_field(path, present, wanted),
            (present, wanted) if present == wanted => {}
            (present, wanted) => self.refuse(
                path.to_owned(),
                format!(
                    "the table has {}, the schema says {}. A column keeps its type: declare the new type under another \
                     name beside it. Or give the schema another name, which makes a new table",
                    type_name(present),
                    type_name(wanted)
                ),
            ),
        }
    }

    fn refuse(&mut self, column: String, detail: String) {
        self.conflicts.push(ColumnChange { column, detail });
    }
}

/// The type of a column as a schema says it.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "string".to_owned(),
        DataType::Int64 => "integer".to_owned(),
        DataType::Float64 => "number".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Timestamp(..) => "date-time".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::List(items) => format!("array of {}", type_name(items.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|field| format!("{}: {}", field.name(), type_name(field.data_type()))).collect();
            format!("object {{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
