#![allow(clippy::unwrap_used)]

use super::*;

fn message() -> CommitMessage {
    CommitMessage::new(BatchIdentity::of([]), Vec::new(), Vec::new(), Vec::new())
}

#[test]
fn a_message_without_traces_is_the_bytes_that_releases_before_wrote() {
    let encoded = message().encode();
    let text = std::str::from_utf8(&encoded).unwrap();
    assert!(!text.contains("traces"), "{text}");
    assert_eq!(CommitMessage::decode(&encoded).unwrap(), message());
}

#[test]
fn traces_are_carried_and_no_more_than_its_share() {
    let traces: Vec<_> = (1..20).map(|number| TraceParent::new(number, 7).unwrap()).collect();
    let message = message().with_traces(traces.clone());
    assert_eq!(message.traces, traces[..BATCH_TRACES]);
    assert_eq!(CommitMessage::decode(&message.encode()).unwrap(), message);
}

#[test]
fn a_message_of_a_newer_version_is_told_from_a_damaged_one() {
    let newer = String::from_utf8(message().encode().to_vec()).unwrap().replace("\"version\":1", "\"version\":2");
    assert!(matches!(CommitMessage::decode(newer.as_bytes()), Err(CommitMessageError::Version(2))));
    assert!(matches!(CommitMessage::decode(b"{\"version\":1}"), Err(CommitMessageError::Damaged(_))));
}
