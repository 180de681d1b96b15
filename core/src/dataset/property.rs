//! Properties: what a schema declares, and what each of their values must be.

use serde_json::{Number, Value};

use super::pattern::Pattern;

/// One declared property: one column, or one field of a struct column.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its name in the event and in the table.
    pub name: String,
    /// Other names under which an event may carry it.
    pub aliases: Vec<String>,
    /// Whether the object that it belongs to must have it.
    pub required: Required,
    /// What its values are.
    pub values: Values,
    /// What its column holds when the event does not have it (`default`); satisfies `values`.
    pub default: Option<Value>,
    /// What is done to a value before it is held to `values`.
    pub clean: Clean,
    /// Whether the column holds the value itself.
    pub identity: Identity,
}

/// Whether an object must have a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// It must. Null counts as missing unless the schema's `type` lists it.
    Yes,
    /// It need not.
    No,
}

/// Whether a column holds values as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It does.
    Plain,
    /// It holds the keyed HMAC-SHA-256 of each value (`pseudonymise`); only texts can be.
    Pseudonymised,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Its type, and what bounds it.
    pub kind: ValueKind,
    /// Whether it may be null.
    pub nulls: Nulls,
}

/// Whether null is a value that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// The schema's `type` lists `"null"`, and so does its `enum` if it has one.
    Listed,
    /// By JSON Schema it does not fit; cleaning takes it for a missing value.
    NotListed,
}

/// The type of a value and what bounds it.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueKind {
    /// `"type": "string"`, column `Utf8`.
    Text(TextRule),
    /// `"type": "integer"`, column `Int64`.
    Integer(NumberRule),
    /// `"type": "number"`, column `Float64`.
    Number(NumberRule),
    /// `"type": "boolean"`, column `Boolean`; the values allowed, none: both.
    Boolean(Vec<bool>),
    /// `"type": "string", "format": "date-time"`, column `Timestamp(µs, UTC)`.
    Timestamp,
    /// `"type": "string", "format": "date"`, column `Date32`.
    Date,
    /// `"type": "object"`, column `Struct` of its properties.
    Object(ObjectRule),
    /// `"type": "array"`, column `List` of its items.
    List(ListRule),
}

/// What bounds a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextRule {
    /// The fewest characters (Unicode code points, as JSON Schema counts them).
    pub min_chars: Option<u64>,
    /// The most characters.
    pub max_chars: Option<u64>,
    /// What it must contain a match of.
    pub pattern: Option<Pattern>,
    /// What it must be written as.
    pub format: Option<TextFormat>,
    /// The only values allowed (`enum`, `const`), sorted; empty: any.
    pub one_of: Vec<String>,
}

/// How a text must be written. Asserted, as JSON Schema's "Format-Assertion" vocabulary has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// RFC 4122.
    Uuid,
    /// RFC 5321, section 4.1.2, "Mailbox".
    Email,
    /// RFC 2673, section 3.2, "dotted-quad".
    Ipv4,
    /// RFC 4291, section 2.2.
    Ipv6,
    /// RFC 3986, with a scheme.
    Uri,
}

/// What bounds a number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NumberRule {
    /// Where it must lie.
    pub bounds: Bounds,
    /// What it must be a whole multiple of; greater than 0.
    pub multiple_of: Option<Number>,
    /// The only values allowed (`enum`, `const`); empty: any.
    pub one_of: Vec<Number>,
}

/// Where a number must lie.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// The least value allowed.
    pub minimum: Option<f64>,
    /// The greatest value allowed.
    pub maximum: Option<f64>,
    /// Values must be greater than this.
    pub exclusive_minimum: Option<f64>,
    /// Values must be less than this.
    pub exclusive_maximum: Option<f64>,
}

impl Bounds {
    /// Whether a value lies within.
    #[inline]
    pub fn contain(&self, value: f64) -> bool {
        self.minimum.is_none_or(|least| value >= least)
            && self.maximum.is_none_or(|most| value <= most)
            && self.exclusive_minimum.is_none_or(|below| value > below)
            && self.exclusive_maximum.is_none_or(|above| value < above)
    }
}

/// What an object must be.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectRule {
    /// Its properties, at least one, in the order in which the schema declares them.
    pub properties: Vec<Property>,
    /// What becomes of a field that is none of them.
    pub undeclared: Undeclared,
}

/// What becomes of a field that the schema does not declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undeclared {
    /// It is kept in the column `extra`.
    Kept,
    /// Its event becomes a dead letter (`"additionalProperties": false`).
    Refused,
}

/// What an array must be.
#[derive(Debug, Clone, PartialEq)]
pub struct ListRule {
    /// What each of its items must be.
    pub items: Box<Values>,
    /// The fewest items.
    pub min_items: Option<u64>,
    /// The most items.
    pub max_items: Option<u64>,
    /// Whether two items may be equal.
    pub repeats: Repeats,
}

/// Whether two items of an array may be equal, as JSON Schema has it: `1` equals `1.0`, members have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// They may.
    Allowed,
    /// They may not (`"uniqueItems": true`).
    Refused,
}

/// What is done to a value before it is held to its rule, in the order of these fields (`x-alluvium.clean`).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Clean {
    /// White space at both ends of a text is taken off.
    pub trim: bool,
    /// A text is written in this case.
    pub case: Option<Case>,
    /// Texts that stand for null; compared after trimming and without regard to case. What was sent is kept in `extra`.
    pub null_like: Vec<String>,
    /// A number is converted: `value × multiply + add`.
    pub convert: Option<Conversion>,
    /// A number that lies outside is moved to the nearer end; what was sent is kept in `extra`.
    pub clamp: Option<Clamp>,
}

/// A case that texts are written in, by Unicode's rules for no language in particular.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `kitchen`
    Lower,
    /// `KITCHEN`
    Upper,
}

/// A conversion between units: `value × multiply + add`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    /// The factor; not 0.
    pub multiply: f64,
    /// What is added after.
    pub add: f64,
}

/// The ends that a number is moved to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// The least value.
    pub low: f64,
    /// The greatest value.
    pub high: f64,
}

/// Which events a dataset drops on purpose: those for which every condition holds (`x-alluvium.drop.events`).
#[derive(Debug, Clone, PartialEq)]
pub struct EventFilter {
    /// At least one.
    pub conditions: Vec<Condition>,
}

/// That a property of the dataset, or the attribute `source` or `type`, has one of these values.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// A top-level property of a scalar kind, or `source` or `type`.
    pub field: String,
    /// Texts, numbers, booleans or null; equal as JSON Schema has it.
    pub any_of: Vec<Value>,
}
