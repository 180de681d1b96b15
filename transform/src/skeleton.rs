//! Recognises events that are built like earlier ones, and reads only their values.
//!
//! Producers write their events with one piece of code, so that from one event to the next all that lies between the values is
//! the same, byte for byte: braces, keys, colons, commas. A *skeleton* is that text, learned from an event that was scanned and
//! judged. An event that follows a known skeleton is read value by value, each straight into its cell: its keys need no lookup,
//! no name can stand twice, and what is missing is known. Whatever else an event is, or whatever in it breaks the schema,
//! it is scanned and judged as if there were no skeletons; they change how long reading takes and nothing else.

use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::dataset::{Nulls, Required};

use crate::decimal;
use crate::draft::{Cell, Draft, Place};
use crate::judge::{Reading, attribute_place, is_attribute, is_near};
use crate::plan::{FieldPlan, KindPlan, Plan};
use crate::scan::{Scanner, plain};
use crate::tape::{Kind, Token};
use crate::time;
use crate::value::{self, Read};

/// How many skeletons are kept for each dataset, the one last used first.
const KEPT: usize = 8;

/// Every so manieth event that follows none is learned, so that a stream without any order costs little.
const LEARNED_EVERY: u32 = 8;

/// The most values of an event that is learned.
const VALUES: usize = 256;

/// What a value becomes.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Id,
    Source,
    Type,
    Time,
    /// The cell of this number, held to the field's rules.
    Cell(u32, Arc<FieldPlan>),
    /// A field that is kept in the column `extra`.
    Kept,
    /// A member of the event's own object that is kept under `_event`.
    Framing,
    /// Nothing: a value that only says what every event says.
    Dropped,
}

/// The members of one event as it is judged, from which its skeleton is learned.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    members: Vec<(Token, Token, Target)>,
    filled_in: Vec<(usize, Arc<FieldPlan>)>,
    wanted: bool,
}

impl Trace {
    /// Notes what a member became.
    #[inline]
    pub(crate) fn note(&mut self, key: Token, value: Token, target: impl FnOnce() -> Target) {
        if self.wanted {
            self.members.push((key, value, target()));
        }
    }

    /// Notes that a cell was given its field's default.
    pub(crate) fn fill_in(&mut self, cell: usize, field: &Arc<FieldPlan>) {
        if self.wanted {
            self.filled_in.push((cell, field.clone()));
        }
    }

    /// Gives up on this event: it holds what a skeleton cannot describe.
    pub(crate) fn spoil(&mut self) {
        self.wanted = false;
    }
}

/// The skeletons known of one dataset.
#[derive(Debug, Default)]
struct Known {
    skeletons: Vec<Skeleton>,
    missed: u32,
}

/// The skeletons known, by the number of the dataset's plan.
#[derive(Debug, Default)]
pub(crate) struct Skeletons(Vec<Known>);

#[derive(Debug)]
struct Skeleton {
    steps: Vec<Step>,
    /// What follows the last value.
    tail: Box<[u8]>,
    /// The cells of an event whose values are all still missing.
    cells: Vec<Cell>,
    /// The cells that are given their fields' defaults.
    filled_in: Vec<(usize, Arc<FieldPlan>)>,
}

#[derive(Debug)]
struct Step {
    /// What lies between the value before and this one.
    before: Literal,
    /// How far before its value the key begins and ends, without quotes.
    key: (u32, u32),
    target: Target,
}

/// Reads an event that follows a known skeleton into the draft; `false`: it has to be scanned and judged.
#[inline]
pub(crate) fn recognise(draft: &mut Draft, plan: &Plan, event: &str, arrival: Micros) -> bool {
    draft.trace.wanted = false;
    let mut skeletons = std::mem::take(&mut draft.skeletons);
    let found = skeletons.0.get_mut(plan.number).is_some_and(|known| {
        let followed = known.skeletons.iter().position(|skeleton| skeleton.follow(draft, event).is_some());
        if let Some(at @ 1..) = followed {
            known.skeletons.swap(at, 0);
        }
        followed.is_some()
    });
    draft.skeletons = skeletons;
    found && draft.time.is_none_or(|time| is_near(plan, time, arrival))
}

