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
//! **Validation and policy.** The walk over the event lists *violations* (`violation`); policy decides what becomes of each. A
//! value that does not fit an optional property is null in its column and kept in `extra` under the same names; so an optional
//! field of a nested object does not take its object with it. A value that does not fit a required property makes its object not
//! fit, an item that does not fit its array; at the outermost, the event becomes a dead letter. So it does in a strict dataset,
//! and where an undeclared field is refused. A field that is left over within an array's items cannot be named there: then
//! the whole array is kept in `extra` beside its column.
//!
//! **Faults.** What is wrong with attributes and names that stand twice decides before violations of the schema, and these
//! before the distance of `time` from the arrival; of several violations the first is described and the others are counted.

mod hidden;
mod violation;

use std::sync::Arc;

use alluvium_core::ReasonCode;
use alluvium_core::clock::Micros;
use alluvium_core::dataset::{Misfits, Nulls, Required, Undeclared, all_differ};

use crate::draft::{Cell, Draft, Place};
use crate::fault::{Fault, shown};
use crate::plan::{FieldPlan, KindPlan, Meaning, Names, ObjectPlan, Plan, ValuePlan};
use crate::skeleton::{self, Target};
use crate::tape::{At, Kind, Tape, Token};
use crate::value::{self, Misfit, Read};
use violation::{Breach, Violation};

/// The longest `id`, `source` or `type`, in bytes.
const ATTRIBUTE_BYTES: usize = 1024;

/// What becomes of an event that is not at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// The draft holds its row.
    Row,
    /// A rule of the dataset drops it.
    Filtered,
}

/// How values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// With cleaning; violations that policy forgives are forgotten.
    Cleaned,
    /// As JSON Schema has it: nothing is cleaned, every violation is listed.
    #[cfg(test)]
    AsSent,
}

/// Reads a scanned event into the draft.
///
/// # Errors
///
/// The fault for which it becomes a dead letter.
pub(crate) fn judge(
    draft: &mut Draft,
    plan: &Plan,
    event: &str,
    tape: &Tape,
    arrival: Micros,
) -> Result<Judged, Fault> {
    skeleton::prepare(draft, plan);
    draft.begin(plan.object.fields.len());
    let mut judge = Judge::new(draft, plan, event, tape, Reading::Cleaned);
    let fits = judge.event()?;
    if plan.filters.drop(judge.draft, event) {
        return Ok(Judged::Filtered);
    }
    judge.allow(fits)?;
    judge.time_near(arrival)?;
    skeleton::learn(draft, plan, event);
    Ok(Judged::Row)
}

/// Whether an event's time lies near enough to its arrival.
pub(crate) fn is_near(plan: &Plan, time: Micros, arrival: Micros) -> bool {
    let ahead = time.saturating_sub(arrival);
    ahead <= plan.max_future_micros && ahead >= -plan.max_past_micros
}

/// The place of an attribute's text, if it is one that the attribute can have.
#[inline]
pub(crate) fn attribute_place(draft: &mut Draft, event: &str, name: &str, value: Token) -> Option<Place> {
    let number_fits = name != "type" && matches!(value.kind, Kind::Integer | Kind::Decimal);
    if !value.is_text() && !number_fits {
        return None;
    }
    let place = draft.text(event, value);
    is_attribute(place).then_some(place)
}

/// Whether a text is as long as an attribute may be.
#[inline]
pub(crate) fn is_attribute(text: Place) -> bool {
    text.fits(1..=ATTRIBUTE_BYTES as u32)
}

/// The JSON pointers of all values that break the dataset's schema as JSON Schema has it, nothing being cleaned, in order and
/// without repeats. The event is in the bare form; its attributes are left out of the account.
#[cfg(test)]
pub(crate) fn violations(plan: &Plan, event: &str, tape: &Tape) -> Vec<String> {
    let mut draft = Draft::default();
    draft.begin(plan.object.fields.len());
    let mut judge = Judge::new(&mut draft, plan, event, tape, Reading::AsSent);
    judge.object(&plan.object, &plan.object.names, Tape::EVENT, 0).expect("no name stands twice");
    let mut pointers: Vec<String> =
        judge.violations.iter().map(|violation| tape.pointer(event, violation.location())).collect();
    pointers.sort();
    pointers.dedup();
    pointers
}

