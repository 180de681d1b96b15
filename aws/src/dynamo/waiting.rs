//! What waits to be put, noted in a table of its own: the hot index's takes no note while it is throttled.
//!
//! ```text
//! a parcel that waits       pk "<dataset>#waiting"   sk its path
//!                           version 1, buckets (a bit for each), min_time, max_time, expires (µs), expires_at (s, for TTL)
//! a parcel that is drained  pk "<dataset>#drained"   sk its path
//!                           expires_at (s, for TTL)
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::clock::{Micros, micros};
use alluvium_core::hot::Waiting;
use alluvium_core::ports::{Advice, PortError};
use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem};

use super::item::{self, Item};
use crate::error::port_error;
use crate::levelled::{Note, Notes};

/// How many notes are read of a dataset at most; with more of them, anything is taken to wait.
const NOTES_READ: i32 = 200;

/// How long it is remembered that a parcel is drained. Only for as long as whoever took it may live can it still be noted as waiting: minutes.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

const BUCKETS: &str = "buckets";
/// The layout that is written, and the only one there has been.
const VERSION_NUMBER: u64 = 1;

/// [`Notes`] in one DynamoDB table with the keys `pk` and `sk`, both strings.
#[derive(Debug, Clone)]
pub struct DynamoNotes {
    client: Client,
    table: String,
    clock: Arc<dyn Clock>,
}

impl DynamoNotes {
    /// The notes in this table, which is there already. `clock` says how long a note is remembered.
    pub fn new(client: Client, table: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        Self { client, table: table.into(), clock }
    }

    /// What waits of a dataset and has not expired at `now`.
    pub(super) async fn waiting(&self, dataset: &str, now: Micros) -> Result<Vec<Waiting>, PortError> {
        let asked = self.client.query().table_name(&self.table).consistent_read(true).limit(NOTES_READ);
        let asked = asked.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", item::PK);
        let asked = asked.expression_attribute_values(":pk", AttributeValue::S(waiting_key(dataset)));
        let page = asked.send().await;
        let page = page.map_err(|error| port_error(format!("asking {self} what waits of `{dataset}`"), error))?;
        let mut waiting = Vec::new();
        for item in page.items() {
            if item::read::<Micros>(item, item::EXPIRES)? > now {
                waiting.push(read(item));
            }
        }
        if page.last_evaluated_key.is_some() {
            waiting.push(Waiting::ANYTHING);
        }
        Ok(waiting)
    }

    async fn transact(&self, what: &str, parcel: &str, writes: [TransactWriteItem; 2]) -> Result<Written, PortError> {
        let sent = self.client.transact_write_items().set_transact_items(Some(writes.into())).send().await;
        let Err(error) = sent else { return Ok(Written::Both) };
        let what = format!("noting in {self} that `{parcel}` {what}");
        if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() {
            let reasons = cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code());
            let reasons: Vec<&str> = reasons.filter(|code| *code != "None").collect();
            if reasons.contains(&"ConditionalCheckFailed") {
                return Ok(Written::Neither);
            }
            let message = format!("{what}: the transaction was cancelled ({})", reasons.join(", "));
            return Err(PortError::new(advice(&reasons), message));
        }
        Err(port_error(what, error))
    }
}

/// What became of a transaction.
#[derive(Debug, PartialEq)]
enum Written {
    Both,
    /// Its condition did not hold.
    Neither,
}

/// What to do about a transaction that was cancelled. Amazon DynamoDB API Reference, `TransactWriteItems`, "Cancellation reason codes".
fn advice(reasons: &[&str]) -> Advice {
    if reasons.iter().any(|reason| matches!(*reason, "ProvisionedThroughputExceeded" | "ThrottlingError")) {
        Advice::BackOff
    } else if reasons.contains(&"TransactionConflict") {
        Advice::Retry
    } else {
        Advice::Stop
    }
}

impl std::fmt::Display for DynamoNotes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the table `{}` of what waits", self.table)
    }
}

