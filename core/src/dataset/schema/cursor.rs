//! A value in a schema, and the way to it.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Result, SchemaError};
use crate::duration;

/// A value in a schema, and the way to it from the schema's root.
///
/// The way is written out as a JSON pointer only when something is refused: names can be long, and values many.
#[derive(Clone)]
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    way: Option<Rc<Step<'a>>>,
}

struct Step<'a> {
    before: Option<Rc<Step<'a>>>,
    key: Key<'a>,
}

enum Key<'a> {
    Name(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, way: None }
    }

    fn step(&self, key: Key<'a>, value: &'a Value) -> Self {
        Self { value, way: Some(Rc::new(Step { before: self.way.clone(), key })) }
    }

    /// The JSON pointer (RFC 6901) that leads here.
    pub(super) fn pointer(&self) -> String {
        let mut keys = Vec::new();
        let mut step = self.way.as_ref();
        while let Some(here) = step {
            keys.push(match here.key {
                Key::Name(name) => name.replace('~', "~0").replace('/', "~1"),
                Key::Index(index) => index.to_string(),
            });
            step = here.before.as_ref();
        }
        keys.iter().rev().flat_map(|key| ["/", key.as_str()]).collect()
    }

    pub(super) fn refuse<T>(&self, problem: impl Into<String>) -> Result<T> {
        Err(SchemaError { pointer: self.pointer(), problem: problem.into() })
    }

    /// Refuses a keyword or setting that is not known here.
    pub(super) fn unknown<T>(&self, what: &str, name: &str, known: &[&str]) -> Result<T> {
        self.refuse(format!("the {what} `{}` is not implemented; known here: {}", shown(name), known.join(", ")))
    }

    /// The member or item that one token of a JSON pointer leads to.
    pub(super) fn child(&self, token: &str) -> Option<Self> {
        match self.value {
            Value::Object(_) => self.get(token),
            Value::Array(items) => {
                let index: usize = token.parse().ok().filter(|index: &usize| index.to_string() == token)?;
                items.get(index).map(|item| self.step(Key::Index(index), item))
            }
            _ => None,
        }
    }

    /// A member, if this is an object that has it.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let (name, value) = self.value.as_object()?.get_key_value(name)?;
        Some(self.step(Key::Name(name), value))
    }

    pub(super) fn object(&self) -> Result<&'a Map<String, Value>> {
        self.value.as_object().map_or_else(|| self.refuse("expected an object"), Ok)
    }

    pub(super) fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)> + use<'a>> {
        let at = self.clone();
        Ok(self.object()?.iter().map(move |(name, value)| (name.as_str(), at.step(Key::Name(name), value))))
    }

    pub(super) fn items(&self) -> Result<impl ExactSizeIterator<Item = Self> + use<'a>> {
        let Some(items) = self.value.as_array() else {
            return self.refuse("expected an array");
        };
        let at = self.clone();
        Ok(items.iter().enumerate().map(move |(index, item)| at.step(Key::Index(index), item)))
    }

    pub(super) fn text(&self) -> Result<&'a str> {
        self.value.as_str().map_or_else(|| self.refuse("expected a string"), Ok)
    }

    pub(super) fn texts(&self) -> Result<Vec<String>> {
        self.items()?.map(|item| item.text().map(str::to_owned)).collect()
    }

    pub(super) fn flag(&self) -> Result<bool> {
        self.value.as_bool().map_or_else(|| self.refuse("expected true or false"), Ok)
    }

    pub(super) fn number(&self) -> Result<f64> {
        self.value.as_f64().map_or_else(|| self.refuse("expected a number"), Ok)
    }

    /// A count. `2.0` is one, as JSON Schema has it.
    pub(super) fn count(&self) -> Result<u64> {
        let whole = |number: f64| (number.fract() == 0.0 && (0.0..9e15).contains(&number)).then_some(number as u64);
        let count = self.value.as_u64().or_else(|| self.value.as_f64().and_then(whole));
        count.map_or_else(|| self.refuse("expected a whole number from 0 up"), Ok)
    }

    pub(super) fn duration(&self) -> Result<Duration> {
        duration::parse(self.text()?).or_else(|error| self.refuse(error.to_string()))
    }
}

/// A name or value from a schema, cut to what a message can hold.
pub(super) fn shown(text: &str) -> String {
    const CHARS: usize = 80;
    match text.char_indices().nth(CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
