//! `clean`: what is done to values before they are held to the schema.

use serde_json::Value;

use super::super::Result;
use super::super::cursor::{At, shown};
use super::{distinct, named};
use crate::dataset::{Case, Clamp, Clean, Conversion, ObjectRule, TextRule, ValueKind, unit};

const TEXT: [&str; 3] = ["trim", "case", "null_like"];
const NUMBER: [&str; 2] = ["convert", "clamp"];

pub(super) fn apply(object: &mut ObjectRule, setting: &At<'_>) -> Result<()> {
    for (path, at) in setting.members()? {
        let property = named(object, path, &at)?.property;
        property.clean = rules(&property.values.kind, &at)?;
    }
    Ok(())
}

fn rules(kind: &ValueKind, at: &At<'_>) -> Result<Clean> {
    let mut clean = Clean::default();
    for (rule, at) in at.members()? {
        if !TEXT.contains(&rule) && !NUMBER.contains(&rule) {
            return at.unknown("rule", rule, &[&TEXT[..], &NUMBER].concat());
        }
        match (rule, kind) {
            ("trim", ValueKind::Text(_)) => clean.trim = at.flag()?,
            ("case", ValueKind::Text(text)) => clean.case = Some(case(text, &at)?),
            ("null_like", ValueKind::Text(_)) => clean.null_like = distinct(&at)?,
            ("convert", ValueKind::Number(_)) => clean.convert = Some(convert(&at)?),
            ("clamp", ValueKind::Number(_) | ValueKind::Integer(_)) => clean.clamp = Some(clamp(kind, &at)?),
            ("convert", ValueKind::Integer(_)) => {
                return at.refuse("a conversion can give fractions; declare the property a `number`");
            }
            (rule, _) if TEXT.contains(&rule) => {
                return at.refuse(format!("`{rule}` is for strings, and this property is none"));
            }
            (rule, _) => return at.refuse(format!("`{rule}` is for numbers, and this property is none")),
        }
    }
    Ok(clean)
}

fn case(rule: &TextRule, at: &At<'_>) -> Result<Case> {
    let (case, written): (_, fn(&str) -> String) = match at.text()? {
        "lower" => (Case::Lower, str::to_lowercase),
        "upper" => (Case::Upper, str::to_uppercase),
        _ => return at.refuse("expected \"lower\" or \"upper\""),
    };
    match rule.one_of.iter().find(|value| written(value) != **value) {
        Some(value) => {
            at.refuse(format!("no value is `{}` after this; write the `enum` in the same case", shown(value)))
        }
        None => Ok(case),
    }
}

fn convert(at: &At<'_>) -> Result<Conversion> {
    const KNOWN: [&str; 4] = ["from", "to", "multiply", "add"];
    for (name, member) in at.members()? {
        if !KNOWN.contains(&name) {
            return member.unknown("member", name, &KNOWN);
        }
    }
    let conversion = match (at.get("from"), at.get("to"), at.get("multiply"), at.get("add")) {
        (Some(from), Some(to), None, None) => return between_units(&from, &to),
        (None, None, multiply, add) if multiply.is_some() || add.is_some() => Conversion {
            multiply: multiply.map_or(Ok(1.0), |at| at.number())?,
            add: add.map_or(Ok(0.0), |at| at.number())?,
        },
        _ => {
            return at.refuse("expected `from` and `to`, two units, or `multiply` and `add`, two numbers");
        }
    };
    if conversion.multiply == 0.0 {
        return at.refuse("times 0 every value is the same");
    }
    Ok(conversion)
}

fn between_units(from: &At<'_>, to: &At<'_>) -> Result<Conversion> {
    let find = |at: &At<'_>| match unit::named(at.text()?) {
        Some(unit) => Ok(unit),
        None => at.refuse(format!("`{}` is no unit that is known; known: {}", shown(at.text()?), unit::known())),
    };
    let (source, target) = (find(from)?, find(to)?);
    match source.conversion_to(target) {
        Some(conversion) => Ok(conversion),
        None => to.refuse(format!(
            "{} cannot be converted to {}; known units of {}: {}",
            source.quantity,
            target.quantity,
            source.quantity,
            unit::known_of(source.quantity)
        )),
    }
}

fn clamp(kind: &ValueKind, at: &At<'_>) -> Result<Clamp> {
    let ends: Vec<_> = at.items()?.collect();
    let [low_at, high_at] = ends.as_slice() else {
        return at.refuse("expected two numbers, the least and the greatest value");
    };
    let clamp = Clamp { low: low_at.number()?, high: high_at.number()? };
    if clamp.low > clamp.high {
        return at.refuse("expected the least value first");
    }
    let bounds = match kind {
        ValueKind::Integer(rule) | ValueKind::Number(rule) => rule.bounds,
        _ => return Ok(clamp),
    };
    for (end, at) in [(clamp.low, low_at), (clamp.high, high_at)] {
        let whole = matches!(at.value, Value::Number(number) if number.is_i64()) || end.fract() == 0.0;
        if matches!(kind, ValueKind::Integer(_)) && !(whole && end.abs() <= 9_007_199_254_740_992.0) {
            return at.refuse("expected a whole number of at most 2^53, since the property is an integer");
        }
        if !bounds.contain(end) {
            return at.refuse("lies outside the property's own bounds, so that a value moved there would not fit");
        }
    }
    Ok(clamp)
}
