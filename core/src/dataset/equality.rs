//! When two JSON values are equal, as JSON Schema has it: numbers by what they are worth, members in any order.
//!
//! Values are put into an order that has no meaning but that equal ones are neighbours, so that many can be told apart in
//! n log n, whoever sent them.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// Whether two values are equal: `1` equals `1.0`, and the members of an object have no order.
pub fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => same_number(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(name, value): (&String, &Value)| other.get(name).is_some_and(|other| equal(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        (one, other) => one == other,
    }
}

/// Whether no two of the values are equal.
pub fn all_differ(values: &[Value]) -> bool {
    if values.len() < 2 {
        return true;
    }
    let mut sorted: Vec<Ordered<'_>> = values.iter().map(Ordered::new).collect();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

/// Whether two numbers are worth the same.
pub(super) fn same_number(one: &Number, other: &Number) -> bool {
    Worth::new(one) == Worth::new(other)
}

/// How an integer compares with a number that is not NaN, without rounding.
pub(super) fn compare(integer: i64, number: f64) -> Ordering {
    Worth::Whole(integer.into()).cmp(&Worth::of(number))
}

/// A value whose order is that of what it stands for. The members of objects are sorted by name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ordered<'a> {
    Null,
    Boolean(bool),
    Number(Worth),
    Text(&'a str),
    List(Vec<Ordered<'a>>),
    Object(Vec<(&'a str, Ordered<'a>)>),
}

impl<'a> Ordered<'a> {
    fn new(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Boolean(*value),
            Value::Number(number) => Self::Number(Worth::new(number)),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items.iter().map(Self::new).collect()),
            Value::Object(members) => {
                let mut members: Vec<_> =
                    members.iter().map(|(name, value)| (name.as_str(), Self::new(value))).collect();
                members.sort_unstable_by_key(|(name, _)| *name);
                Self::Object(members)
            }
        }
    }
}

/// What a number is worth: whole as far as 127 bits hold it, so that `1` and `1.0` are one value.
#[derive(Debug, Clone, Copy)]
enum Worth {
    Whole(i128),
    /// A number with a fraction, or beyond 127 bits.
    Other(f64),
}

impl Worth {
    fn new(number: &Number) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => Self::Whole(integer.into()),
            (_, Some(integer)) => Self::Whole(integer.into()),
            _ => Self::of(number.as_f64().expect("a JSON number that is no integer of 64 bits is an f64")),
        }
    }

    fn of(number: f64) -> Self {
        const BEYOND: f64 = (1_u128 << 127) as f64;
        if number.fract() == 0.0 && number.abs() < BEYOND { Self::Whole(number as i128) } else { Self::Other(number) }
    }
}

impl Ord for Worth {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one.cmp(other),
            (Self::Other(one), Self::Other(other)) => one.total_cmp(other),
            // The cast saturates, beyond every whole one that is held. What has a fraction is more than its floor.
            (Self::Whole(one), Self::Other(other)) => one.cmp(&(other.floor() as i128)).then(Ordering::Less),
            (Self::Other(_), Self::Whole(_)) => other.cmp(self).reverse(),
        }
    }
}

impl PartialOrd for Worth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Worth {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worth {}

#[cfg(test)]
mod tests;
