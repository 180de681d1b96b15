//! Which snapshots are being read in this process: vacuum leaves their files alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{RwLock, RwLockReadGuard};

use crate::state::{Files, TableState};

/// The leases that clones of one reader have given.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leases(Arc<Given>);

#[derive(Debug, Default)]
struct Given {
    /// Held while a snapshot is looked for and has no lease yet.
    looks: RwLock<()>,
    held: Mutex<Vec<Weak<Held>>>,
}

/// Keeps the files of a snapshot from vacuum in the same process until it and its clones are dropped.
///
/// The default keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Lease {
    _held: Option<Arc<Held>>,
}

/// What a lease keeps.
#[derive(Debug)]
pub(crate) struct Held {
    table: String,
    state: Arc<TableState<Files>>,
}

impl Held {
    /// Whether it keeps the file at this path, relative to its table.
    pub(crate) fn keeps(&self, path: &str) -> bool {
        self.state.kept.active.contains_key(path)
    }
}

impl Leases {
    /// To be held from before a table is looked at until the lease is given.
    pub(crate) async fn look(&self) -> RwLockReadGuard<'_, ()> {
        self.0.looks.read().await
    }

    pub(crate) fn give(&self, table: &str, state: Arc<TableState<Files>>) -> Lease {
        let held = Arc::new(Held { table: table.to_owned(), state });
        let mut all = self.all();
        all.retain(|held| held.strong_count() > 0);
        all.push(Arc::downgrade(&held));
        Lease { _held: Some(held) }
    }

    /// The leases on a table. Whoever looks at the table later sees what has been committed up to now.
    pub(crate) async fn on(&self, table: &str) -> Vec<Arc<Held>> {
        // Waits for the looks that may have begun before that.
        let _none_looks = self.0.looks.write().await;
        self.all().iter().filter_map(Weak::upgrade).filter(|held| held.table == table).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Weak<Held>>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
