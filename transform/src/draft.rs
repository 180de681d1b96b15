//! One event on its way into a row: its cells as they are read, before it is known whether all of it holds.
//!
//! A draft is used for one event after another and allocates nothing once it has grown. Its texts are places in the event
//! itself, or in a scratch text when they had escapes or were changed by cleaning.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::plan::{DefaultCell, FieldPlan};
use crate::scan::unescape;
use crate::skeleton::{Skeletons, Trace};
use crate::tape::{Kind, Token};

/// Where a text lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the event: it stands for itself.
    Sent { start: u32, end: u32 },
    /// In the draft's scratch text.
    Scratch { start: u32, end: u32 },
}

impl Place {
    /// A part of the text.
    pub(crate) fn part(self, part: std::ops::Range<usize>) -> Self {
        let within = |start: u32| (start + part.start as u32, start + part.end as u32);
        match self {
            Self::Sent { start, .. } => {
                let (start, end) = within(start);
                Self::Sent { start, end }
            }
            Self::Scratch { start, .. } => {
                let (start, end) = within(start);
                Self::Scratch { start, end }
            }
        }
    }

    /// Whether the text has so many bytes.
    pub(crate) fn fits(self, bytes: std::ops::RangeInclusive<u32>) -> bool {
        let (Self::Sent { start, end } | Self::Scratch { start, end }) = self;
        bytes.contains(&(end - start))
    }
}

/// One value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    /// The event does not have the property.
    Missing,
    /// It is null, or its value did not fit and stands in `extra`.
    Null,
    /// Its value did not fit, and so its object does not either.
    Unfit,
    Text(Place),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    /// Microseconds since the epoch.
    Timestamp(i64),
    /// Days since the epoch.
    Date(i32),
    /// The fields of a struct: as many cells as it has properties, from this one on.
    Object {
        first: u32,
    },
    /// The items of a list: so many cells from this one on.
    List {
        first: u32,
        items: u32,
    },
}

/// What has been read of one event.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) id: Option<Place>,
    pub(crate) source: Option<Place>,
    pub(crate) event_type: Option<Place>,
    /// Microseconds since the epoch; `None`: the event does not say.
    pub(crate) time: Option<i64>,
    /// One per property of the dataset, then those of nested values.
    pub(crate) cells: Vec<Cell>,
    /// The names met in the objects under way that are neither properties nor attributes, to find the one that stands twice.
    pub(crate) names: Vec<Place>,
    /// What the keys of earlier events meant.
    pub(crate) guesses: Guesses,
    /// How earlier events were built.
    pub(crate) skeletons: Skeletons,
    /// How this one is built.
    pub(crate) trace: Trace,
    scratch: String,
    rewritten: String,
    fields: String,
    framing: String,
}

impl Draft {
    /// Makes ready for an event of a dataset with this many properties.
    pub(crate) fn begin(&mut self, properties: usize) {
        self.forget();
        self.cells.clear();
        self.cells.resize(properties, Cell::Missing);
    }

    /// Makes ready for an event whose cells are these before its values are read.
    #[inline]
    pub(crate) fn begin_with(&mut self, cells: &[Cell]) {
        self.forget();
        self.cells.clear();
        self.cells.extend_from_slice(cells);
    }

    fn forget(&mut self) {
        self.id = None;
        self.source = None;
        self.event_type = None;
        self.time = None;
        self.names.clear();
        self.scratch.clear();
        self.fields.clear();
        self.framing.clear();
    }

    /// Gives a cell that is missing its field's default.
    pub(crate) fn fill_in(&mut self, cell: usize, field: &Arc<FieldPlan>) {
        self.cells[cell] = match &field.default {
            None => return,
            Some(DefaultCell::Text(text)) => Cell::Text(self.write(|scratch| scratch.push_str(text))),
            Some(DefaultCell::Integer(value)) => Cell::Integer(*value),
            Some(DefaultCell::Number(value)) => Cell::Number(*value),
            Some(DefaultCell::Boolean(value)) => Cell::Boolean(*value),
            Some(DefaultCell::Timestamp(value)) => Cell::Timestamp(*value),
            Some(DefaultCell::Date(value)) => Cell::Date(*value),
        };
        self.trace.fill_in(cell, field);
    }

