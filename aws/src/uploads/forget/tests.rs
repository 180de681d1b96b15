#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use super::*;
use crate::timer::LeapingTime;

/// What comes of passes that remove so many uploads and versions each; when each was, in seconds.
async fn forgets(removes: &[(u64, u64)]) -> (Result<u64, PortError>, Vec<u64>) {
    let (time, at) = (LeapingTime::new(), Mutex::new(Vec::new()));
    let pass = async || {
        let mut at = at.lock().unwrap();
        at.push(time.elapsed().as_secs());
        let (uploads, contents) = removes.get(at.len() - 1).copied().unwrap_or_default();
        Ok(Forgotten { uploads, contents })
    };
    (until_none_is_left(&time, pass).await, at.into_inner().unwrap())
}

#[tokio::test]
async fn it_ends_with_a_pass_that_removes_nothing_and_always_waits_before_it() {
    for (removes, uploads, passes) in
        [(&[][..], 0, 2), (&[(2, 3)], 2, 2), (&[(0, 0), (1, 1)], 1, 3), (&[(1, 1), (1, 0), (0, 1)], 2, 4)]
    {
        let (forgotten, at) = forgets(removes).await;
        let expected: Vec<_> = (0..passes).map(|pass| pass * STOPS.as_secs()).collect();
        assert_eq!((forgotten.unwrap(), at), (uploads, expected), "{removes:?}");
    }
}

#[tokio::test]
async fn it_gives_up_where_new_ones_come_all_the_time() {
    let (forgotten, at) = forgets(&[(1, 1); 9]).await;
    assert_eq!(at.len(), PASSES);
    assert!(forgotten.unwrap_err().message.contains("5 times"));
}