struct Judge<'a> {
    draft: &'a mut Draft,
    plan: &'a Plan,
    event: &'a str,
    tape: &'a Tape,
    reading: Reading,
    /// Those that policy has not forgiven.
    violations: Vec<Violation<'a>>,
    /// Whether an undeclared field is refused.
    closed: bool,
    /// How many objects are open that hold properties.
    objects: u32,
    /// How many arrays are open.
    arrays: u32,
    /// Whether a field was left over inside the outermost open array.
    left_over: bool,
    /// Attributes met, one bit each.
    attributes: u8,
}

impl<'a> Judge<'a> {
    fn new(draft: &'a mut Draft, plan: &'a Plan, event: &'a str, tape: &'a Tape, reading: Reading) -> Self {
        let violations = Vec::new();
        Self {
            draft,
            plan,
            event,
            tape,
            reading,
            violations,
            closed: false,
            objects: 0,
            arrays: 0,
            left_over: false,
            attributes: 0,
        }
    }

    /// Reads the event; returns whether its data fits.
    fn event(&mut self) -> Result<bool, Fault> {
        let plan = self.plan;
        match self.envelope_form() {
            None => self.object(&plan.object, &plan.bare, Tape::EVENT, 0),
            Some(data) => {
                self.frame()?;
                match data {
                    Some(data) => self.object(&plan.object, &plan.object.names, data, 0),
                    None => Ok(self.missing(&plan.object, violation::ABSENT_DATA, 0)),
                }
            }
        }
    }

    /// Lets an event pass whose data fits.
    fn allow(&self, fits: bool) -> Result<(), Fault> {
        if fits && !self.closed {
            return Ok(());
        }
        Err(violation::fault(&self.violations, self.plan, self.event, self.tape))
    }

    /// Whether the event has the envelope form, and the place of its data.
    fn envelope_form(&self) -> Option<Option<At>> {
        let mut has_version = false;
        let mut data = None;
        for (key, value) in self.tape.members(Tape::EVENT) {
            match key.text(self.event) {
                "data" if self.tape.token(value).kind == Kind::Object => data = Some(value),
                "specversion" => has_version = true,
                _ => {}
            }
        }
        let has_version = has_version && !self.plan.declares("specversion");
        (has_version || data.is_some() && !self.plan.declares("data")).then_some(data)
    }

    /// The members beside `data` of an event in the envelope form.
    fn frame(&mut self) -> Result<(), Fault> {
        let names = &self.plan.frame;
        for (position, (key, value)) in self.tape.members(Tape::EVENT).enumerate() {
            let token = self.tape.token(value);
            let is = |text: &str| token.kind == Kind::Text && token.text(self.event) == text;
            match self.meaning(names, position, key) {
                Meaning::Data => {
                    self.once(Meaning::Data, "data")?;
                    if token.kind != Kind::Object {
                        self.frame_member(key, token);
                    }
                }
                meaning @ (Meaning::Framing | Meaning::Undeclared) => {
                    let place = self.draft.text(self.event, key);
                    self.draft.names.push(place);
                    if meaning == Meaning::Undeclared || !is("1.0") && !is("application/json") {
                        self.frame_member(key, token);
                    } else {
                        self.draft.trace.note(key, token, || Target::Dropped);
                    }
                }
                Meaning::Dropped => self.dropped(key),
                attribute => self.attribute(attribute, key, token)?,
            }
        }
        self.no_repeated_name(Tape::EVENT, 0)
    }

    fn frame_member(&mut self, key: Token, value: Token) {
        self.draft.keep_framing(self.event, key, value);
        match value.kind {
            Kind::Object | Kind::Array => self.draft.trace.spoil(),
            _ => self.draft.trace.note(key, value, || Target::Framing),
        }
    }

    /// What a key means in a list of names.
    #[inline]
    fn meaning(&mut self, names: &Names, position: usize, key: Token) -> Meaning {
        if key.kind != Kind::Text {
            let place = self.draft.text(self.event, key);
            return names.meaning(self.draft.resolve(self.event, place));
        }
        let text = key.text(self.event);
        if let Some(meaning) = self.draft.guesses.recall(names.list, position, text) {
            return meaning;
        }
        let meaning = names.meaning(text);
        self.draft.guesses.learn(names.list, position, text, meaning);
        meaning
    }

