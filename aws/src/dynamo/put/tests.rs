#![allow(clippy::unwrap_used)]

mod service;

use alluvium_core::SystemClock;
use alluvium_core::contract::hot_index::chunk;
use bytes::Bytes;

use self::service::{Answer, answering};
use super::*;
use crate::retry::Retries;

fn no_pauses() -> impl Iterator<Item = Duration> {
    std::iter::repeat(Duration::ZERO)
}

#[test]
fn requests_hold_as_many_items_as_they_may_and_no_key_twice() {
    let mut chunks: Vec<HotChunk> = (0..60).map(|batch| chunk("telemetry", 1, batch, (100, 200))).collect();
    let mut again = chunks[3].clone();
    again.block = Bytes::from_static(b"again");
    chunks.push(again);
    let requests = requests(chunks).unwrap();
    let sizes: Vec<usize> = requests.iter().map(|request| request.chunks.len()).collect();
    assert_eq!(sizes, [25, 25, 10]);
    assert_eq!(requests[0].chunks[3].block, "again", "the last one of a key wins");
}

#[test]
fn chunks_that_came_back_are_known_by_their_keys() {
    let chunks: Vec<HotChunk> = (0..4).map(|batch| chunk("telemetry", 1, batch, (100, 200))).collect();
    let left = [put_at(17, &chunks[2]).unwrap(), put_at(18, &chunks[0]).unwrap()];
    assert_eq!(left_of(chunks.clone(), &left), [chunks[0].clone(), chunks[2].clone()]);
    assert_eq!(left_of(chunks, &[]), []);
}

#[tokio::test]
async fn what_comes_back_is_sent_again() {
    let mut sent = Vec::new();
    let outcome = until_taken(vec![1, 2, 3, 4], no_pauses, |items| {
        sent.push(items.clone());
        // The last one is not taken, nor any of the second request.
        let left = if sent.len() == 2 { items } else { items[1..].to_vec() };
        async { Ok(left) }
    });
    outcome.await.unwrap();
    assert_eq!(sent, [vec![1, 2, 3, 4], vec![2, 3, 4], vec![2, 3, 4], vec![3, 4], vec![4]]);
}

#[tokio::test]
async fn a_table_that_takes_nothing_is_left_in_peace() {
    let mut sent = 0;
    let outcome = until_taken(vec![1, 2], no_pauses, |items| {
        sent += 1;
        async { Ok(items) }
    });
    let error = outcome.await.unwrap_err();
    assert_eq!((error.advice, sent), (Advice::BackOff, FRUITLESS));
    assert!(error.message.contains("none of 2 items"), "{error}");
}

#[tokio::test]
async fn a_request_that_fails_is_not_repeated_here() {
    let outcome = until_taken(vec![1], no_pauses, async |_| Err(PortError::new(Advice::Retry, "away")));
    assert_eq!(outcome.await.unwrap_err().advice, Advice::Retry);
}

/// The chunks that are refused of as many that are offered to a service that answers so, and how many items each request had.
async fn refused(
    chunks: &[HotChunk],
    answers: impl IntoIterator<Item = Answer>,
) -> (Result<Vec<HotChunk>, PortError>, Vec<usize>) {
    let (client, requests) = answering(answers).await;
    let index = DynamoHotIndex::new(client, "hot", std::sync::Arc::new(SystemClock), Retries::new(1));
    let begun = tokio::time::Instant::now();
    let left = index.offer_chunks(chunks.to_vec()).await;
    // Pauses of 300 ms at most; the rest is for a busy machine. The SDK alone would take longer than that to try again.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let requests = requests.lock().unwrap().clone();
    (left, requests)
}

#[tokio::test]
async fn what_a_throttled_table_refuses_comes_back_soon() {
    let chunks: Vec<HotChunk> = (0..5).map(|batch| chunk("telemetry", 1, batch, (100, 200))).collect();
    for code in ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"] {
        let (left, requests) = refused(&chunks, [Answer::Error(400, code); 3]).await;
        assert_eq!((left.unwrap(), requests), (chunks.clone(), vec![5, 5, 5]), "{code}");
    }
    let (left, requests) = refused(&chunks, [Answer::Takes(2), Answer::Takes(0), Answer::Takes(1)]).await;
    assert_eq!((left.unwrap(), requests), (chunks[3..].to_vec(), vec![5, 3, 3]));
    let throttled = Answer::Error(400, "ThrottlingException");
    let (left, requests) = refused(&chunks, [throttled, Answer::Takes(4)]).await;
    assert_eq!((left.unwrap(), requests), (vec![], vec![5, 5, 1]), "it takes the rest at the third try");
}

#[tokio::test]
async fn what_is_not_throttling_is_an_error_of_its_own() {
    let chunks = [chunk("telemetry", 1, 1, (100, 200))];
    for (answer, advice) in [
        (Answer::Error(500, "InternalServerError"), Advice::Retry),
        (Answer::Error(400, "ResourceNotFoundException"), Advice::Stop),
    ] {
        let (left, requests) = refused(&chunks, [answer]).await;
        assert_eq!((left.unwrap_err().advice, requests.len()), (advice, 1), "it is not tried again here");
    }
}