    /// Makes room for so many cells of a nested value; returns the place of the first.
    pub(crate) fn reserve(&mut self, cells: usize) -> usize {
        let first = self.cells.len();
        self.cells.resize(first + cells, Cell::Missing);
        first
    }

    /// Where the text lies that a key or string stands for, or a number as it was sent.
    #[inline]
    pub(crate) fn text(&mut self, event: &str, token: Token) -> Place {
        if token.kind != Kind::EscapedText {
            return Place::Sent { start: token.start, end: token.end };
        }
        self.write(|scratch| unescape(token.text(event), scratch))
    }

    /// A place for a text that the event does not have as it is: what `write` appends to the scratch text.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut String)) -> Place {
        let start = self.scratch.len() as u32;
        write(&mut self.scratch);
        Place::Scratch { start, end: self.scratch.len() as u32 }
    }

    /// A place for another text that is made of the one at a place.
    pub(crate) fn rewrite(&mut self, event: &str, place: Place, write: impl FnOnce(&str, &mut String)) -> Place {
        let mut rewritten = std::mem::take(&mut self.rewritten);
        rewritten.clear();
        write(self.resolve(event, place), &mut rewritten);
        let place = self.write(|scratch| scratch.push_str(&rewritten));
        self.rewritten = rewritten;
        place
    }

    /// The text at a place.
    #[inline]
    pub(crate) fn resolve<'a>(&'a self, event: &'a str, place: Place) -> &'a str {
        match place {
            Place::Sent { start, end } => &event[start as usize..end as usize],
            Place::Scratch { start, end } => &self.scratch[start as usize..end as usize],
        }
    }

    /// Keeps a field for the column `extra`, as it was sent, within the objects that are open there.
    pub(crate) fn keep_field(&mut self, event: &str, key: Token, value: Token) {
        push_member(&mut self.fields, event, key, value);
    }

    /// Keeps a field for the column `extra` with another value, which `write` appends as JSON.
    pub(crate) fn keep_written(&mut self, event: &str, key: Token, write: impl FnOnce(&mut String)) {
        push_key(&mut self.fields, event, key);
        write(&mut self.fields);
    }

    /// Opens an object in the column `extra`, for what a nested object leaves over.
    pub(crate) fn open_object(&mut self, event: &str, key: Token) -> OpenObject {
        let mark = self.fields.len();
        push_key(&mut self.fields, event, key);
        self.fields.push('{');
        OpenObject { mark, inside: self.fields.len() }
    }

    /// Closes an object in the column `extra`; leaves no trace of it when nothing was kept inside.
    pub(crate) fn close_object(&mut self, object: OpenObject) {
        if self.fields.len() == object.inside {
            self.fields.truncate(object.mark);
        } else {
            self.fields.push('}');
        }
    }

    /// Takes an object, and what was kept inside, out of the column `extra` again.
    pub(crate) fn discard_object(&mut self, object: OpenObject) {
        self.fields.truncate(object.mark);
    }

    /// Keeps a member of the event's own object for `_event` in the column `extra`, as it was sent.
    pub(crate) fn keep_framing(&mut self, event: &str, key: Token, value: Token) {
        push_member(&mut self.framing, event, key, value);
    }

    /// The name that stands twice among those met since there were `since` of them.
    ///
    /// Few names are compared each with each; many are sorted, so that a hostile event costs no more than n log n.
    pub(crate) fn repeated_name<'a>(&'a self, event: &'a str, since: usize) -> Option<&'a str> {
        const FEW: usize = 16;
        let names = &self.names[since..];
        let name = |place: &Place| self.resolve(event, *place);
        if names.len() <= FEW {
            let repeats = |(at, place): (usize, &Place)| {
                let sought = name(place);
                names[..at].iter().any(|earlier| name(earlier) == sought).then_some(sought)
            };
            return names.iter().enumerate().find_map(repeats);
        }
        let mut sorted: Vec<&str> = names.iter().map(name).collect();
        sorted.sort_unstable();
        sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }

    /// Writes the value of the column `extra`, a JSON object; leaves `extra` empty when there is nothing to keep.
    ///
    /// What came beside `data` stands under `_event`, with more underscores before it if a field of that name was sent.
    pub(crate) fn write_extra(&self, extra: &mut String) {
        extra.clear();
        if self.fields.is_empty() && self.framing.is_empty() {
            return;
        }
        extra.push('{');
        extra.push_str(&self.fields);
        if !self.framing.is_empty() {
            if !self.fields.is_empty() {
                extra.push(',');
            }
            extra.push('"');
            extra.push_str(&self.framing_key());
            extra.push_str("\":{");
            extra.push_str(&self.framing);
            extra.push('}');
        }
        extra.push('}');
    }

    /// `_event`, with more underscores before it for as long as the fields' text holds that name anywhere.
    fn framing_key(&self) -> String {
        let underscores = |at: usize| {
            let before = &self.fields[..at];
            let name = before.trim_end_matches('_');
            name.ends_with('"').then_some(before.len() - name.len())
        };
        // In one pass, however many such names were sent.
        let taken: BTreeSet<usize> =
            self.fields.match_indices("event\"").filter_map(|(at, _)| underscores(at)).collect();
        let free = (1..).find(|count| !taken.contains(count)).expect("a text holds finitely many names");
        format!("{}event", "_".repeat(free))
    }
}