    /// Reads an object into the cells from `first` on; returns whether it fits.
    fn object(&mut self, object: &'a ObjectPlan, names: &'a Names, at: At, first: usize) -> Result<bool, Fault> {
        let names_before = self.draft.names.len();
        let mut fits = true;
        self.objects += 1;
        for (position, (key, value)) in self.tape.members(at).enumerate() {
            match self.meaning(names, position, key) {
                Meaning::Field(field) => {
                    let cell = first + field as usize;
                    fits &= self.field(&object.fields[field as usize], cell, key, value)?;
                }
                Meaning::Dropped if self.reading == Reading::Cleaned => self.dropped(key),
                Meaning::Dropped | Meaning::Undeclared => self.undeclared(object, at, key, value),
                attribute => self.attribute(attribute, key, self.tape.token(value))?,
            }
        }
        self.objects -= 1;
        if self.draft.names.len() > names_before {
            self.no_repeated_name(at, names_before)?;
        }
        Ok(self.missing(object, at, first) && fits)
    }

    /// Reads a field's value into its cell; returns whether its object still fits.
    #[inline]
    fn field(&mut self, field: &'a Arc<FieldPlan>, cell: usize, key: Token, at: At) -> Result<bool, Fault> {
        if self.draft.cells[cell] != Cell::Missing {
            return Err(self.repeated_field(field, key, at));
        }
        let token = self.tape.token(at);
        if !matches!(token.kind, Kind::Object | Kind::Array) {
            self.draft.trace.note(key, token, || Target::Cell(cell as u32, field.clone()));
        }
        if token.kind == Kind::Null {
            self.draft.cells[cell] = Cell::Null;
            return Ok(self.null_fits(&field.values, at));
        }
        let violations_before = self.violations.len();
        let read = match &field.values.kind {
            KindPlan::Object(_) | KindPlan::List(..) => self.nested_field(field, key, at)?,
            _ => self.scalar(field, key, at),
        };
        if let Some(read) = read {
            self.draft.cells[cell] = read;
            return Ok(true);
        }
        if field.required == Required::Yes || field.misfits == Misfits::Refused || self.reading != Reading::Cleaned {
            self.draft.cells[cell] = Cell::Unfit;
            return Ok(false);
        }
        self.draft.cells[cell] = Cell::Null;
        self.violations.truncate(violations_before);
        self.draft.trace.spoil();
        self.keep_value(&field.values, key, at);
        Ok(true)
    }

    #[inline]
    fn scalar(&mut self, field: &'a FieldPlan, key: Token, at: At) -> Option<Cell> {
        match value::read_field(self.draft, self.event, field, self.tape.token(at), self.reading) {
            Ok(Read::Cell(cell)) => Some(cell),
            Ok(Read::Beside(cell)) => {
                self.draft.trace.spoil();
                self.keep_value(&field.values, key, at);
                Some(cell)
            }
            Err(misfit) => {
                self.violated(&field.values, misfit, at);
                None
            }
        }
    }

    /// Reads an object or array that is a field's value. What is left over in an object is kept in `extra` under its names.
    fn nested_field(&mut self, field: &'a FieldPlan, key: Token, at: At) -> Result<Option<Cell>, Fault> {
        let token = self.tape.token(at);
        if self.arrays > 0 {
            return self.nested(&field.values, at);
        }
        if token.kind == Kind::Array {
            self.draft.trace.spoil();
            self.left_over = false;
            let read = self.nested(&field.values, at)?;
            if read.is_some() && self.left_over {
                self.keep_value(&field.values, key, at);
            }
            return Ok(read);
        }
        let open = self.draft.open_object(self.event, key);
        let read = self.nested(&field.values, at)?;
        match read {
            Some(_) => self.draft.close_object(open),
            None => self.draft.discard_object(open),
        }
        Ok(read)
    }

    /// Reads a value of any kind but null; `None` when it does not fit.
    fn nested(&mut self, values: &'a ValuePlan, at: At) -> Result<Option<Cell>, Fault> {
        let token = self.tape.token(at);
        match (&values.kind, token.kind) {
            (KindPlan::Object(object), Kind::Object) => {
                let first = self.draft.reserve(object.fields.len());
                let fits = self.object(object, &object.names, at, first)?;
                Ok(fits.then_some(Cell::Object { first: first as u32 }))
            }
            (KindPlan::List(items, rule), Kind::Array) => {
                self.arrays += 1;
                let read = self.list(items, at);
                self.arrays -= 1;
                let (first, count, mut fits) = read?;
                if let Err(misfit) = value::check_list(rule, count, || self.differ(at)) {
                    self.violated(values, misfit, at);
                    fits = false;
                }
                Ok(fits.then_some(Cell::List { first: first as u32, items: count as u32 }))
            }
            (KindPlan::Object(_) | KindPlan::List(..), _) => {
                self.violated(values, Misfit::Type, at);
                Ok(None)
            }
            _ => {
                let read = value::read(self.draft, self.event, values, token, self.reading);
                Ok(read.map_err(|misfit| self.violated(values, misfit, at)).ok())
            }
        }
    }

