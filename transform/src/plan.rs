//! A dataset, compiled into what the judge of events needs: where each name leads, and what each value is held to.

use std::sync::Arc;

use alluvium_core::Dataset;
use alluvium_core::clock::micros;
use alluvium_core::dataset::{
    Clean, Identity, ListRule, Misfits, Nulls, NumberRule, ObjectRule, Property, Required, TextRule, Undeclared,
    ValueKind, Values,
};
use rustc_hash::FxHashMap;

use crate::error::TransformError;
use crate::filter::Filters;
use crate::pseudonym::{PseudonymKey, Pseudonyms};

/// What a member's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The field of this index.
    Field(u32),
    /// The event attribute `id`.
    Id,
    /// The event attribute `source`.
    Source,
    /// The event attribute `type`.
    Type,
    /// The event attribute `time`.
    Time,
    /// The object that holds the properties, of an event in the envelope form.
    Data,
    /// `specversion` or `datacontenttype`, of an event in the envelope form.
    Framing,
    /// A field that is not kept.
    Dropped,
    /// None of these.
    Undeclared,
}

/// The attributes that an event of either form has, unless the dataset declares a property of that name.
const ATTRIBUTES: [(&str, Meaning); 4] =
    [("id", Meaning::Id), ("source", Meaning::Source), ("type", Meaning::Type), ("time", Meaning::Time)];

/// Where the names of an object's members lead.
#[derive(Debug)]
pub(crate) struct Names {
    by_name: FxHashMap<Box<str>, Meaning>,
    /// The number of this list of names among all of the program, see [`Guesses`](crate::draft::Guesses).
    pub(crate) list: usize,
}

impl Names {
    pub(crate) fn meaning(&self, name: &str) -> Meaning {
        self.by_name.get(name).copied().unwrap_or(Meaning::Undeclared)
    }
}

/// One dataset's plan.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Its number among the plans of the program.
    pub(crate) number: usize,
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) max_past_micros: i64,
    pub(crate) max_future_micros: i64,
    /// What the event's own members mean in the envelope form.
    pub(crate) frame: Names,
    /// What the event's own members mean in the bare form.
    pub(crate) bare: Names,
    /// What the data of an event is held to; its names are those of the members of `data`.
    pub(crate) object: ObjectPlan,
    /// Which events are dropped.
    pub(crate) filters: Filters,
}

/// What an object is held to.
#[derive(Debug)]
pub(crate) struct ObjectPlan {
    pub(crate) fields: Vec<Arc<FieldPlan>>,
    pub(crate) names: Names,
    pub(crate) undeclared: Undeclared,
    /// The fields that an object must have, or has a default for.
    pub(crate) if_missing: Vec<u32>,
}

/// What a property is held to.
#[derive(Debug)]
pub(crate) struct FieldPlan {
    pub(crate) name: Box<str>,
    /// Other names that lead to it.
    pub(crate) aliases: Vec<String>,
    pub(crate) required: Required,
    /// Whether a value that does not fit is kept in `extra`.
    pub(crate) misfits: Misfits,
    pub(crate) values: ValuePlan,
    /// `None`: nothing is cleaned.
    pub(crate) clean: Option<Box<Clean>>,
    /// What makes a text its pseudonym; `None`: the column holds the text itself.
    pub(crate) pseudonyms: Option<Arc<Pseudonyms>>,
    pub(crate) default: Option<DefaultCell>,
}

impl FieldPlan {
    /// Whether its column holds what was sent, as it was sent.
    pub(crate) fn is_plain(&self) -> bool {
        self.clean.is_none() && self.pseudonyms.is_none()
    }
}

/// What a column holds when the event does not have the property.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum DefaultCell {
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    Timestamp(i64),
    Date(i32),
}

