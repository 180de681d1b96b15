//! What is known of an event that is sent again out of the dead letters: where it came from, so that it keeps its identity.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::clock::Micros;
use crate::identity::RecordIdentity;

/// The first delivery of what is sent again.
///
/// The ids and times that an event has not brought itself are derived from this and not from the record in which it comes
/// again. So it gets the key that it would have had, and its place among the arrivals of that key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The record that it was in.
    pub record: RecordIdentity,
    /// Its place in that record.
    pub index: u32,
    /// When that record arrived.
    pub arrival: Micros,
    /// The dead letter that it became last.
    pub dead_letter: DeadLetterId,
}

/// The `event_id` of a dead letter: the id that its event has when it brings none, and the time that it died.
///
/// As text it is the id alone the first time, and then `<id>-2`, `<id>-3` and so on. So what dies again is a dead letter of its
/// own, and redriving the same one twice makes the same one twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId {
    /// The id derived for the event.
    pub event: String,
    /// How often the event has become a dead letter, this time included: 1 or more.
    pub times: u32,
}

impl DeadLetterId {
    /// Of an event with this derived id that has been a dead letter so often before.
    pub fn after(event: String, times_before: u32) -> Self {
        Self { event, times: times_before.saturating_add(1) }
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.times {
            0 | 1 => f.write_str(&self.event),
            times => write!(f, "{}-{times}", self.event),
        }
    }
}

impl FromStr for DeadLetterId {
    type Err = Infallible;

    /// Reads a text of [`Display`](fmt::Display). Any other is an id alone.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let counted = text.rsplit_once('-').and_then(|(event, times)| {
            let times = times.parse().ok().filter(|read: &u32| *read > 1 && read.to_string() == times)?;
            Some(Self { event: event.to_owned(), times })
        });
        Ok(counted.unwrap_or_else(|| Self { event: text.to_owned(), times: 1 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DeadLetterId {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_counts_how_often_its_event_died() {
        let mut id = DeadLetterId::after("9d0956cc".to_owned(), 0);
        for text in ["9d0956cc", "9d0956cc-2", "9d0956cc-3"] {
            assert_eq!(id.to_string(), text);
            assert_eq!(read(text), id);
            id = DeadLetterId::after(id.event, id.times);
        }
    }

    #[test]
    fn what_is_no_count_belongs_to_the_id() {
        for text in ["", "-", "a-", "a-0", "a-1", "a-02", "a-+2", "a-99999999999", "a-b"] {
            assert_eq!(read(text), DeadLetterId { event: text.to_owned(), times: 1 }, "{text}");
            assert_eq!(read(text).to_string(), text);
        }
    }
}