#[async_trait]
impl Notes for DynamoNotes {
    async fn wait(&self, note: &Note) -> Result<(), PortError> {
        let unless = ConditionCheck::builder().table_name(&self.table).condition_expression("attribute_not_exists(pk)");
        let unless = unless.set_key(Some(key(drained_key(&note.dataset), &note.parcel))).build().map_err(unsendable)?;
        let put = Put::builder().table_name(&self.table).set_item(Some(of_note(note))).build().map_err(unsendable)?;
        let writes = [
            TransactWriteItem::builder().condition_check(unless).build(),
            TransactWriteItem::builder().put(put).build(),
        ];
        // Neither: it was drained already, so there is nothing to note.
        self.transact("waits", &note.parcel, writes).await.map(|_| ())
    }

    async fn drained(&self, dataset: &str, parcel: &str) -> Result<(), PortError> {
        let mut drained = key(drained_key(dataset), parcel);
        let until = self.clock.now_micros().saturating_add(micros(REMEMBERED));
        drained.insert(item::EXPIRES_AT.to_owned(), item::number(item::seconds(until)));
        let put = Put::builder().table_name(&self.table).set_item(Some(drained)).build().map_err(unsendable)?;
        let delete = Delete::builder().table_name(&self.table).set_key(Some(key(waiting_key(dataset), parcel)));
        let writes = [
            TransactWriteItem::builder().put(put).build(),
            TransactWriteItem::builder().delete(delete.build().map_err(unsendable)?).build(),
        ];
        self.transact("is drained", parcel, writes).await.map(|_| ())
    }
}

fn waiting_key(dataset: &str) -> String {
    format!("{dataset}#waiting")
}

fn drained_key(dataset: &str) -> String {
    format!("{dataset}#drained")
}

fn key(pk: String, parcel: &str) -> Item {
    let attributes = [(item::PK, AttributeValue::S(pk)), (item::SK, AttributeValue::S(parcel.to_owned()))];
    HashMap::from(attributes.map(|(name, value)| (name.to_owned(), value)))
}

fn of_note(note: &Note) -> Item {
    let mut item = key(waiting_key(&note.dataset), &note.parcel);
    for (name, value) in [
        (item::VERSION, item::number(VERSION_NUMBER)),
        (BUCKETS, item::number(note.waiting.buckets)),
        (item::MIN_TIME, item::number(note.waiting.min_time)),
        (item::MAX_TIME, item::number(note.waiting.max_time)),
        (item::EXPIRES, item::number(note.expires_at)),
        (item::EXPIRES_AT, item::number(item::seconds(note.expires_at))),
    ] {
        item.insert(name.to_owned(), value);
    }
    item
}

/// What a note says. One that a later release wrote in a way that this one does not read says that anything may wait.
fn read(item: &Item) -> Waiting {
    let known = || {
        let version: u64 = item::read(item, item::VERSION).ok()?;
        let waiting = Waiting {
            buckets: item::read(item, BUCKETS).ok()?,
            min_time: item::read(item, item::MIN_TIME).ok()?,
            max_time: item::read(item, item::MAX_TIME).ok()?,
        };
        (version == VERSION_NUMBER).then_some(waiting)
    };
    known().unwrap_or(Waiting::ANYTHING)
}

fn unsendable(error: aws_sdk_dynamodb::error::BuildError) -> PortError {
    PortError::because(Advice::Stop, "a note cannot be written", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note() -> Note {
        let waiting = Waiting { buckets: 1 << 31 | 1, min_time: -5, max_time: 7 };
        Note { dataset: "telemetry".into(), parcel: "_hot/1.chunks".into(), waiting, expires_at: 1_000_001 }
    }

    #[test]
    fn a_note_is_read_back_and_one_of_a_later_version_says_that_anything_may_wait() {
        let mut item = of_note(&note());
        assert_eq!(read(&item), note().waiting);
        assert_eq!(item["pk"], AttributeValue::S("telemetry#waiting".into()));
        assert_eq!(item["expires_at"], AttributeValue::N("2".into()));
        item.insert(item::VERSION.into(), item::number(2));
        assert_eq!(read(&item), Waiting::ANYTHING);
    }

    #[test]
    fn a_cancelled_transaction_is_tried_again_when_that_can_help() {
        assert_eq!(advice(&["TransactionConflict"]), Advice::Retry);
        assert_eq!(advice(&["TransactionConflict", "ThrottlingError"]), Advice::BackOff);
        assert_eq!(advice(&["ValidationError"]), Advice::Stop);
    }
}