    /// Reads an array's items; returns the first one's cell, their number, and whether all fit.
    fn list(&mut self, items: &'a ValuePlan, at: At) -> Result<(usize, usize, bool), Fault> {
        let count = self.tape.items(at).count();
        let first = self.draft.reserve(count);
        let mut fits = true;
        for (index, item) in self.tape.items(at).enumerate() {
            let read = if self.tape.token(item).kind == Kind::Null {
                self.null_fits(items, item).then_some(Cell::Null)
            } else {
                self.nested(items, item)?
            };
            fits &= read.is_some();
            self.draft.cells[first + index] = read.unwrap_or(Cell::Null);
        }
        Ok((first, count, fits))
    }

    /// Whether no two items of an array are equal.
    fn differ(&self, at: At) -> bool {
        let text = self.tape.token(at).raw(self.event);
        // What the reference cannot hold, a number beyond its range, cannot be told apart either.
        serde_json::from_str::<Vec<serde_json::Value>>(text).is_ok_and(|items| all_differ(&items))
    }

    /// Whether null fits: unless it is listed, cleaning takes it for a value that is not there.
    fn null_fits(&mut self, values: &'a ValuePlan, at: At) -> bool {
        if values.nulls == Nulls::Listed || self.reading == Reading::Cleaned {
            return true;
        }
        self.violated(values, Misfit::Type, at);
        false
    }

    fn violated(&mut self, values: &'a ValuePlan, misfit: Misfit, at: At) {
        self.violations.push(Violation { at, breach: Breach::Misfit(values, misfit) });
    }

    /// Keeps a field in `extra`, where it can be named there.
    fn keep(&mut self, key: Token, value: Token) {
        if self.arrays > 0 {
            self.left_over = true;
        } else {
            self.draft.keep_field(self.event, key, value);
        }
    }

    /// Keeps a field's value in `extra`, with pseudonyms in place of what must not stand there.
    fn keep_value(&mut self, values: &ValuePlan, key: Token, at: At) {
        let (tape, event) = (self.tape, self.event);
        if values.hidden_by.is_none() || self.arrays > 0 {
            self.keep(key, tape.token(at));
        } else {
            self.draft.keep_written(event, key, |out| hidden::write(values, event, tape, at, out));
        }
    }

    /// Leaves a field out, which only must not stand twice.
    fn dropped(&mut self, key: Token) {
        self.draft.trace.spoil();
        let place = self.draft.text(self.event, key);
        self.draft.names.push(place);
    }

    fn undeclared(&mut self, object: &ObjectPlan, object_at: At, key: Token, at: At) {
        if object.undeclared == Undeclared::Refused {
            self.closed = true;
            self.violations.push(Violation { at: object_at, breach: Breach::Undeclared(at) });
            return;
        }
        let place = self.draft.text(self.event, key);
        self.draft.names.push(place);
        let value = self.tape.token(at);
        match value.kind {
            Kind::Object | Kind::Array => self.draft.trace.spoil(),
            // What is left over in a nested object stands under its names in `extra`, which a skeleton does not describe.
            _ if self.objects > 1 => self.draft.trace.spoil(),
            _ => self.draft.trace.note(key, value, || Target::Kept),
        }
        self.keep(key, value);
    }

    /// Fills in defaults; returns whether the object has all that it must have.
    #[inline]
    fn missing(&mut self, object: &'a ObjectPlan, at: At, first: usize) -> bool {
        let mut has_all = true;
        for index in &object.if_missing {
            let field = &object.fields[*index as usize];
            let cell = first + *index as usize;
            let lacks = match (self.draft.cells[cell], field.required) {
                (Cell::Missing, Required::Yes) => true,
                (Cell::Missing, Required::No) => {
                    self.draft.fill_in(cell, field);
                    false
                }
                // A value that was sent and did not fit has its own violation.
                (Cell::Null, Required::Yes) => {
                    field.values.nulls == Nulls::NotListed && self.reading == Reading::Cleaned
                }
                _ => false,
            };
            if lacks {
                has_all = false;
                self.violations.push(Violation { at, breach: Breach::Missing(field) });
            }
        }
        has_all
    }

