#![allow(clippy::unwrap_used)]

use super::*;
use crate::identity::{RecordIdentity, ShardId};

const BATCH: &str = "9d0956ccabdcdcdd81698a88f5cdfe23";

fn entries() -> (Vec<ShardRange>, Vec<LedgerEntry>) {
    let shard = ShardId::numbered(0);
    let record = RecordIdentity { shard: shard.clone(), sequence: 1.into(), subsequence: 0 };
    let covers = vec![ShardRange { shard, first: 1.into(), last: 1.into() }];
    let entry = |dataset: &str, dead_by_reason: BTreeMap<ReasonCode, u64>| LedgerEntry {
        batch: BatchIdentity::of([&record]),
        dataset: dataset.to_owned(),
        received: 3,
        written: 2 - dead_by_reason.len() as u64,
        filtered: 1,
        dead: dead_by_reason.len() as u64,
        bytes: 99,
        dead_by_reason,
        redriven: Some(1),
        arrival: 1_700_000_000_000_000,
        covers: covers.clone(),
    };
    let ledger = vec![entry("data", BTreeMap::new()), entry("rooms", BTreeMap::from([(ReasonCode::NotJson, 1)]))];
    (covers, ledger)
}

fn footer() -> (BatchFooter, CommitMessage) {
    let (covers, ledger) = entries();
    let batch = ledger[0].batch.clone();
    let files = ["data", "dead_letters", "rooms"].map(str::to_owned).to_vec();
    let footer = BatchFooter::new(batch.clone(), covers.clone(), files, &ledger);
    (footer, CommitMessage::new(batch, covers, Vec::new(), ledger))
}

#[test]
fn a_footer_makes_the_message_that_its_batch_had() {
    let (footer, message) = footer();
    let read = BatchFooter::decode(&footer.encode()).unwrap();
    assert_eq!(read, footer);
    assert_eq!(read.message(Vec::new()).encode(), message.encode(), "to the byte");
}

#[test]
fn the_text_is_the_documented_one() {
    let expected = format!(
        "{{\"version\":1,\"batch\":\"{BATCH}\",\"arrival\":1700000000000000,\
         \"covers\":[{{\"shard\":\"shardId-000000000000\",\"first\":\"1\",\"last\":\"1\"}}],\
         \"files\":[\"data\",\"dead_letters\",\"rooms\"],\
         \"ledger\":[{{\"dataset\":\"data\",\"received\":3,\"written\":2,\"filtered\":1,\"dead\":0,\"bytes\":99,\"redriven\":1}},\
         {{\"dataset\":\"rooms\",\"received\":3,\"written\":1,\"filtered\":1,\"dead\":1,\"bytes\":99,\
         \"dead_by_reason\":{{\"not_json\":1}},\"redriven\":1}}]}}"
    );
    assert_eq!(footer().0.encode(), expected);
}

#[test]
fn what_another_release_wrote_is_told_from_damage() {
    assert!(matches!(BatchFooter::decode(BATCH), Err(BatchFooterError::Older)));
    let newer = footer().0.encode().replacen("\"version\":1", "\"version\":2", 1);
    assert!(matches!(BatchFooter::decode(&newer), Err(BatchFooterError::Version(2))));
    for damaged in ["{", "{}", "{\"version\":1}"] {
        assert!(matches!(BatchFooter::decode(damaged), Err(BatchFooterError::Damaged(_))), "{damaged}");
    }
}
