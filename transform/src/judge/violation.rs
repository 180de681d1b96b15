//! What in an event breaks its dataset's schema, and the fault that it makes when policy does not forgive it.

use alluvium_core::ReasonCode;

use crate::fault::{Fault, shown};
use crate::plan::{FieldPlan, Plan, ValuePlan};
use crate::tape::{At, Tape};
use crate::value::Misfit;

/// Stands for the place of an object `data` that is not there.
pub(super) const ABSENT_DATA: At = At(u32::MAX);

/// One value that breaks the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Violation<'a> {
    /// The value that is held to be wrong: for a field that is missing or refused, its object.
    pub(super) at: At,
    pub(super) breach: Breach<'a>,
}

/// How a value breaks the schema.
#[derive(Debug, Clone, Copy)]
pub(super) enum Breach<'a> {
    /// It is not what it must be.
    Misfit(&'a ValuePlan, Misfit),
    /// It lacks a field that it must have, or has null there.
    Missing(&'a FieldPlan),
    /// It has a field, at this place, that the schema does not declare and refuses.
    Undeclared(At),
}

impl Violation<'_> {
    /// The place that JSON Schema names as the one that is wrong.
    #[cfg(test)]
    pub(super) fn location(&self) -> At {
        self.at
    }

    fn fault(&self, plan: &Plan, event: &str, tape: &Tape) -> Fault {
        match self.breach {
            Breach::Misfit(values, misfit) => {
                let pointer = tape.pointer(event, self.at);
                let sent = match values.hidden_by {
                    None => shown(tape.token(self.at).raw(event)),
                    Some(_) => "a value that is not shown".to_owned(),
                };
                let detail = format!("`{}` is {sent}, which {}", named(&pointer), misfit.sentence(&values.kind));
                Fault::new(ReasonCode::SchemaViolated, detail).at(pointer)
            }
            Breach::Missing(field) => {
                let object = if self.at == ABSENT_DATA { "/data".to_owned() } else { tape.pointer(event, self.at) };
                let mut members = (self.at != ABSENT_DATA).then(|| tape.members(self.at)).into_iter().flatten();
                let leads_here = |name: &str| name == &*field.name || field.aliases.iter().any(|alias| alias == name);
                let lack = if members.any(|(key, _)| leads_here(key.text(event))) { "null" } else { "missing" };
                let by = if object.is_empty() || object == "/data" {
                    format!("the dataset `{}`", plan.dataset.name)
                } else {
                    format!("`{}`", named(&object))
                };
                let detail = format!("`{}` is {lack}, and {by} requires it", field.name);
                Fault::new(ReasonCode::RequiredMissing, detail).at(format!("{object}/{}", escaped(&field.name)))
            }
            Breach::Undeclared(at) => {
                let pointer = tape.pointer(event, at);
                let detail =
                    format!("the dataset `{}` declares no field `{}`", plan.dataset.name, shown(named(&pointer)));
                Fault::new(ReasonCode::UndeclaredField, detail).at(pointer)
            }
        }
    }
}

/// The fault that an event's violations make: the first described, the others counted.
#[cold]
pub(super) fn fault(violations: &[Violation<'_>], plan: &Plan, event: &str, tape: &Tape) -> Fault {
    let (first, others) = violations.split_first().expect("an event that does not fit has a violation");
    let mut fault = first.fault(plan, event, tape);
    match others.len() {
        0 => {}
        1 => fault.detail.push_str("; one more value breaks the schema"),
        more => fault.detail.push_str(&format!("; {more} more values break the schema")),
    }
    fault
}

/// How a value is named in a sentence: by its pointer, without what every event has.
fn named(pointer: &str) -> &str {
    let pointer = pointer.strip_prefix("/data/").unwrap_or(pointer);
    pointer.strip_prefix('/').unwrap_or(pointer)
}

/// A name as it stands in a JSON pointer (RFC 6901).
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