    /// Marks an attribute as met.
    #[inline]
    fn once(&mut self, attribute: Meaning, name: &str) -> Result<(), Fault> {
        let bit = match attribute {
            Meaning::Id => 1,
            Meaning::Source => 2,
            Meaning::Type => 4,
            Meaning::Time => 8,
            _ => 16,
        };
        if self.attributes & bit != 0 {
            return Err(repeated(name, format!("/{name}")));
        }
        self.attributes |= bit;
        Ok(())
    }

    #[inline]
    fn attribute(&mut self, meaning: Meaning, key: Token, value: Token) -> Result<(), Fault> {
        let (name, target) = match meaning {
            Meaning::Id => ("id", Target::Id),
            Meaning::Source => ("source", Target::Source),
            Meaning::Type => ("type", Target::Type),
            _ => ("time", Target::Time),
        };
        self.once(meaning, name)?;
        self.draft.trace.note(key, value, || target);
        if value.kind == Kind::Null {
            return Ok(());
        }
        match meaning {
            Meaning::Id => self.draft.id = Some(self.attribute_text(name, value)?),
            Meaning::Source => self.draft.source = Some(self.attribute_text(name, value)?),
            Meaning::Type => self.draft.event_type = Some(self.attribute_text(name, value)?),
            _ => {
                let time = value::read_time(self.draft, self.event, value);
                self.draft.time = Some(time.ok_or_else(|| self.unreadable_time(value))?);
            }
        }
        Ok(())
    }

    fn attribute_text(&mut self, name: &str, value: Token) -> Result<Place, Fault> {
        if let Some(place) = attribute_place(self.draft, self.event, name, value) {
            return Ok(place);
        }
        let expected = if name == "type" { "a string" } else { "a string or number" };
        let sent = shown(value.raw(self.event));
        let detail = format!("`{name}` is {sent}; expected {expected} of 1 to {ATTRIBUTE_BYTES} bytes");
        Err(Fault::new(ReasonCode::BadAttribute, detail).at(format!("/{name}")))
    }

    fn unreadable_time(&self, value: Token) -> Fault {
        let detail = format!(
            "`time` is {} and cannot be read; expected a time such as 2014-02-14T14:30:00Z or a count since the epoch",
            shown(value.raw(self.event))
        );
        Fault::new(ReasonCode::TimeUnreadable, detail).at("/time".to_owned())
    }

    /// Checks the names met in an object since there were `since` of them, and forgets them.
    fn no_repeated_name(&mut self, object: At, since: usize) -> Result<(), Fault> {
        if let Some(name) = self.draft.repeated_name(self.event, since) {
            let pointer = format!("{}/{}", self.tape.pointer(self.event, object), violation::escaped(name));
            return Err(repeated(name, pointer));
        }
        self.draft.names.truncate(since);
        Ok(())
    }

    #[cold]
    fn repeated_field(&self, field: &FieldPlan, key: Token, at: At) -> Fault {
        let pointer = self.tape.pointer(self.event, at);
        let object = pointer.rsplit_once('/').map_or("", |(object, _)| object);
        let mut fault = repeated(&field.name, format!("{object}/{}", violation::escaped(&field.name)));
        if key.text(self.event) != &*field.name || !field.aliases.is_empty() {
            fault.detail.push_str(", under its own name or an alias");
        }
        fault
    }

    fn time_near(&self, arrival: Micros) -> Result<(), Fault> {
        let Some(time) = self.draft.time.filter(|time| !is_near(self.plan, *time, arrival)) else { return Ok(()) };
        let ahead = time.saturating_sub(arrival);
        let (reason, side, limit) = if ahead > 0 {
            (ReasonCode::TimeInFuture, "after", self.plan.dataset.max_future)
        } else {
            (ReasonCode::TimeInPast, "before", self.plan.dataset.max_past)
        };
        let detail = format!(
            "`time` lies {} seconds {side} the arrival; the dataset `{}` allows {}",
            ahead.unsigned_abs() / 1_000_000,
            self.plan.dataset.name,
            alluvium_core::duration::format(limit)
        );
        Err(Fault::new(reason, detail).at("/time".to_owned()))
    }
}

fn repeated(name: &str, pointer: String) -> Fault {
    let detail = format!("`{}` stands twice, and it cannot be told which value was meant", shown(name));
    Fault::new(ReasonCode::DuplicateKey, detail).at(pointer)
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
