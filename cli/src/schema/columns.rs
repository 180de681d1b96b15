//! The columns of a dataset, in words.

use alluvium_core::Dataset;
use alluvium_core::dataset::{
    Bounds, Clean, Identity, Nulls, NumberRule, ObjectRule, Property, Repeats, Required, TextFormat, TextRule,
    Undeclared, ValueKind,
};
use serde_json::{Value, json};

/// The most values of an `enum` that are written out.
const VALUES: usize = 8;

/// One column, or one field of a nested one.
pub struct Column {
    /// Its name; that of a nested one is a path.
    name: String,
    kind: String,
    required: bool,
    rules: Vec<String>,
}

impl Column {
    /// As a row of a table.
    pub fn row(&self) -> [String; 4] {
        let required = if self.required { "yes" } else { "no" };
        [self.name.clone(), self.kind.clone(), required.to_owned(), self.rules.join("; ")]
    }

    /// As a machine reads it.
    pub fn json(&self) -> Value {
        json!({"name": self.name, "type": self.kind, "required": self.required, "rules": self.rules})
    }
}

/// The columns that a dataset's properties make, nested ones after what they are in.
pub fn of(dataset: &Dataset) -> Vec<Column> {
    let mut columns = Vec::new();
    collect(&dataset.object, "", &mut columns);
    columns
}

fn collect(object: &ObjectRule, outer: &str, columns: &mut Vec<Column>) {
    for property in &object.properties {
        let name = format!("{outer}{}", property.name);
        let mut rules = Vec::new();
        let (kind, inner) = kind(&property.values.kind, &mut rules);
        if property.values.nulls == Nulls::Listed {
            rules.push("or null".to_owned());
        }
        own_rules(property, &mut rules);
        columns.push(Column { name: name.clone(), kind, required: property.required == Required::Yes, rules });
        if let Some(inner) = inner {
            collect(inner, &format!("{name}."), columns);
        }
    }
}

/// The type in words, and the object inside.
fn kind<'a>(values: &'a ValueKind, rules: &mut Vec<String>) -> (String, Option<&'a ObjectRule>) {
    let name = match values {
        ValueKind::Text(rule) => {
            text_rules(rule, rules);
            "string"
        }
        ValueKind::Integer(rule) => {
            number_rules(rule, rules);
            "integer"
        }
        ValueKind::Number(rule) => {
            number_rules(rule, rules);
            "number"
        }
        ValueKind::Boolean(allowed) => {
            if let [only] = allowed.as_slice() {
                rules.push(format!("always {only}"));
            }
            "boolean"
        }
        ValueKind::Timestamp => "date-time",
        ValueKind::Date => "date",
        ValueKind::Object(object) => {
            if object.undeclared == Undeclared::Refused {
                rules.push("no other fields".to_owned());
            }
            return ("object".to_owned(), Some(object));
        }
        ValueKind::List(list) => {
            range("items", list.min_items, list.max_items, rules);
            if list.repeats == Repeats::Refused {
                rules.push("no two items equal".to_owned());
            }
            let (items, inner) = kind(&list.items.kind, rules);
            return (format!("array of {items}"), inner);
        }
    };
    (name.to_owned(), None)
}

fn text_rules(rule: &TextRule, rules: &mut Vec<String>) {
    if let Some(format) = rule.format {
        let name = match format {
            TextFormat::Uuid => "uuid",
            TextFormat::Email => "email",
            TextFormat::Ipv4 => "ipv4",
            TextFormat::Ipv6 => "ipv6",
            TextFormat::Uri => "uri",
        };
        rules.push(format!("format {name}"));
    }
    range("characters", rule.min_chars, rule.max_chars, rules);
    if let Some(pattern) = &rule.pattern {
        rules.push(format!("pattern {}", pattern.as_str()));
    }
    listed(rule.one_of.iter(), rules);
}

fn number_rules(rule: &NumberRule, rules: &mut Vec<String>) {
    let Bounds { minimum, maximum, exclusive_minimum, exclusive_maximum } = rule.bounds;
    let bounds = [
        ("at least", minimum),
        ("more than", exclusive_minimum),
        ("at most", maximum),
        ("less than", exclusive_maximum),
    ];
    rules.extend(bounds.iter().filter_map(|(word, bound)| bound.map(|bound| format!("{word} {bound}"))));
    if let Some(divisor) = &rule.multiple_of {
        rules.push(format!("a multiple of {divisor}"));
    }
    listed(rule.one_of.iter(), rules);
}

fn range(what: &str, least: Option<u64>, most: Option<u64>, rules: &mut Vec<String>) {
    rules.extend(match (least, most) {
        (None, None) => None,
        (Some(least), None) => Some(format!("at least {least} {what}")),
        (None, Some(most)) => Some(format!("at most {most} {what}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most} {what}")),
    });
}

fn listed<T: std::fmt::Display>(values: impl ExactSizeIterator<Item = T>, rules: &mut Vec<String>) {
    let more = values.len().saturating_sub(VALUES);
    let mut words: Vec<_> = values.take(VALUES).map(|value| value.to_string()).collect();
    if more > 0 {
        words.push(format!("{more} more"));
    }
    if !words.is_empty() {
        rules.push(format!("one of {}", words.join(", ")));
    }
}

fn own_rules(property: &Property, rules: &mut Vec<String>) {
    if let Some(default) = &property.default {
        rules.push(format!("default {default}"));
    }
    let Clean { trim, case, null_like, convert, clamp } = &property.clean;
    if *trim {
        rules.push("trimmed".to_owned());
    }
    if let Some(case) = case {
        rules.push(format!("{case:?} case").to_lowercase());
    }
    if !null_like.is_empty() {
        rules.push(format!("null when {}", null_like.join(", ")));
    }
    if let Some(conversion) = convert {
        rules.push(format!("converted: × {} + {}", conversion.multiply, conversion.add));
    }
    if let Some(clamp) = clamp {
        rules.push(format!("moved into {} to {}", clamp.low, clamp.high));
    }
    if property.identity == Identity::Pseudonymised {
        rules.push("pseudonymised".to_owned());
    }
    if !property.aliases.is_empty() {
        rules.push(format!("also named {}", property.aliases.join(", ")));
    }
}
