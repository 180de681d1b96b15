//! A dataset, compiled into what the judge of events needs: where each name leads, and what each value is held to.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Dataset;
use rustc_hash::FxHashMap;

/// What a member's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The property of this index.
    Property(usize),
    /// The event attribute `id`.
    Id,
    /// The event attribute `source`.
    Source,
    /// The event attribute `type`.
    Type,
    /// The event attribute `time`.
    Time,
}

/// The attributes that an event of either form has, unless the dataset declares a property of that name.
const ATTRIBUTES: [(&str, Meaning); 4] =
    [("id", Meaning::Id), ("source", Meaning::Source), ("type", Meaning::Type), ("time", Meaning::Time)];

/// The attribute of this name.
pub(crate) fn attribute(name: &str) -> Option<Meaning> {
    ATTRIBUTES.iter().find(|(attribute, _)| *attribute == name).map(|(_, meaning)| *meaning)
}

/// One dataset's plan.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) max_past_micros: i64,
    pub(crate) max_future_micros: i64,
    /// What the names of an event's own members mean in the bare form.
    pub(crate) bare: FxHashMap<Box<str>, Meaning>,
    /// What the names of the members of `data` mean.
    pub(crate) data: FxHashMap<Box<str>, Meaning>,
}

impl Plan {
    pub(crate) fn compile(dataset: &Arc<Dataset>) -> Self {
        let mut data: FxHashMap<Box<str>, Meaning> = FxHashMap::default();
        for (index, property) in dataset.object.properties.iter().enumerate() {
            for name in property.aliases.iter().chain([&property.name]) {
                data.insert(name.as_str().into(), Meaning::Property(index));
            }
        }
        let mut bare: FxHashMap<Box<str>, Meaning> =
            ATTRIBUTES.iter().map(|(name, meaning)| ((*name).into(), *meaning)).collect();
        bare.extend(data.iter().map(|(name, meaning)| (name.clone(), *meaning)));
        Self {
            max_past_micros: micros(dataset.max_past),
            max_future_micros: micros(dataset.max_future),
            bare,
            data,
            dataset: dataset.clone(),
        }
    }

    /// Whether the dataset declares a property, or an alias of one, of this name.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.data.contains_key(name)
    }
}

pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