/// Makes the draft ready to note how the event is built that is about to be judged, if it is worth it.
pub(crate) fn prepare(draft: &mut Draft, plan: &Plan) {
    if draft.skeletons.0.len() <= plan.number {
        draft.skeletons.0.resize_with(plan.number + 1, Known::default);
    }
    let known = &mut draft.skeletons.0[plan.number];
    draft.trace.members.clear();
    draft.trace.filled_in.clear();
    let dataset = &plan.dataset;
    let keeps_all = dataset.dropped_events.is_empty() && dataset.dropped_fields.is_empty();
    draft.trace.wanted = known.missed.is_multiple_of(LEARNED_EVERY) && keeps_all;
    known.missed = known.missed.wrapping_add(1);
}

/// Learns the skeleton of the event that has just been judged and has become a row.
pub(crate) fn learn(draft: &mut Draft, plan: &Plan, event: &str) {
    let members = &draft.trace.members;
    let keys_are_plain = members.iter().all(|(key, ..)| key.kind == Kind::Text);
    if !draft.trace.wanted || !(1..=VALUES).contains(&members.len()) || !keys_are_plain {
        return;
    }
    draft.trace.members.sort_unstable_by_key(|(_, value, _)| value.start);
    let mut skeleton = Skeleton {
        steps: Vec::new(),
        tail: Box::default(),
        cells: draft.cells.clone(),
        filled_in: draft.trace.filled_in.clone(),
    };
    for (cell, _) in &skeleton.filled_in {
        skeleton.cells[*cell] = Cell::Missing;
    }
    let bytes = event.as_bytes();
    let mut from = 0;
    for (key, value, target) in &draft.trace.members {
        let quote = usize::from(value.is_text());
        let start = value.start as usize - quote;
        if matches!(target, Target::Dropped) {
            continue;
        }
        if let Target::Cell(cell, _) = target {
            skeleton.cells[*cell as usize] = Cell::Missing;
        }
        skeleton.steps.push(Step {
            before: Literal::new(&bytes[from..start]),
            key: (start as u32 - key.start, start as u32 - key.end),
            target: target.clone(),
        });
        from = value.end as usize + quote;
    }
    skeleton.tail = bytes[from..].into();
    let known = &mut draft.skeletons.0[plan.number].skeletons;
    known.insert(0, skeleton);
    known.truncate(KEPT);
}

impl Skeleton {
    /// Reads an event that follows this skeleton and breaks no rule.
    fn follow(&self, draft: &mut Draft, event: &str) -> Option<()> {
        draft.begin_with(&self.cells);
        for (cell, field) in &self.filled_in {
            draft.fill_in(*cell, field);
        }
        let mut scanner = Scanner::new(event);
        for step in &self.steps {
            if !step.before.begins(&scanner.bytes[scanner.at..]) {
                return None;
            }
            scanner.at += step.before.text.len();
            if let Some((followed, end)) = step.quick(draft, event, scanner.at) {
                followed?;
                scanner.at = end;
                continue;
            }
            let start = scanner.at as u32;
            let value = scanner.simple_value()?;
            let is_null = value.kind == Kind::Null;
            match &step.target {
                Target::Id if !is_null => draft.id = Some(attribute_place(draft, event, "id", value)?),
                Target::Source if !is_null => draft.source = Some(attribute_place(draft, event, "source", value)?),
                Target::Type if !is_null => draft.event_type = Some(attribute_place(draft, event, "type", value)?),
                Target::Time if !is_null => draft.time = Some(value::read_time(draft, event, value)?),
                Target::Cell(cell, field) => {
                    let read = if is_null {
                        (field.required == Required::No || field.values.nulls == Nulls::Listed).then_some(Cell::Null)?
                    } else {
                        match value::read_field(draft, event, field, value, Reading::Cleaned) {
                            Ok(Read::Cell(cell)) => cell,
                            _ => return None,
                        }
                    };
                    draft.cells[*cell as usize] = read;
                }
                Target::Kept => draft.keep_field(event, step.key(start), value),
                Target::Framing => draft.keep_framing(event, step.key(start), value),
                _ => {}
            }
        }
        (scanner.bytes[scanner.at..] == *self.tail).then_some(())
    }
}

