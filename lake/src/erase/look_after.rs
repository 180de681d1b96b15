//! Looking after open erasures where a service delivers, and a hot index stands beside the tables: by a command, or by a schedule.
//!
//! A transform that is a function knows of no erasure. So what is handed to it late, or once more, may come into the hot index again for as long as
//! anything holds what arrived before; each look takes it out. An erasure is closed when its time has passed, the tables have nothing left to do,
//! the stream holds nothing of before it, and no delivery of before it is set aside, which would be handed over once more.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::hot::{ErasableHotIndex, HotChunk, Left, TakeOut, TakenOut};
use alluvium_core::ports::{Advice, PortError};
use futures::TryStreamExt as _;
use object_store::{Error, ObjectMeta, ObjectStore};
use uuid::Uuid;

use super::{OPEN_FOR, OpenErasure, Screened, Target, screen_chunk};

use crate::error::{LakeError, Result};
use crate::upkeep::Upkeep;

/// How much later than the stream forgets a record its delivery may be set aside: an invocation, its retries, and clocks that differ.
const SET_ASIDE_LATER: Duration = Duration::from_secs(3_600);

/// The stores of a stage beside its tables.
#[derive(Clone)]
pub struct Beside {
    /// The hot index, with what waits for it.
    pub hot: Arc<dyn ErasableHotIndex>,
    /// Where deliveries lie that were set aside: a store rooted there.
    pub set_aside: Arc<dyn ObjectStore>,
    /// How long the stream keeps records.
    pub stream: Duration,
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// What a look at the open erasures came to.
#[derive(Debug, Default)]
pub struct LookedAfter {
    /// Those that were closed by it.
    pub closed: Vec<Uuid>,
    /// Those that are open still, the oldest first.
    pub open: Vec<OpenErasure>,
    /// What it took out of the hot index.
    pub hot: TakenOut,
    /// How many deliveries are set aside.
    pub set_aside: u64,
    /// What failed: an erasure, or (`None`) what concerns all of them. One that failed is open still.
    pub failed: Vec<(Option<Uuid>, LakeError)>,
}

impl LookedAfter {
    /// By how much the promise is broken that was made of the oldest erasure: how long ago it was to be closed. Nothing: none is late.
    pub fn overdue(&self, stream: Duration, now: Micros) -> Duration {
        let promised = self.open.iter().map(|open| open.promised(stream)).min();
        let late = promised.map_or(0, |promised| now.saturating_sub(promised));
        Duration::from_micros(u64::try_from(late).unwrap_or_default())
    }
}

impl OpenErasure {
    /// When it was to be closed, of a stage whose stream keeps records for so long.
    pub fn promised(&self, stream: Duration) -> Micros {
        self.target.until.saturating_add(micros(OPEN_FOR.max(stream)))
    }
}

impl Upkeep {
    /// Takes the rows of open erasures out of the hot index, in one look at it, and notes that it was dealt with.
    ///
    /// # Errors
    ///
    /// When the hot index or the store fails. It goes on when it is called again.
    pub async fn take_out_of_hot(&self, hot: &dyn ErasableHotIndex, open: &[OpenErasure]) -> Result<TakenOut> {
        // What was stored before an erasure whose rows were taken out once was looked at then.
        let stored_since = |open: &OpenErasure| if open.is_hot_done { open.target.until } else { Micros::MIN };
        let Some(stored_since) = open.iter().map(stored_since).min() else { return Ok(TakenOut::default()) };
        let targets: Vec<_> = open.iter().map(|open| open.target.clone()).collect();
        let taken = hot.take_out(TakeOut::Remove, stored_since, &|chunk| left_of(&targets, chunk)).await;
        let taken = taken.map_err(LakeError::Hot)?;
        for (which, open) in open.iter().enumerate() {
            // Noting none says that the hot index was dealt with, which need not be said twice.
            if taken.rows_of(which) > 0 || !open.is_hot_done {
                self.note_hot_erasure(open.id, taken.rows_of(which)).await?;
            }
        }
        Ok(taken)
    }

