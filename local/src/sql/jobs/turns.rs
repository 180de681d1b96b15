//! Whose statement runs next: callers take turns, however many statements one of them has waiting.
//!
//! A free slot goes to the caller who has the fewest statements running, and among those to the one who has had none for longest. A
//! statement that runs is not interrupted, so one caller never has all slots, if there are at least two: the next caller finds one free, or one
//! that somebody else has.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alluvium_core::ports::Statement;
use tokio::sync::oneshot;

/// Who has a statement run; `None`: nobody in particular, as where no tokens are asked for. There is nobody else then to leave a slot to.
pub(super) type Asker = Option<String>;

/// Who asks for this statement.
pub(super) fn asker(asked: &Statement) -> Asker {
    asked.owner.clone().or_else(|| asked.reader.clone())
}

/// So many slots, and who waits for one.
#[derive(Debug)]
pub(super) struct Turns {
    slots: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Those who have a statement running or waiting.
    askers: HashMap<Asker, Place>,
    running: usize,
    /// The time that counts here: how many came, were given a turn, or had one end.
    now: u64,
}

/// One asker's part.
#[derive(Debug)]
struct Place {
    running: usize,
    /// When it last had a turn, or else came.
    since: u64,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A slot that is somebody's. Dropping it gives it to the next.
#[derive(Debug)]
pub(super) struct Turn {
    of: Arc<Turns>,
    asker: Asker,
}

impl Turns {
    pub(super) fn new(slots: usize) -> Arc<Self> {
        Arc::new(Self { slots, queue: Mutex::default() })
    }

    /// Waits for this asker's turn.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the turn up.
    pub(super) async fn take(self: &Arc<Self>, asker: Asker) -> Turn {
        let (sender, given) = oneshot::channel();
        self.queue().join(asker, sender);
        self.give();
        given.await.expect("who waits is given a turn, for each turn ends in another")
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the slots that are free to those who may have them.
    fn give(self: &Arc<Self>) {
        loop {
            let next = self.queue().next(self.slots);
            let Some((asker, waiting)) = next else { return };
            // To one that has just stopped waiting it comes back, and so is dropped, with no lock held.
            let _ = waiting.send(Turn { of: self.clone(), asker });
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.of.queue().leave(&self.asker);
        self.of.give();
    }
}

impl Queue {
    fn join(&mut self, asker: Asker, waiting: oneshot::Sender<Turn>) {
        self.now += 1;
        let newcomer = || Place { running: 0, since: self.now, waiting: VecDeque::new() };
        self.askers.entry(asker).or_insert_with(newcomer).waiting.push_back(waiting);
    }

    /// Takes a slot for whoever is next; `None`: there is none free, or nobody waits who may have it.
    fn next(&mut self, slots: usize) -> Option<(Asker, oneshot::Sender<Turn>)> {
        self.askers.retain(|_, place| {
            place.waiting.retain(|waiting| !waiting.is_closed());
            place.running > 0 || !place.waiting.is_empty()
        });
        if self.running >= slots {
            return None;
        }
        let most = |asker: &Asker| if asker.is_some() { slots.saturating_sub(1).max(1) } else { slots };
        let may = self.askers.iter_mut().filter(|(asker, place)| {
            let waits = !place.waiting.is_empty();
            waits && place.running < most(asker)
        });
        let (asker, place) = may.min_by_key(|(_, place)| (place.running, place.since))?;
        let waiting = place.waiting.pop_front()?;
        self.now += 1;
        self.running += 1;
        place.running += 1;
        place.since = self.now;
        Some((asker.clone(), waiting))
    }

    fn leave(&mut self, asker: &Asker) {
        self.now += 1;
        self.running -= 1;
        if let Some(place) = self.askers.get_mut(asker) {
            place.running -= 1;
            place.since = self.now;
        }
    }
}

#[cfg(test)]
mod tests;
