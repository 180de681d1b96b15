#![allow(clippy::unwrap_used)]

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use alluvium_core::clock::Micros;
use alluvium_core::hot::{HotChunk, HotQuery, Newest, PutPosition, PutQuery, Puts};
use alluvium_core::ports::{Advice, Put};
use alluvium_core::record::StreamRecord;
use alluvium_core::{Datasets, DeliveryBatch, RecordIdentity, ShardId};
use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::{Transform, TransformSettings};

/// 2026-01-31T12:00:00Z
const ARRIVAL: Micros = 1_769_860_800_000_000;

/// A store that writes down what it was asked for, and fails the first time for what its `fails` names.
#[derive(Default)]
struct Store {
    asked: Mutex<Vec<String>>,
    fails: Option<&'static str>,
}

impl Store {
    fn ask(&self, what: &str) -> Result<(), PortError> {
        let mut asked = self.asked.lock().unwrap();
        let first = !asked.iter().any(|before| before == what);
        asked.push(what.to_owned());
        let fails = self.fails.is_some_and(|fails| what.starts_with(fails));
        if first && fails { Err(PortError::new(Advice::Retry, format!("{what} is not stored"))) } else { Ok(()) }
    }

    /// What was asked for, in order, each by its first folder or name.
    fn order(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|path| path.split('/').next().unwrap().to_owned()).collect()
    }
}

#[async_trait]
impl DataFiles for Store {
    async fn put_if_absent(&self, path: &str, _: Bytes) -> Result<Put, PortError> {
        self.ask(path).map(|()| Put::Written)
    }

    async fn get(&self, _: &str) -> Result<Bytes, PortError> {
        unreachable!("storing reads nothing")
    }

    async fn delete(&self, _: &str) -> Result<(), PortError> {
        unreachable!("storing deletes nothing")
    }
}

#[async_trait]
impl HotIndex for Store {
    async fn put(&self, chunks: Vec<HotChunk>) -> Result<(), PortError> {
        assert!(!chunks.is_empty(), "the batch's events are young");
        self.ask("hot chunks")
    }

    async fn flush(&self) -> Result<(), PortError> {
        unreachable!("whoever moves a position flushes")
    }

    async fn newest(&self, _: HotQuery) -> Result<Newest, PortError> {
        unreachable!("storing reads nothing")
    }

    async fn puts(&self, _: PutQuery) -> Result<Puts, PortError> {
        unreachable!("storing reads nothing")
    }

    async fn puts_end(&self) -> Result<PutPosition, PortError> {
        unreachable!("storing reads nothing")
    }

    async fn complete_since(&self, _: &str) -> Result<Option<Micros>, PortError> {
        unreachable!("storing reads nothing")
    }

    async fn set_complete_since(&self, _: &str, _: Micros) -> Result<(), PortError> {
        unreachable!("storing moves no mark")
    }

    async fn expire(&self, _: Micros) -> Result<usize, PortError> {
        unreachable!("storing forgets nothing")
    }
}

/// Tries this many times.
struct Times(usize);

impl Persevere for Times {
    async fn persevere<T, F>(&self, _: &str, mut call: impl FnMut() -> F + Send) -> Result<T, PortError>
    where
        F: Future<Output = Result<T, PortError>> + Send,
        T: Send,
    {
        let mut outcome = call().await;
        for _ in 1..self.0 {
            if outcome.is_ok() {
                break;
            }
            outcome = call().await;
        }
        outcome
    }
}

/// A row and a dead letter, so that two tables have a file.
fn output() -> BatchOutput {
    let datasets = Arc::new(Datasets::load(None, Some("telemetry")).unwrap());
    let transform = Transform::new(datasets, TransformSettings::default()).unwrap();
    let identity = RecordIdentity { shard: ShardId::numbered(0), sequence: 1.into(), subsequence: 0 };
    let data = Bytes::from_static(b"{\"source\":\"a\",\"value\":1}\n{\"source\":\"a\",\"value\":[]}");
    let record = StreamRecord { identity, arrival: ARRIVAL, partition_key: "a".to_owned(), data };
    transform.run(&DeliveryBatch { records: vec![record] }).unwrap()
}

/// Runs a future of which every step is ready.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("something waited"),
    }
}

#[test]
fn data_files_come_first_and_the_commit_message_last() {
    let (store, output) = (Store::default(), output());
    let expected = output.message.clone();
    let message = ready(output.store(&store, &store, &Times(1))).unwrap();
    assert_eq!(message, expected);
    assert_eq!(store.order(), ["dead_letters", "telemetry", "hot chunks", "_commits"]);
}

#[test]
fn what_fails_is_tried_again_alone() {
    for (fails, order) in [
        ("telemetry", ["dead_letters", "telemetry", "telemetry", "hot chunks", "_commits"]),
        ("hot chunks", ["dead_letters", "telemetry", "hot chunks", "hot chunks", "_commits"]),
        ("_commits", ["dead_letters", "telemetry", "hot chunks", "_commits", "_commits"]),
    ] {
        let store = Store { fails: Some(fails), ..Store::default() };
        ready(output().store(&store, &store, &Times(2))).unwrap();
        assert_eq!(store.order(), order);
    }
}

#[test]
fn nothing_follows_what_was_given_up() {
    let store = Store { fails: Some("telemetry"), ..Store::default() };
    let error = ready(output().store(&store, &store, &Times(1))).unwrap_err();
    assert!(error.message.contains("telemetry"), "{error}");
    assert_eq!(store.order(), ["dead_letters", "telemetry"], "no chunk shows events that no file has");
}