    /// What an erasure would take out of the hot index.
    ///
    /// # Errors
    ///
    /// When the hot index fails.
    pub async fn count_in_hot(&self, hot: &dyn ErasableHotIndex, target: &Target) -> Result<TakenOut> {
        let targets = std::slice::from_ref(target);
        let counted = hot.take_out(TakeOut::Count, Micros::MIN, &|chunk| left_of(targets, chunk)).await;
        counted.map_err(LakeError::Hot)
    }

    /// Does what there is to do of every erasure that is open, and closes those whose time has come. One that fails holds up no other.
    ///
    /// # Errors
    ///
    /// When it cannot be told which are open.
    pub async fn look_after_erasures(&self, beside: &Beside) -> Result<LookedAfter> {
        let mut looked = LookedAfter::default();
        let open = self.open_erasures().await?;
        if open.is_empty() {
            return Ok(looked);
        }
        for one in &open {
            if let Err(error) = self.erase(one.id).await {
                looked.failed.push((Some(one.id), error));
            }
        }
        match self.take_out_of_hot(&*beside.hot, &open).await {
            Ok(taken) => looked.hot = taken,
            Err(error) => looked.failed.push((None, error)),
        }
        match self.set_aside(beside).await {
            Ok((files, oldest)) => {
                looked.set_aside = files;
                self.close_those_due(beside, oldest, &open, &mut looked).await;
            }
            Err(error) => looked.failed.push((None, error)),
        }
        looked.open = self.open_erasures().await?;
        Ok(looked)
    }

    async fn close_those_due(
        &self,
        beside: &Beside,
        set_aside: Option<Micros>,
        open: &[OpenErasure],
        looked: &mut LookedAfter,
    ) {
        let now = self.clock.now_micros();
        let has_failed = |id| looked.failed.iter().any(|(of, _)| of.is_none_or(|of| of == id));
        let forgotten = |open: &OpenErasure| open.target.until.saturating_add(micros(beside.stream));
        let due = |open: &&OpenErasure| {
            let last_set_aside = forgotten(open).saturating_add(micros(SET_ASIDE_LATER));
            !has_failed(open.id) && now > forgotten(open) && set_aside.is_none_or(|oldest| oldest > last_set_aside)
        };
        for id in open.iter().filter(due).map(|open| open.id).collect::<Vec<_>>() {
            match self.close_erasure(id).await {
                Ok(true) => looked.closed.push(id),
                Ok(false) => {}
                Err(error) => looked.failed.push((Some(id), error)),
            }
        }
    }

    /// How many deliveries are set aside, and since when the oldest is.
    async fn set_aside(&self, beside: &Beside) -> Result<(u64, Option<Micros>)> {
        let listed: std::result::Result<Vec<ObjectMeta>, Error> = beside.set_aside.list(None).try_collect().await;
        let listed = listed.map_err(|source| LakeError::Store {
            doing: "list",
            path: "what was set aside".to_owned(),
            source,
        })?;
        let oldest = listed.iter().map(|object| object.last_modified.timestamp_micros()).min();
        Ok((listed.len() as u64, oldest))
    }
}

/// What all of these leave of a chunk.
fn left_of(targets: &[Target], chunk: &HotChunk) -> std::result::Result<Left, PortError> {
    let mut rows = Vec::with_capacity(targets.len());
    let mut left = Some(chunk.clone());
    for target in targets {
        let Some(now) = &left else {
            rows.push(0);
            continue;
        };
        let screened = screen_chunk(std::slice::from_ref(target), now).map_err(|error| {
            PortError::because(Advice::Stop, format!("a chunk of `{}` cannot be read", chunk.dataset), error)
        })?;
        match screened {
            Screened::AsItWas => rows.push(0),
            Screened::Without(gone, stays) => {
                rows.push(gone);
                left = stays;
            }
        }
    }
    Ok(if rows.iter().all(|rows| *rows == 0) { Left::All } else { Left::Without(rows, left) })
}

#[cfg(test)]
mod tests;