/// What a value is held to.
#[derive(Debug)]
pub(crate) struct ValuePlan {
    pub(crate) kind: KindPlan,
    pub(crate) nulls: Nulls,
    /// Set when it is pseudonymised or holds what is: then it must not stand anywhere as it was sent.
    pub(crate) hidden_by: Option<Arc<Pseudonyms>>,
}

/// A value's type, and what bounds it.
#[derive(Debug)]
pub(crate) enum KindPlan {
    Text(TextRule),
    Integer(NumberRule),
    Number(NumberRule),
    Boolean(Vec<bool>),
    Timestamp,
    Date,
    Object(ObjectPlan),
    List(Box<ValuePlan>, ListRule),
}

impl Plan {
    /// The plans of all datasets of one program.
    ///
    /// # Errors
    ///
    /// When one of them pseudonymises properties and there is no key.
    pub(crate) fn compile_all<'a>(
        datasets: impl IntoIterator<Item = &'a Arc<Dataset>>,
        key: Option<&PseudonymKey>,
    ) -> Result<Vec<Self>, TransformError> {
        let mut compiler = Compiler {
            plans: 0,
            lists: 0,
            misfits: Misfits::Kept,
            pseudonyms: key.map(|key| Arc::new(Pseudonyms::new(key))),
            lacks_key: false,
        };
        datasets.into_iter().map(|dataset| compiler.plan(dataset)).collect()
    }

    /// The plan of a dataset that is the only one of its program.
    ///
    /// # Errors
    ///
    /// When it pseudonymises properties and there is no key.
    pub(crate) fn compile(dataset: &Arc<Dataset>, key: Option<&PseudonymKey>) -> Result<Self, TransformError> {
        let mut plans = Self::compile_all([dataset], key)?;
        Ok(plans.remove(0))
    }

    /// Whether the dataset declares a property, or an alias of one, of this name.
    pub(crate) fn declares(&self, name: &str) -> bool {
        matches!(self.object.names.meaning(name), Meaning::Field(_))
    }
}

struct Compiler {
    plans: usize,
    lists: usize,
    misfits: Misfits,
    pseudonyms: Option<Arc<Pseudonyms>>,
    /// Whether a property is pseudonymised and there is nothing to do it with.
    lacks_key: bool,
}

impl Compiler {
    fn plan(&mut self, dataset: &Arc<Dataset>) -> Result<Plan, TransformError> {
        self.misfits = dataset.misfits;
        let mut object = self.object(&dataset.object);
        if self.lacks_key {
            return Err(TransformError::NoPseudonymKey { dataset: dataset.name.as_str().to_owned() });
        }
        let dropped = || dataset.dropped_fields.iter().map(|name| Box::from(name.as_str()));
        for name in dropped() {
            object.names.by_name.entry(name).or_insert(Meaning::Dropped);
        }
        let attributes = || ATTRIBUTES.iter().map(|(name, meaning)| (Box::from(*name), *meaning));
        let framing =
            [("data", Meaning::Data), ("specversion", Meaning::Framing), ("datacontenttype", Meaning::Framing)];
        let mut frame: FxHashMap<Box<str>, Meaning> =
            attributes().chain(framing.map(|(name, meaning)| (Box::from(name), meaning))).collect();
        for name in dropped() {
            frame.entry(name).or_insert(Meaning::Dropped);
        }
        let mut bare: FxHashMap<Box<str>, Meaning> = attributes().collect();
        bare.extend(object.names.by_name.iter().map(|(name, meaning)| (name.clone(), *meaning)));
        self.plans += 1;
        Ok(Plan {
            number: self.plans - 1,
            max_past_micros: micros(dataset.max_past),
            max_future_micros: micros(dataset.max_future),
            frame: self.names(frame),
            bare: self.names(bare),
            object,
            filters: Filters::compile(dataset, self.pseudonyms.as_deref()),
            dataset: dataset.clone(),
        })
    }

    fn names(&mut self, by_name: FxHashMap<Box<str>, Meaning>) -> Names {
        self.lists += 1;
        Names { by_name, list: self.lists - 1 }
    }

