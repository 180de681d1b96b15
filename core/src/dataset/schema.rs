//! From a JSON Schema file to a [`Dataset`]. What is not implemented is refused by name and position, never ignored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    Bounds, COMMON_COLUMNS, Clean, Dataset, DatasetName, EXTRA_COLUMN, Identity, Misfits, Nulls, NumberRule,
    ObjectRule, Property, Required, TextRule, Undeclared, ValueKind, Values, columns,
};
use crate::{duration, limits};

/// What is wrong with a schema, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at `{pointer}`: {problem}")]
pub struct SchemaError {
    /// A JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

type Result<T> = std::result::Result<T, SchemaError>;

/// A value in the schema and the way to it.
#[derive(Clone)]
struct At<'a> {
    value: &'a Value,
    pointer: String,
}

impl<'a> At<'a> {
    fn refuse<T>(&self, problem: impl Into<String>) -> Result<T> {
        Err(SchemaError { pointer: self.pointer.clone(), problem: problem.into() })
    }

    fn child(&self, key: &str, value: &'a Value) -> Self {
        let key = key.replace('~', "~0").replace('/', "~1");
        Self { value, pointer: format!("{}/{key}", self.pointer) }
    }

    fn object(&self) -> Result<&'a Map<String, Value>> {
        self.value.as_object().map_or_else(|| self.refuse("expected an object"), Ok)
    }

    fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)> + use<'a>> {
        let at = self.clone();
        Ok(self.object()?.iter().map(move |(key, value)| (key.as_str(), at.child(key, value))))
    }

    fn text(&self) -> Result<&'a str> {
        self.value.as_str().map_or_else(|| self.refuse("expected a string"), Ok)
    }

    fn texts(&self) -> Result<Vec<String>> {
        let Some(items) = self.value.as_array() else {
            return self.refuse("expected an array of strings");
        };
        let items = items.iter().enumerate();
        items.map(|(index, item)| self.child(&index.to_string(), item).text().map(str::to_owned)).collect()
    }

    fn flag(&self) -> Result<bool> {
        self.value.as_bool().map_or_else(|| self.refuse("expected true or false"), Ok)
    }

    fn number(&self) -> Result<f64> {
        self.value.as_f64().map_or_else(|| self.refuse("expected a number"), Ok)
    }

    fn count(&self) -> Result<u64> {
        self.value.as_u64().map_or_else(|| self.refuse("expected a whole number from 0 up"), Ok)
    }

    fn duration(&self) -> Result<Duration> {
        duration::parse(self.text()?).or_else(|error| self.refuse(error.to_string()))
    }

    fn unknown<T>(&self, keyword: &str, known: &[&str]) -> Result<T> {
        self.refuse(format!("the keyword `{keyword}` is not implemented; known here: {}", known.join(", ")))
    }
}

const ROOT_KEYWORDS: [&str; 9] =
    ["$schema", "$id", "title", "description", "type", "properties", "required", "additionalProperties", "x-alluvium"];

