//! Whom the elements of a record come from, and what is derived for those that do not say.

use alluvium_core::clock::Micros;
use alluvium_core::identity::idempotent_event_id;
use alluvium_core::{DeadLetterId, Origin, RecordIdentity};

use super::PlanIndex;
use crate::elements::Envelopes;
use crate::sources::OwnerIndex;

/// A record as it was delivered first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivered<'a> {
    pub(super) identity: &'a RecordIdentity,
    pub(super) arrival: Micros,
    /// Whose data it is, unless it says so itself.
    pub(super) owner: &'a str,
    /// The dataset that its seal names, and which that is. Empty: none.
    pub(super) dataset: &'a str,
    pub(super) routed: Option<PlanIndex>,
    /// Whether it may say so.
    pub(super) envelopes: Envelopes,
    /// How often what is in it has been a dead letter before.
    pub(super) deaths: u32,
}

impl<'a> Delivered<'a> {
    /// The first delivery of what is sent again.
    pub(super) fn first(origin: &'a Origin, owner: &'a str) -> Self {
        let (arrival, deaths) = (origin.arrival, origin.dead_letter.times);
        let (dataset, routed, envelopes) = ("", None, Envelopes::Opened);
        Self { identity: &origin.record, arrival, owner, dataset, routed, envelopes, deaths }
    }
}

/// What all elements of a record share.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    pub(super) delivered: Delivered<'a>,
    pub(super) owner: &'a str,
    pub(super) owner_index: OwnerIndex,
    pub(super) idempotency_key: Option<&'a str>,
    /// The index within the request of the first element.
    pub(super) first_index: u32,
    pub(super) routed: Option<PlanIndex>,
    /// Of the one element of a record that is sent again.
    pub(super) origin: Option<&'a Origin>,
}

impl<'a> Sender<'a> {
    /// Of a record that says nothing beside its events.
    pub(super) fn of_plain(delivered: Delivered<'a>, owner_index: OwnerIndex) -> Self {
        Self {
            delivered,
            owner: delivered.owner,
            owner_index,
            idempotency_key: None,
            first_index: 0,
            routed: delivered.routed,
            origin: None,
        }
    }

    /// The place of an element in the record that was delivered first.
    pub(super) fn place(&self, index: u32) -> u32 {
        self.origin.map_or(index, |origin| origin.index)
    }

    /// The id of an element that brings none: the same however often it is delivered, requested or redriven.
    pub(super) fn derived_event_id(&self, index: u32) -> String {
        match (self.origin, self.idempotency_key) {
            (Some(origin), _) => origin.dead_letter.event.clone(),
            (None, Some(key)) => idempotent_event_id(key, self.first_index.wrapping_add(index)),
            (None, None) => self.delivered.identity.derived_event_id(index),
        }
    }

    /// The id of the dead letter that an element becomes.
    pub(super) fn dead_letter_id(&self, index: u32) -> DeadLetterId {
        DeadLetterId::after(self.derived_event_id(index), self.delivered.deaths)
    }
}
