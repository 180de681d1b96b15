//! One event on its way into a row: its cells as they are read, before it is known whether all of it holds.
//!
//! A draft is used for one event after another and allocates nothing once it has grown. Its texts are places in the event
//! itself, or in a scratch text when they had escapes.

use crate::scan::{Kind, Token, unescape};

/// Where a text lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the event: it stands for itself.
    Sent(Token),
    /// In the draft's scratch text.
    Unescaped { start: usize, end: usize },
}

/// One property's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    /// The event does not have the property.
    Missing,
    /// It is null, or its value did not fit and stands in `extra`.
    Null,
    Text(Place),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    /// Microseconds since the epoch.
    Timestamp(i64),
    /// Days since the epoch.
    Date(i32),
}

/// What has been read of one event.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) id: Option<Place>,
    pub(crate) source: Option<Place>,
    pub(crate) event_type: Option<Place>,
    /// Microseconds since the epoch; `None`: the event does not say.
    pub(crate) time: Option<i64>,
    /// One per property of the dataset.
    pub(crate) cells: Vec<Cell>,
    /// The names met in one object that are no properties, to find the one that stands twice.
    pub(crate) names: Vec<Place>,
    scratch: String,
    fields: String,
    framing: String,
}

impl Draft {
    /// Makes ready for an event of a dataset with this many properties.
    pub(crate) fn begin(&mut self, properties: usize) {
        self.id = None;
        self.source = None;
        self.event_type = None;
        self.time = None;
        self.cells.clear();
        self.cells.resize(properties, Cell::Missing);
        self.names.clear();
        self.scratch.clear();
        self.fields.clear();
        self.framing.clear();
    }

    /// Where the text lies that a key or string stands for, or a number as it was sent.
    pub(crate) fn text(&mut self, event: &str, token: Token) -> Place {
        if token.kind != Kind::EscapedText {
            return Place::Sent(token);
        }
        let start = self.scratch.len();
        unescape(token.text(event), &mut self.scratch);
        Place::Unescaped { start, end: self.scratch.len() }
    }

    /// The text at a place.
    #[inline]
    pub(crate) fn resolve<'a>(&'a self, event: &'a str, place: Place) -> &'a str {
        match place {
            Place::Sent(token) => token.text(event),
            Place::Unescaped { start, end } => &self.scratch[start..end],
        }
    }

    /// Keeps a field for the column `extra`, as it was sent.
    pub(crate) fn keep_field(&mut self, event: &str, key: Token, value: Token) {
        push_member(&mut self.fields, event, key, value);
    }

    /// Keeps a member of the event's own object for `_event` in the column `extra`, as it was sent.
    pub(crate) fn keep_framing(&mut self, event: &str, key: Token, value: Token) {
        push_member(&mut self.framing, event, key, value);
    }

    /// The name that stands twice in the object just read.
    ///
    /// Few names are compared each with each; many are sorted, so that a hostile event costs no more than n log n.
    pub(crate) fn repeated_name<'a>(&'a self, event: &'a str) -> Option<&'a str> {
        const FEW: usize = 16;
        let name = |place: &Place| self.resolve(event, *place);
        if self.names.len() <= FEW {
            let repeats = |(at, place): (usize, &Place)| {
                let sought = name(place);
                self.names[..at].iter().any(|earlier| name(earlier) == sought).then_some(sought)
            };
            return self.names.iter().enumerate().find_map(repeats);
        }
        let mut sorted: Vec<&str> = self.names.iter().map(name).collect();
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
        let mut key = "_event".to_owned();
        while self.fields.contains(&format!("\"{key}\"")) {
            key.insert(0, '_');
        }
        key
    }
}

fn push_member(members: &mut String, event: &str, key: Token, value: Token) {
    if !members.is_empty() {
        members.push(',');
    }
    members.push_str(key.raw(event));
    members.push(':');
    members.push_str(value.raw(event));
}
