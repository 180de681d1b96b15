//! What was sent and what cannot be, counted by dataset and reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::letter::{Letter, Unsendable};

/// What was sent; of a preview, what would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveReport {
    /// By dataset and reason.
    pub groups: Vec<RedriveGroup>,
}

/// Dead letters of one dataset that died for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveGroup {
    /// Where they were going; `None`: it is not known.
    pub dataset: Option<String>,
    /// The reason code.
    pub reason: String,
    /// How many were sent, or would be.
    pub sent: u64,
    /// The bytes of their originals.
    pub bytes: u64,
    /// How many cannot be sent, because they hold only the beginning of their original.
    pub cut: u64,
    /// How many cannot be sent, because with their envelope they are larger than a record may be.
    pub too_large: u64,
    /// How many cannot be sent, because their row is not as it was written.
    pub damaged: u64,
}

impl RedriveReport {
    /// How many were sent, or would be.
    pub fn sent(&self) -> u64 {
        self.groups.iter().map(|group| group.sent).sum()
    }

    /// How many cannot be sent.
    pub fn unsendable(&self) -> u64 {
        self.groups.iter().map(|group| group.cut + group.too_large + group.damaged).sum()
    }
}

/// A report as it comes together.
#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<(Option<String>, String), RedriveGroup>);

impl Groups {
    pub(super) fn add_sent(&mut self, letter: &Letter<'_>) {
        let group = self.of(letter);
        group.sent += 1;
        group.bytes += letter.original.len() as u64;
    }

    pub(super) fn add_unsendable(&mut self, letter: &Letter<'_>, why: Unsendable) {
        let group = self.of(letter);
        *match why {
            Unsendable::Cut => &mut group.cut,
            Unsendable::TooLarge => &mut group.too_large,
            Unsendable::Damaged => &mut group.damaged,
        } += 1;
    }

    fn of(&mut self, letter: &Letter<'_>) -> &mut RedriveGroup {
        let (dataset, reason) = (letter.dataset.map(str::to_owned), letter.reason.to_owned());
        let new = RedriveGroup { dataset: dataset.clone(), reason: reason.clone(), ..RedriveGroup::default() };
        self.0.entry((dataset, reason)).or_insert(new)
    }

    pub(super) fn into_report(self) -> RedriveReport {
        RedriveReport { groups: self.0.into_values().collect() }
    }
}
