//! Events that a dataset drops on purpose (`x-alluvium.drop.events`).
//!
//! Conditions look at what the row would hold: at values after cleaning and defaults, at `source` and `type` as they were sent.
//! `null` is what a column without a value holds, whether nothing was sent, or null, or what did not fit. An event that a
//! condition names is dropped even where it breaks the schema; one whose values cannot be told (a name that stands twice) is not.

use alluvium_core::dataset::{Condition, Dataset, Identity, equal};
use serde_json::Value;

use crate::draft::{Cell, Draft, Place};
use crate::pseudonym::Pseudonyms;

/// The filters of one dataset.
#[derive(Debug, Default)]
pub(crate) struct Filters(Vec<Vec<Test>>);

/// One condition, ready.
#[derive(Debug)]
struct Test {
    field: Field,
    any_of: Vec<Value>,
}

/// What a condition looks at.
#[derive(Debug, Clone, Copy)]
enum Field {
    Source,
    Type,
    Cell(usize),
}

impl Filters {
    /// The filters of a dataset. Of a property that is pseudonymised, pseudonyms are compared.
    pub(crate) fn compile(dataset: &Dataset, pseudonyms: Option<&Pseudonyms>) -> Self {
        let test = |condition: &Condition| {
            let properties = &dataset.object.properties;
            let cell = properties.iter().position(|property| property.name == condition.field);
            let hidden = cell.is_some_and(|cell| properties[cell].identity == Identity::Pseudonymised);
            let as_held = |value: &Value| match (value, pseudonyms.filter(|_| hidden)) {
                (Value::String(text), Some(pseudonyms)) => {
                    let mut pseudonym = String::new();
                    pseudonyms.write(text, &mut pseudonym);
                    pseudonym.into()
                }
                _ => value.clone(),
            };
            let field = match cell {
                Some(cell) => Field::Cell(cell),
                None if condition.field == "type" => Field::Type,
                None => Field::Source,
            };
            Test { field, any_of: condition.any_of.iter().map(as_held).collect() }
        };
        Self(dataset.dropped_events.iter().map(|filter| filter.conditions.iter().map(test).collect()).collect())
    }

    /// Whether the event that a draft holds is dropped.
    #[inline]
    pub(crate) fn drop(&self, draft: &Draft, event: &str) -> bool {
        self.0.iter().any(|tests| tests.iter().all(|test| test.holds(draft, event)))
    }
}

impl Test {
    fn holds(&self, draft: &Draft, event: &str) -> bool {
        let is_text = |place: Place| {
            let text = draft.resolve(event, place);
            self.any_of.iter().any(|value| value.as_str() == Some(text))
        };
        let is = |value: Value| self.any_of.iter().any(|allowed| equal(allowed, &value));
        let cell = match self.field {
            Field::Source => draft.source.map_or(Cell::Null, Cell::Text),
            Field::Type => draft.event_type.map_or(Cell::Null, Cell::Text),
            Field::Cell(cell) => draft.cells[cell],
        };
        match cell {
            Cell::Missing | Cell::Null => is(Value::Null),
            Cell::Text(place) => is_text(place),
            Cell::Integer(value) => is(value.into()),
            Cell::Number(value) => is(value.into()),
            Cell::Boolean(value) => is(value.into()),
            // What does not fit has no value; the other kinds cannot be asked for.
            Cell::Unfit | Cell::Timestamp(_) | Cell::Date(_) | Cell::Object { .. } | Cell::List { .. } => false,
        }
    }
}