const PROPERTY_KEYWORDS: [&str; 12] = [
    "type",
    "title",
    "description",
    "examples",
    "enum",
    "format",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

const SETTINGS: [&str; 7] = ["types", "aliases", "strict", "hot_retention", "retention", "max_past", "max_future"];

pub(super) fn compile(name: DatasetName, schema: &str) -> Result<Dataset> {
    let parsed: Value = serde_json::from_str(schema)
        .map_err(|error| SchemaError { pointer: String::new(), problem: format!("not JSON: {error}") })?;
    let root = At { value: &parsed, pointer: String::new() };
    let mut dataset = Dataset {
        name,
        object: ObjectRule { properties: Vec::new(), undeclared: Undeclared::Kept },
        misfits: Misfits::Kept,
        types: Vec::new(),
        hot_retention: limits::HOT_RETENTION,
        retention: None,
        max_past: limits::MAX_PAST,
        max_future: limits::MAX_FUTURE,
        dropped_fields: Vec::new(),
        dropped_events: Vec::new(),
        sort: vec!["source".to_owned(), "event_time".to_owned()],
        bloom_filters: vec!["source".to_owned()],
        columns: columns::dataset_columns(&[]),
    };
    let mut required = None;
    let mut settings = None;
    for (keyword, at) in root.members()? {
        match keyword {
            "$schema" => expect_draft(&at)?,
            "$id" | "title" | "description" => drop(at.text()?),
            "type" if at.value == "object" => {}
            "type" => return at.refuse("expected \"object\": an event's data is an object"),
            "properties" => dataset.object.properties = at.members()?.map(property).collect::<Result<_>>()?,
            "required" => required = Some(at),
            "additionalProperties" if at.flag()? => {}
            "additionalProperties" => dataset.object.undeclared = Undeclared::Refused,
            "x-alluvium" => settings = Some(at),
            other => return at.unknown(other, &ROOT_KEYWORDS),
        }
    }
    match required {
        Some(at) => require(&mut dataset.object.properties, &at.texts()?, &at)?,
        None => require(&mut dataset.object.properties, &[], &root)?,
    }
    if let Some(at) = settings {
        apply_settings(&mut dataset, &at)?;
    }
    let properties_at = At { value: &parsed, pointer: "/properties".to_owned() };
    check_names(&dataset.object.properties, &properties_at)?;
    dataset.columns = columns::dataset_columns(&dataset.object.properties);
    Ok(dataset)
}

fn expect_draft(at: &At<'_>) -> Result<()> {
    let draft = at.text()?.trim_end_matches('#');
    if draft == "https://json-schema.org/draft/2020-12/schema" {
        return Ok(());
    }
    at.refuse("expected \"https://json-schema.org/draft/2020-12/schema\", the draft that is implemented")
}

fn property((name, at): (&str, At<'_>)) -> Result<Property> {
    let (type_name, nullable) = property_type(&at)?;
    let members: BTreeMap<&str, At<'_>> = at.members()?.collect();
    for (keyword, member) in &members {
        if !PROPERTY_KEYWORDS.contains(keyword) {
            return member.unknown(keyword, &PROPERTY_KEYWORDS);
        }
    }
    let format = members.get("format");
    let (kind, bounding): (ValueKind, &[&str]) = match (type_name, format) {
        ("string", None) => (ValueKind::Text(text_rule(&members)?), &["enum", "minLength", "maxLength"]),
        ("string", Some(format)) => (timed(format)?, &["format"]),
        ("integer", _) => (ValueKind::Integer(number_rule(&members)?), &BOUND_KEYWORDS),
        ("number", _) => (ValueKind::Number(number_rule(&members)?), &BOUND_KEYWORDS),
        ("boolean", _) => (ValueKind::Boolean(Vec::new()), &[]),
        (other, _) => {
            return at.refuse(format!(
                "the type `{other}` is not implemented for a property; known: string, integer, number, boolean. \
                 Leave the property undeclared and it is kept in `extra`"
            ));
        }
    };
    let says_nothing = ["type", "title", "description", "examples"];
    let stray = members.iter().find(|(keyword, _)| !says_nothing.contains(keyword) && !bounding.contains(keyword));
    if let Some((keyword, member)) = stray {
        return member.refuse(format!("`{keyword}` does not go with this property's type and format; remove it"));
    }
    let nulls = if nullable { Nulls::Listed } else { Nulls::NotListed };
    Ok(Property {
        name: name.to_owned(),
        aliases: Vec::new(),
        required: Required::Yes,
        values: Values { kind, nulls },
        default: None,
        clean: Clean::default(),
        identity: Identity::Plain,
    })
}

/// The one type of a property, and whether null is listed beside it.
fn property_type<'a>(at: &At<'a>) -> Result<(&'a str, bool)> {
    let Some(types) = at.object()?.get("type") else {
        return at.refuse("a property needs a `type`, so that its column has one");
    };
    let types_at = at.child("type", types);
    if let Some(one) = types.as_str() {
        return Ok((one, false));
    }
    let listed: Vec<&str> = types.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match listed.as_slice() {
        [one, "null"] | ["null", one] if *one != "null" => Ok((one, true)),
        _ => types_at.refuse("expected one type, or one type and \"null\", so that its column has one type"),
    }
}

fn timed(format: &At<'_>) -> Result<ValueKind> {
    match format.text()? {
        "date-time" => Ok(ValueKind::Timestamp),
        "date" => Ok(ValueKind::Date),
        other => format.refuse(format!("the format `{other}` is not implemented; known: date-time, date")),
    }
}

fn text_rule(members: &BTreeMap<&str, At<'_>>) -> Result<TextRule> {
    let mut one_of = members.get("enum").map(At::texts).transpose()?;
    if let (Some(at), Some([])) = (members.get("enum"), one_of.as_deref()) {
        return at.refuse("expected at least one value: an empty `enum` allows none");
    }
    if let Some(one_of) = &mut one_of {
        one_of.sort_unstable();
    }
    Ok(TextRule {
        min_chars: members.get("minLength").map(At::count).transpose()?,
        max_chars: members.get("maxLength").map(At::count).transpose()?,
        pattern: None,
        format: None,
        one_of: one_of.unwrap_or_default(),
    })
}

const BOUND_KEYWORDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

fn number_rule(members: &BTreeMap<&str, At<'_>>) -> Result<NumberRule> {
    let [minimum, maximum, exclusive_minimum, exclusive_maximum] =
        BOUND_KEYWORDS.map(|keyword| members.get(keyword).map(At::number).transpose());
    let bounds = Bounds {
        minimum: minimum?,
        maximum: maximum?,
        exclusive_minimum: exclusive_minimum?,
        exclusive_maximum: exclusive_maximum?,
    };
    Ok(NumberRule { bounds, multiple_of: None, one_of: Vec::new() })
}

/// Leaves `required` as [`property`] set it on the properties that are listed, and takes it from the others.
fn require(properties: &mut [Property], listed: &[String], at: &At<'_>) -> Result<()> {
    if let Some(stranger) = listed.iter().find(|name| !properties.iter().any(|property| property.name == **name)) {
        return at.refuse(format!("`{stranger}` is required and not declared under `properties`"));
    }
    for property in properties.iter_mut().filter(|property| !listed.contains(&property.name)) {
        property.required = Required::No;
    }
    Ok(())
}

fn apply_settings(dataset: &mut Dataset, settings: &At<'_>) -> Result<()> {
    for (setting, at) in settings.members()? {
        match setting {
            "types" => dataset.types = at.texts()?,
            "aliases" => apply_aliases(&mut dataset.object.properties, &at)?,
            "strict" if at.flag()? => dataset.misfits = Misfits::Refused,
            "strict" => {}
            "hot_retention" => dataset.hot_retention = at.duration()?,
            "retention" => dataset.retention = Some(at.duration()?),
            "max_past" => dataset.max_past = at.duration()?,
            "max_future" => dataset.max_future = at.duration()?,
            other => return at.unknown(other, &SETTINGS),
        }
    }
    Ok(())
}

fn apply_aliases(properties: &mut [Property], aliases: &At<'_>) -> Result<()> {
    for (name, at) in aliases.members()? {
        let listed = at.texts()?;
        let taken =
            |alias: &String| properties.iter().any(|other| other.name == *alias || other.aliases.contains(alias));
        if let Some(alias) = listed.iter().find(|alias| taken(alias)) {
            return at.refuse(format!("`{alias}` already names a property; an alias leads to one property alone"));
        }
        match properties.iter_mut().find(|property| property.name == name) {
            Some(property) => property.aliases = listed,
            None => return at.refuse(format!("`{name}` is not declared under `properties`")),
        }
    }
    Ok(())
}

/// Holds column names to what Delta and Athena take.
///
/// Sources: Delta Lake protocol, "Column Mapping" (the characters ` ,;{}()\n\t=` need it, and we stay at writer version 2);
/// Amazon Athena User Guide, "Name databases, tables, and columns" (255 characters, no case).
fn check_names(properties: &[Property], at: &At<'_>) -> Result<()> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for property in properties {
        let name = property.name.as_str();
        let here = At { value: at.value, pointer: at.child(name, at.value).pointer };
        let lower = name.to_lowercase();
        let refused = |why: &str, instead: String| {
            here.refuse(format!(
                "the column name `{name}` {why}; name the property `{instead}` and put \
                 \"aliases\": {{\"{instead}\": [{}]}} under `x-alluvium`",
                Value::from(name)
            ))
        };
        if COMMON_COLUMNS.contains(&lower.as_str()) || lower == EXTRA_COLUMN {
            return refused("is one of the columns that every table has", format!("{lower}_value"));
        }
        if name.is_empty() || name.len() > 255 || name.contains(|c: char| " ,;{}()=`\"".contains(c) || c.is_control()) {
            return refused("cannot be held by Delta or Athena", mended(&lower));
        }
        if let Some(other) = seen.insert(lower.clone(), name) {
            return refused(
                &format!("differs from `{other}` by case alone, and Athena knows no case"),
                format!("{lower}_2"),
            );
        }
    }
    Ok(())
}

fn mended(name: &str) -> String {
    let kept: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect();
    if kept.is_empty() { "field".to_owned() } else { kept }
}