impl Step {
    /// Reads a value of the most frequent kinds, a plain text or a decimal number, that is held to no more than a rule; returns
    /// whether it keeps the rule, and where it ends. `None`: it is none of these, and nothing has been done.
    #[inline]
    fn quick(&self, draft: &mut Draft, event: &str, at: usize) -> Option<(Option<()>, usize)> {
        let bytes = event.as_bytes();
        let field = match &self.target {
            Target::Cell(cell, field) if field.is_plain() => Some((*cell as usize, field)),
            Target::Id | Target::Source | Target::Type | Target::Time => None,
            _ => return None,
        };
        if bytes.get(at) == Some(&b'"') {
            let (start, end) = (at + 1, plain::end(bytes, at + 1));
            if bytes.get(end) != Some(&b'"') {
                return None;
            }
            let place = Place::Sent { start: start as u32, end: end as u32 };
            let attribute = |slot: &mut Option<Place>| is_attribute(place).then(|| *slot = Some(place));
            let kept = match (&self.target, field) {
                (Target::Id, _) => attribute(&mut draft.id),
                (Target::Source, _) => attribute(&mut draft.source),
                (Target::Type, _) => attribute(&mut draft.event_type),
                (Target::Time, _) => time::from_text(&event[start..end]).map(|time| draft.time = Some(time)),
                (_, Some((cell, field))) => match &field.values.kind {
                    KindPlan::Text(rule) => {
                        rule.check(&event[start..end]).ok().map(|()| draft.cells[cell] = Cell::Text(place))
                    }
                    _ => return None,
                },
                _ => return None,
            };
            return Some((kept, end + 1));
        }
        let (cell, field) = field?;
        let KindPlan::Number(rule) = &field.values.kind else { return None };
        let (number, length) = decimal::at_start(&bytes[at..])?;
        let kept = rule.check_number(number).ok().map(|()| draft.cells[cell] = Cell::Number(number));
        Some((kept, at + length))
    }

    /// The key of a value that starts here.
    fn key(&self, start: u32) -> Token {
        Token { kind: Kind::Text, start: start - self.key.0, end: start - self.key.1, next: 0 }
    }
}

/// A text that is looked for at one place, compared word by word.
#[derive(Debug)]
struct Literal {
    text: Box<[u8]>,
    /// Its first bytes as a word, and which of the word's bits are its own.
    first: u64,
    mask: u64,
    middle: u64,
    last: u64,
}

impl Literal {
    fn new(text: &[u8]) -> Self {
        let mut padded = [0; 8];
        let short = text.len().min(8);
        padded[..short].copy_from_slice(&text[..short]);
        Self {
            first: u64::from_le_bytes(padded),
            mask: if short == 8 { u64::MAX } else { (1 << (8 * short)) - 1 },
            middle: text.get(8..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes)),
            last: text.last_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes)),
            text: text.into(),
        }
    }

    /// Whether it stands at the beginning of these bytes.
    #[inline]
    fn begins(&self, bytes: &[u8]) -> bool {
        let length = self.text.len();
        let Some(first) = bytes.first_chunk::<8>() else { return bytes.starts_with(&self.text) };
        if u64::from_le_bytes(*first) & self.mask != self.first {
            return false;
        }
        if length <= 8 {
            return true;
        }
        let Some(found) = bytes.get(..length) else { return false };
        let word = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
        word(found.last_chunk()) == self.last
            && match length {
                ..=16 => true,
                17..=24 => word(found[8..].first_chunk()) == self.middle,
                _ => *found == *self.text,
            }
    }
}

#[cfg(test)]
mod tests;
