//! A read that takes longer than one request may: as of when it is, and how its statements are waited for.

use std::time::{Duration, Instant};

use alluvium_core::clock::{Micros, micros};
use alluvium_core::identity::content_hash;
use alluvium_core::ports::{SqlEngine, Statement};
use arrow::record_batch::RecordBatch;

use super::cursor::{CursorError, parts, write};
use super::{Records, size};
use crate::error::QueryError;

/// The longest that a read may take, or as long as chunks outlive their retention if that is less: Athena stops a statement after half an hour
/// (Amazon Athena User Guide, "Service Quotas").
pub const MOST_READING: Duration = Duration::from_secs(30 * 60);

/// The first pause before a running statement is looked at again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// A read that is under way: what it reads as of when. Opaque to clients.
///
/// Its text is the base64url of a JSON array: version, dataset, time in µs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub(super) dataset: String,
    pub(super) as_of: Micros,
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write(f, &(super::cursor::VERSION, &self.dataset, self.as_of))
    }
}

impl std::str::FromStr for Reading {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (_, dataset, as_of): (u64, _, _) = parts(text)?;
        Ok(Self { dataset, as_of })
    }
}

impl Reading {
    /// As of when it reads.
    pub fn as_of(&self) -> Micros {
        self.as_of
    }

    pub(super) fn check(&self, now: Micros, hot_margin: Duration) -> Result<(), QueryError> {
        let most = MOST_READING.min(hot_margin);
        let refused = |message: String| Err(QueryError::parameter("reading", message));
        match now.saturating_sub(self.as_of) {
            ..0 => refused("it begins in the future; pass on the address as it was answered".to_owned()),
            age if age > micros(most) => {
                let most = alluvium_core::duration::format(most);
                refused(format!(
                    "that read was begun more than {most} ago; begin again without it, and narrow it by source or time"
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The lake as one request asks it.
pub(super) struct Asking<'a> {
    engine: &'a dyn SqlEngine,
    /// The read, and until when it is waited for its statements; `None`: until they end.
    until: Option<(Reading, Instant)>,
}

impl<'a> Asking<'a> {
    pub(super) fn new(records: &'a Records, reading: Reading) -> Self {
        let until = records.patience.map(|patience| (reading, Instant::now() + patience));
        Self { engine: records.sql.as_ref(), until }
    }

    /// A time before which no committed row of a dataset has its `event_time`, as far as that is known without a statement.
    pub(super) async fn oldest(&self, dataset: &str) -> Result<Micros, QueryError> {
        Ok(self.engine.oldest(dataset).await?.unwrap_or(Micros::MIN))
    }

    /// Runs one statement to its end; answers its rows up to the batch that goes beyond so many bytes, and whether those are all.
    ///
    /// # Errors
    ///
    /// When it failed, or [`QueryError::UnderWay`] when it still runs and this request waits no longer: it goes on then.
    pub(super) async fn run(&self, sql: &str, most_bytes: usize) -> Result<(Vec<RecordBatch>, bool), QueryError> {
        let token = self.until.as_ref().map(|(reading, _)| token(reading, sql));
        let statement = self.engine.start(Statement { token, ..Statement::new(sql) }).await?;
        if let Some((reading, until)) = &self.until {
            let mut pause = PAUSES.0;
            while self.engine.status(&statement).await?.state.is_under_way() {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(QueryError::UnderWay(reading.clone()));
                }
                tokio::time::sleep(pause.min(left)).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
        let (mut batches, mut bytes) = (Vec::new(), 0_usize);
        let mut page: Option<String> = None;
        loop {
            let answered = self.engine.results(&statement, page.as_deref()).await?;
            bytes = answered.batches.iter().map(size::of).fold(bytes, usize::saturating_add);
            batches.extend(answered.batches);
            match answered.next {
                Some(_) if bytes > most_bytes => {
                    // Nobody reads the rest; a read that another request goes on with is asked for it again.
                    if self.until.is_none() {
                        self.engine.cancel(&statement).await?;
                    }
                    return Ok((batches, false));
                }
                Some(next) => page = Some(next),
                None => return Ok((batches, true)),
            }
        }
    }
}

/// What a statement of a read is started under: another one for another read, for that may be as of another time.
fn token(reading: &Reading, sql: &str) -> String {
    format!("read {} {} {}", reading.dataset, reading.as_of, content_hash(sql.as_bytes()))
}