    fn object(&mut self, object: &ObjectRule) -> ObjectPlan {
        let mut names: FxHashMap<Box<str>, Meaning> = FxHashMap::default();
        for (index, property) in object.properties.iter().enumerate() {
            for name in property.aliases.iter().chain([&property.name]) {
                names.insert(name.as_str().into(), Meaning::Field(index as u32));
            }
        }
        let fields: Vec<_> = object.properties.iter().map(|property| Arc::new(self.field(property))).collect();
        let matters =
            |(_, field): &(usize, &Arc<FieldPlan>)| field.required == Required::Yes || field.default.is_some();
        ObjectPlan {
            names: self.names(names),
            undeclared: object.undeclared,
            if_missing: fields.iter().enumerate().filter(matters).map(|(index, _)| index as u32).collect(),
            fields,
        }
    }

    fn field(&mut self, property: &Property) -> FieldPlan {
        let pseudonymised = property.identity == Identity::Pseudonymised;
        self.lacks_key |= pseudonymised && self.pseudonyms.is_none();
        let mut values = self.values(&property.values);
        if pseudonymised {
            values.hidden_by = self.pseudonyms.clone();
        }
        FieldPlan {
            name: property.name.as_str().into(),
            aliases: property.aliases.clone(),
            required: property.required,
            misfits: self.misfits,
            values,
            clean: (property.clean != Clean::default()).then(|| Box::new(property.clean.clone())),
            pseudonyms: self.pseudonyms.clone().filter(|_| pseudonymised),
            default: property.default.as_ref().and_then(|value| default(value, &property.values.kind)),
        }
    }

    fn values(&mut self, values: &Values) -> ValuePlan {
        let kind = match &values.kind {
            ValueKind::Text(rule) => KindPlan::Text(rule.clone()),
            ValueKind::Integer(rule) => KindPlan::Integer(rule.clone()),
            ValueKind::Number(rule) => KindPlan::Number(rule.clone()),
            ValueKind::Boolean(one_of) => KindPlan::Boolean(one_of.clone()),
            ValueKind::Timestamp => KindPlan::Timestamp,
            ValueKind::Date => KindPlan::Date,
            ValueKind::Object(object) => KindPlan::Object(self.object(object)),
            ValueKind::List(rule) => KindPlan::List(Box::new(self.values(&rule.items)), rule.clone()),
        };
        let hides = match &kind {
            KindPlan::Object(object) => object.fields.iter().any(|field| field.values.hidden_by.is_some()),
            KindPlan::List(items, _) => items.hidden_by.is_some(),
            _ => false,
        };
        let hidden_by = self.pseudonyms.clone().filter(|_| hides);
        ValuePlan { kind, nulls: values.nulls, hidden_by }
    }
}

/// A default as a column holds it; `None` for null, which a missing value is anyway. The schema compiler has held it to the
/// property's rules.
fn default(value: &serde_json::Value, kind: &ValueKind) -> Option<DefaultCell> {
    match kind {
        ValueKind::Text(_) => value.as_str().map(|text| DefaultCell::Text(text.to_owned())),
        ValueKind::Integer(_) => {
            value.as_i64().or_else(|| value.as_f64().map(|number| number as i64)).map(DefaultCell::Integer)
        }
        ValueKind::Number(_) => value.as_f64().map(DefaultCell::Number),
        ValueKind::Boolean(_) => value.as_bool().map(DefaultCell::Boolean),
        ValueKind::Timestamp => value.as_str().and_then(crate::time::from_text).map(DefaultCell::Timestamp),
        ValueKind::Date => {
            let time = value.as_str().and_then(crate::time::from_text)?;
            Some(DefaultCell::Date(time.div_euclid(crate::time::MICROS_PER_DAY) as i32))
        }
        ValueKind::Object(_) | ValueKind::List(_) => None,
    }
}
