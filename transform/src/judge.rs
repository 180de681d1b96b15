//! Judges one event against its dataset: cells for a row, or the fault for which it becomes a dead letter.
//!
//! **Forms.** An event is in the *envelope form* when it has `specversion`, or its member `data` is an object and the dataset
//! declares no property `data`. Then its properties are the members of `data`; `id`, `source`, `type` and `time` are attributes;
//! `specversion` `"1.0"` and `datacontenttype` `"application/json"` are dropped as framing, and every other member is kept in
//! `extra` under `_event`. Otherwise it is in the *bare form*: `id`, `source`, `type` and `time` are attributes unless the
//! dataset declares a property of that name, and every other member is a property or an undeclared field. Whose data it is
//! never comes from the event.
//!
//! **Attributes.** `id` is a text of 1 to 1,024 bytes or a number (its text), `source` likewise, `type` a text of 1 to 1,024
//! bytes; null counts as missing.
//!
//! **Faults.** The first one decides: members in the order in which they were sent, then names that stand twice, then missing
//! properties, then the distance of `time` from the arrival.

use alluvium_core::ReasonCode;
use alluvium_core::clock::Micros;
use alluvium_core::dataset::{Misfits, Nulls, Required, Undeclared};
use rustc_hash::FxHashMap;

use crate::draft::{Cell, Draft, Place};
use crate::fault::{Fault, shown};
use crate::plan::{Meaning, Plan, attribute};
use crate::scan::{Kind, Member, Members, Token};
use crate::value;

/// The longest `id`, `source` or `type`, in bytes.
const ATTRIBUTE_BYTES: usize = 1024;

/// Reads a scanned event into the draft.
///
/// # Errors
///
/// The fault for which it becomes a dead letter.
pub(crate) fn judge(
    draft: &mut Draft,
    plan: &Plan,
    event: &str,
    members: &Members,
    arrival: Micros,
) -> Result<(), Fault> {
    draft.begin(plan.dataset.object.properties.len());
    let mut judge = Judge { draft, plan, event };
    if has_envelope_form(plan, event, members) {
        judge.frame(members)?;
        judge.fields(&members.data, &plan.data, &["data"])?;
    } else {
        judge.fields(&members.event, &plan.bare, &[])?;
    }
    judge.time_near(arrival)
}

fn has_envelope_form(plan: &Plan, event: &str, members: &Members) -> bool {
    members.event.iter().any(|member| match member.key.text(event) {
        "specversion" => !plan.declares("specversion"),
        "data" => member.value.kind == Kind::Object && !plan.declares("data"),
        _ => false,
    })
}

struct Judge<'a> {
    draft: &'a mut Draft,
    plan: &'a Plan,
    event: &'a str,
}

