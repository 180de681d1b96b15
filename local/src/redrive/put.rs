//! Putting records into a stream that may have no room for a while.

use std::time::Duration;

use alluvium_core::ports::{Advice, PortError, PutVerdict, Refusal, Stream};
use alluvium_core::{PutBatch, PutRecord};

/// How long a stream may take nothing before whoever puts gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// The stream holds it.
    Stored,
    /// The stream never takes it.
    TooLarge,
}

/// Puts records, and again those that are refused for now, until the stream holds all that it takes. `settled` is told of each with
/// what was given along with it.
///
/// # Errors
///
/// When the stream takes nothing for a minute, or says that it will not. Those of which `settled` was not told are not stored.
pub(super) async fn put_all<T>(
    stream: &dyn Stream,
    mut waiting: Vec<(T, PutRecord)>,
    mut settled: impl FnMut(T, Settled),
) -> Result<(), PortError> {
    let (mut pause, mut waited) = (FIRST_PAUSE, Duration::ZERO);
    while !waiting.is_empty() {
        let before = waiting.len();
        let records = waiting.iter().map(|(_, record)| record.clone()).collect();
        let why = match stream.append(PutBatch { records }).await {
            Ok(verdicts) => take_in(&mut waiting, verdicts, &mut settled),
            Err(error) => Some(error),
        };
        let Some(why) = why else { return Ok(()) };
        if waiting.len() < before {
            (pause, waited) = (FIRST_PAUSE, Duration::ZERO);
        }
        if waited >= PATIENCE || why.advice == Advice::Stop {
            return Err(why);
        }
        tokio::time::sleep(pause).await;
        waited += pause;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// Leaves those that are to be tried again; says why the last of them was refused.
fn take_in<T>(
    waiting: &mut Vec<(T, PutRecord)>,
    verdicts: Vec<PutVerdict>,
    settled: &mut impl FnMut(T, Settled),
) -> Option<PortError> {
    let mut refused = None;
    for ((of, record), verdict) in std::mem::take(waiting).into_iter().zip(verdicts) {
        let why = match verdict {
            PutVerdict::Stored { .. } => {
                settled(of, Settled::Stored);
                continue;
            }
            PutVerdict::Refused(Refusal::Invalid(_)) => {
                settled(of, Settled::TooLarge);
                continue;
            }
            PutVerdict::Refused(Refusal::Full) => "the stream is full".to_owned(),
            PutVerdict::Refused(Refusal::Failed(why)) => why,
        };
        refused = Some(PortError::new(Advice::BackOff, why));
        waiting.push((of, record));
    }
    refused
}