/// An object that is open in the column `extra`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenObject {
    mark: usize,
    inside: usize,
}

fn push_member(members: &mut String, event: &str, key: Token, value: Token) {
    push_key(members, event, key);
    members.push_str(value.raw(event));
}

fn push_key(members: &mut String, event: &str, key: Token) {
    // No value ends in an opening brace, so one that stands last has just been opened.
    if !members.is_empty() && !members.ends_with('{') {
        members.push(',');
    }
    match key.kind {
        // Without escapes that it does not need, so that a name has one spelling in `extra`.
        Kind::EscapedText => {
            let mut name = String::new();
            unescape(key.text(event), &mut name);
            members.push_str(&serde_json::Value::from(name).to_string());
        }
        _ => members.push_str(key.raw(event)),
    }
    members.push(':');
}

/// What the keys of earlier events meant, by the list of names that they were looked up in and their position in the object.
///
/// Producers write the members of their events in one order, so that one comparison of the key with the one that stood there
/// before takes the place of a lookup.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Vec<Vec<(String, crate::plan::Meaning)>>);

impl Guesses {
    /// Positions past this one are always looked up.
    const POSITIONS: usize = 64;

    /// What this key meant when it last stood here.
    #[inline]
    pub(crate) fn recall(&self, list: usize, position: usize, key: &str) -> Option<crate::plan::Meaning> {
        let (expected, meaning) = self.0.get(list)?.get(position)?;
        (expected == key).then_some(*meaning)
    }

    /// Remembers what a key means.
    pub(crate) fn learn(&mut self, list: usize, position: usize, key: &str, meaning: crate::plan::Meaning) {
        if position >= Self::POSITIONS {
            return;
        }
        if self.0.len() <= list {
            self.0.resize_with(list + 1, Vec::new);
        }
        let positions = &mut self.0[list];
        while positions.len() <= position {
            positions.push((String::new(), meaning));
        }
        let (expected, known) = &mut positions[position];
        expected.clear();
        expected.push_str(key);
        *known = meaning;
    }
}