impl Judge<'_> {
    /// The members beside `data` of an event in the envelope form.
    fn frame(&mut self, members: &Members) -> Result<(), Fault> {
        for member in &members.event {
            let place = self.draft.text(self.event, member.key);
            self.draft.names.push(place);
            let name = self.draft.resolve(self.event, place);
            let is = |text: &str| member.value.kind == Kind::Text && member.value.text(self.event) == text;
            match name {
                "data" if member.value.kind == Kind::Object => {}
                "specversion" if is("1.0") => {}
                "datacontenttype" if is("application/json") => {}
                name => match attribute(name) {
                    Some(meaning) => self.attribute(meaning, member)?,
                    None => self.draft.keep_framing(self.event, member.key, member.value),
                },
            }
        }
        self.no_repeated_name(&[])?;
        self.draft.names.clear();
        Ok(())
    }

    /// The members of the object that holds the properties; `path` leads there.
    fn fields(&mut self, members: &[Member], names: &FxHashMap<Box<str>, Meaning>, path: &[&str]) -> Result<(), Fault> {
        for member in members {
            let place = self.draft.text(self.event, member.key);
            let name = self.draft.resolve(self.event, place);
            match names.get(name) {
                Some(Meaning::Property(property)) => self.property(*property, member, path)?,
                Some(meaning) => {
                    self.draft.names.push(place);
                    self.attribute(*meaning, member)?;
                }
                None => self.undeclared(place, member, path)?,
            }
        }
        self.no_repeated_name(path)?;
        self.all_required(path)
    }

    #[inline]
    fn property(&mut self, property: usize, member: &Member, path: &[&str]) -> Result<(), Fault> {
        if self.draft.cells[property] != Cell::Missing {
            return Err(self.repeated_property(property, member, path));
        }
        self.draft.cells[property] = if member.value.kind == Kind::Null {
            Cell::Null
        } else {
            match value::read(self.draft, self.event, self.plan, property, member.value) {
                Ok(cell) => cell,
                Err(misfit) => {
                    let declared = &self.plan.dataset.object.properties[property];
                    if declared.required != Required::No || self.plan.dataset.misfits == Misfits::Refused {
                        return Err(self.violated(property, misfit, member, path));
                    }
                    self.draft.keep_field(self.event, member.key, member.value);
                    Cell::Null
                }
            }
        };
        Ok(())
    }

    fn undeclared(&mut self, place: Place, member: &Member, path: &[&str]) -> Result<(), Fault> {
        if self.plan.dataset.object.undeclared == Undeclared::Refused {
            let name = self.draft.resolve(self.event, place);
            let detail = format!("the dataset `{}` declares no field `{}`", self.plan.dataset.name, shown(name));
            return Err(Fault::new(ReasonCode::UndeclaredField, detail).at(&[path, &[name]].concat()));
        }
        self.draft.names.push(place);
        self.draft.keep_field(self.event, member.key, member.value);
        Ok(())
    }

    fn attribute(&mut self, meaning: Meaning, member: &Member) -> Result<(), Fault> {
        let value = member.value;
        if value.kind == Kind::Null {
            return Ok(());
        }
        match meaning {
            Meaning::Id => self.draft.id = Some(self.attribute_text("id", value)?),
            Meaning::Source => self.draft.source = Some(self.attribute_text("source", value)?),
            Meaning::Type => self.draft.event_type = Some(self.attribute_text("type", value)?),
            Meaning::Time => {
                let time = value::read_time(self.draft, self.event, value);
                self.draft.time = Some(time.ok_or_else(|| self.unreadable_time(value))?);
            }
            Meaning::Property(_) => unreachable!("the caller has told properties from attributes"),
        }
        Ok(())
    }

    fn attribute_text(&mut self, name: &str, value: Token) -> Result<Place, Fault> {
        let number_fits = name != "type" && matches!(value.kind, Kind::Integer | Kind::Decimal);
        if value.is_text() || number_fits {
            let place = self.draft.text(self.event, value);
            if (1..=ATTRIBUTE_BYTES).contains(&self.draft.resolve(self.event, place).len()) {
                return Ok(place);
            }
        }
        let expected = if name == "type" { "a string" } else { "a string or number" };
        let sent = shown(value.raw(self.event));
        let detail = format!("`{name}` is {sent}; expected {expected} of 1 to {ATTRIBUTE_BYTES} bytes");
        Err(Fault::new(ReasonCode::BadAttribute, detail).at(&[name]))
    }

    fn unreadable_time(&self, value: Token) -> Fault {
        let detail = format!(
            "`time` is {} and cannot be read; expected a time such as 2014-02-14T14:30:00Z or a count since the epoch",
            shown(value.raw(self.event))
        );
        Fault::new(ReasonCode::TimeUnreadable, detail).at(&["time"])
    }

    fn no_repeated_name(&self, path: &[&str]) -> Result<(), Fault> {
        match self.draft.repeated_name(self.event) {
            None => Ok(()),
            Some(name) => Err(repeated(name, path)),
        }
    }

    #[cold]
    fn repeated_property(&self, property: usize, member: &Member, path: &[&str]) -> Fault {
        let declared = &self.plan.dataset.object.properties[property].name;
        let mut fault = repeated(declared, path);
        if member.key.text(self.event) != declared || !self.plan.dataset.object.properties[property].aliases.is_empty()
        {
            fault.detail.push_str(", under its own name or an alias");
        }
        fault
    }

    #[cold]
    fn violated(&mut self, property: usize, misfit: value::Misfit, member: &Member, path: &[&str]) -> Fault {
        let place = self.draft.text(self.event, member.key);
        let name = self.draft.resolve(self.event, place);
        let sent = shown(member.value.raw(self.event));
        let detail = format!("`{}` is {sent}, which {}", shown(name), misfit.sentence(self.plan, property));
        Fault::new(ReasonCode::SchemaViolated, detail).at(&[path, &[name]].concat())
    }

    #[inline]
    fn all_required(&self, path: &[&str]) -> Result<(), Fault> {
        for (declared, cell) in self.plan.dataset.object.properties.iter().zip(&self.draft.cells) {
            let lacks = match (declared.required, declared.values.nulls) {
                (Required::No, _) => false,
                (Required::Yes, Nulls::Listed) => *cell == Cell::Missing,
                (Required::Yes, Nulls::NotListed) => matches!(cell, Cell::Missing | Cell::Null),
            };
            if lacks {
                let lack = if *cell == Cell::Null { "null" } else { "missing" };
                let detail =
                    format!("`{}` is {lack}, and the dataset `{}` requires it", declared.name, self.plan.dataset.name);
                return Err(Fault::new(ReasonCode::RequiredMissing, detail).at(&[path, &[&declared.name]].concat()));
            }
        }
        Ok(())
    }

    fn time_near(&self, arrival: Micros) -> Result<(), Fault> {
        let Some(time) = self.draft.time else { return Ok(()) };
        let ahead = time.saturating_sub(arrival);
        let (reason, side, limit) = if ahead > self.plan.max_future_micros {
            (ReasonCode::TimeInFuture, "after", self.plan.dataset.max_future)
        } else if ahead < -self.plan.max_past_micros {
            (ReasonCode::TimeInPast, "before", self.plan.dataset.max_past)
        } else {
            return Ok(());
        };
        let detail = format!(
            "`time` lies {} seconds {side} the arrival; the dataset `{}` allows {}",
            ahead.unsigned_abs() / 1_000_000,
            self.plan.dataset.name,
            alluvium_core::duration::format(limit)
        );
        Err(Fault::new(reason, detail).at(&["time"]))
    }
}

fn repeated(name: &str, path: &[&str]) -> Fault {
    let detail = format!("`{}` stands twice, and it cannot be told which value was meant", shown(name));
    Fault::new(ReasonCode::DuplicateKey, detail).at(&[path, &[name]].concat())
}

#[cfg(test)]
mod tests;
