//! `$ref`: a schema that stands elsewhere in the same file.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

use super::cursor::{At, shown};
use super::{ANNOTATIONS, Result};
use crate::limits;

/// The most `$ref`s that lead from one to the next before a schema comes.
const CHAIN: usize = 16;

/// The longest `$ref`.
const REFERENCE_BYTES: usize = 1024;

/// Follows `$ref`s, and keeps their expansion within bounds.
pub(super) struct References<'a> {
    root: At<'a>,
    /// The targets that are being compiled, outermost first.
    open: Vec<String>,
    /// Every target that was ever followed.
    reached: BTreeSet<String>,
    /// The size of all targets that were followed, each time that they were.
    expanded_bytes: usize,
}

/// What a schema leads to.
pub(super) struct Target<'a> {
    /// The schema that has no `$ref`.
    pub(super) at: At<'a>,
    /// The outermost `default` on the way.
    pub(super) default: Option<At<'a>>,
    /// How many `$ref`s led here, for [`References::leave`].
    followed: usize,
}

impl<'a> References<'a> {
    pub(super) fn new(root: At<'a>) -> Self {
        Self { root, open: Vec::new(), reached: BTreeSet::new(), expanded_bytes: 0 }
    }

    /// Follows the `$ref`s of a schema until one has none. `beside` names what may stand beside a `$ref`.
    pub(super) fn follow(&mut self, at: &At<'a>, beside: &[&str]) -> Result<Target<'a>> {
        let mut target = Target { at: at.clone(), default: at.get("default"), followed: 0 };
        let mut beside = beside;
        while let Some(reference) = target.at.get("$ref") {
            for (keyword, member) in target.at.members()? {
                if keyword != "$ref" && !beside.contains(&keyword) {
                    return member.refuse(format!(
                        "`{}` stands beside a `$ref`, where only {} may; put it into the schema that the `$ref` names",
                        shown(keyword),
                        beside.join(", ")
                    ));
                }
            }
            beside = &ANNOTATIONS;
            let next = self.resolve(&reference)?;
            self.enter(&reference, &next)?;
            target.followed += 1;
            if target.followed > CHAIN {
                return reference.refuse(format!("more than {CHAIN} `$ref`s lead from one to the next"));
            }
            target.default = target.default.or_else(|| next.get("default"));
            target.at = next;
        }
        Ok(target)
    }

    /// Ends what [`Self::follow`] began: the target may be followed again.
    pub(super) fn leave(&mut self, target: &Target<'a>) {
        self.open.truncate(self.open.len() - target.followed);
    }

    /// Whether a schema was the target of any `$ref`.
    pub(super) fn reached(&self, at: &At<'a>) -> bool {
        self.reached.contains(&at.pointer())
    }

    fn resolve(&self, reference: &At<'a>) -> Result<At<'a>> {
        let text = reference.text()?;
        if text.len() > REFERENCE_BYTES {
            return reference.refuse(format!("a `$ref` of more than {REFERENCE_BYTES} bytes"));
        }
        let Some(pointer) = text.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return reference.refuse(format!(
                "`{}` leads out of this file or to an anchor; expected a JSON pointer such as `#/$defs/position`",
                shown(text)
            ));
        };
        let mut at = self.root.clone();
        for token in pointer.split('/').skip(1) {
            let token = percent_decoded(token).replace("~1", "/").replace("~0", "~");
            at = match at.child(&token) {
                Some(child) => child,
                None => {
                    return reference.refuse(format!("`{}` leads nowhere: no `{}` there", shown(text), shown(&token)));
                }
            };
        }
        Ok(at)
    }

    fn enter(&mut self, reference: &At<'a>, target: &At<'a>) -> Result<()> {
        let pointer = target.pointer();
        let here = reference.pointer();
        let within = |outer: &str| here.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        if self.open.contains(&pointer) || within(&pointer) {
            return reference.refuse(format!(
                "`#{}` contains itself; a table's columns cannot nest without end. Leave the property undeclared and it is \
                 kept in `extra`",
                shown(&pointer)
            ));
        }
        self.expanded_bytes += size_bytes(target.value);
        if self.expanded_bytes > limits::SCHEMA_EXPANDED_BYTES {
            return reference.refuse(format!(
                "with every `$ref` written out the schema has more than {} bytes",
                limits::SCHEMA_EXPANDED_BYTES
            ));
        }
        self.reached.insert(pointer.clone());
        self.open.push(pointer);
        Ok(())
    }
}

/// What a value takes, written as JSON, near enough.
fn size_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 8,
        Value::Array(items) => items.iter().map(size_bytes).sum::<usize>() + 8,
        Value::Object(members) => {
            members.iter().map(|(name, value)| name.len() + 8 + size_bytes(value)).sum::<usize>() + 8
        }
    }
}

/// Undoes the percent-encoding of a URI's fragment; what is none stays as it is.
fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
