#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::testing::{DEAD, NOTES, Queue, READINGS};

/// The tables that a batch of these records feeds, with the datasets whose entries go there and whether there is a file.
async fn parts(numbers: &[u64]) -> Vec<(String, Vec<String>, bool)> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let batch = Batch::of(&Queue::default().deliver_direct(&store, numbers).await).unwrap();
    assert_eq!(batch.note.tables(), batch.parts.keys().cloned().collect());
    let datasets = |part: &Part| part.entries.iter().map(|entry| entry.dataset.clone()).collect();
    batch.parts.iter().map(|(table, part)| (table.clone(), datasets(part), part.file.is_some())).collect()
}

fn part(table: &str, entries: &[&str], has_file: bool) -> (String, Vec<String>, bool) {
    (table.to_owned(), entries.iter().map(|name| (*name).to_owned()).collect(), has_file)
}

#[tokio::test]
async fn entries_without_a_file_ride_where_their_batch_is_remembered() {
    // Even numbers are readings, odd ones notes, 7 a dead reading, 11 of no dataset, 13 no event, 17 a filtered note.
    assert_eq!(parts(&[1, 2]).await, [part(NOTES, &[NOTES], true), part(READINGS, &[READINGS], true)]);
    assert_eq!(parts(&[7]).await, [part(DEAD, &[READINGS], true)]);
    assert_eq!(parts(&[7, 11, 17]).await, [part(DEAD, &[DEAD, NOTES, READINGS], true)]);
    assert_eq!(parts(&[2, 17]).await, [part(READINGS, &[NOTES, READINGS], true)], "no dead letters: the first by name");
    assert_eq!(
        parts(&[1, 2, 7]).await,
        [part(DEAD, &[], true), part(NOTES, &[NOTES], true), part(READINGS, &[READINGS], true)]
    );
    assert_eq!(parts(&[17]).await, [part(DEAD, &[NOTES], false)]);
    assert_eq!(parts(&[13]).await, [part(DEAD, &[DEAD], false)]);
}

#[test]
fn an_identity_that_is_none_is_refused() {
    let batch = serde_json::from_str("\"../escape\"").unwrap();
    let error = Batch::of(&CommitMessage::new(batch, Vec::new(), Vec::new(), Vec::new())).unwrap_err();
    assert!(error.to_string().contains("32 hexadecimal digits"), "{error}");
}
