//! What maintenance does meanwhile.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Clock as _, Datasets, SystemClock};
use object_store::ObjectStore;

use super::{BEGINNING, World};
use crate::error::Result;
use crate::testing::{DAY, DEAD, Maintainer, NOTES, READINGS, dataset, maintainer_of};
use crate::{CompactSettings, LakeError, RetainSettings, Target, UpkeepSettings, VacuumMode};

impl World {
    /// A maintainer that spills rows, and cuts files, after few bytes; and keeps what is not older than may be gone.
    pub(super) fn keeper(&self, store: &Arc<dyn ObjectStore>) -> Maintainer {
        let compact = CompactSettings { target_bytes: 16 * 1024, memory_bytes: 8 * 1024, ..CompactSettings::default() };
        let now = SystemClock.now_micros();
        let kept = self.kept_from.map(|from| Duration::from_micros((now - from).unsigned_abs()));
        let mut readings = dataset(READINGS, r#""value": {"type": "number"}"#);
        readings.retention = kept;
        let notes = dataset(NOTES, r#""text": {"type": "string"}"#);
        let datasets = Datasets::of([readings, notes], None).unwrap();
        let settings = UpkeepSettings { compact, retain: RetainSettings { dead_letters: kept } };
        let maintainer = maintainer_of(store, datasets, settings);
        maintainer.clock.set(now);
        maintainer
    }

    fn table(&mut self) -> &'static str {
        if self.dice.below(3) == 0 { DEAD } else { READINGS }
    }

    pub(super) async fn compact(&mut self) {
        let table = self.table();
        match self.keeper(&self.store).upkeep.compact(table, 1).await {
            // Nothing was committed yet.
            Ok(_) | Err(LakeError::NoTable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub(super) async fn compact_and_die(&mut self) {
        let (table, dying) = (self.table(), self.dying());
        self.keeper(&dying).upkeep.compact(table, 1).await.ok();
    }

    /// Deletes at once what was taken out.
    pub(super) async fn vacuum(&self, store: &Arc<dyn ObjectStore>) -> Result<()> {
        let Maintainer { upkeep, .. } = &self.keeper(store);
        for table in [READINGS, DEAD, "ledger"] {
            match upkeep.vacuum(table, VacuumMode::Delete, Some(Duration::ZERO)).await {
                Ok(_) | Err(LakeError::NoTable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Rows are kept for less long than before, or as long.
    pub(super) async fn retain(&mut self, store: &Arc<dyn ObjectStore>) -> Result<()> {
        let from = BEGINNING + (self.dice.below(7) as i64 - 5) * DAY;
        self.kept_from = self.kept_from.max(Some(from));
        let Maintainer { upkeep, .. } = &self.keeper(store);
        for table in [READINGS, DEAD] {
            match upkeep.retain(table).await {
                Ok(_) | Err(LakeError::NoTable(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) async fn erase(&mut self) {
        let owner = self.owner_to_erase();
        self.erase_owner(&self.store, &owner).await.unwrap();
        self.erased.insert(owner, true);
    }

    pub(super) async fn erase_and_die(&mut self) {
        let (owner, dying) = (self.owner_to_erase(), self.dying());
        let is_done = self.erase_owner(&dying, &owner).await.is_ok() || self.erased.get(&owner) == Some(&true);
        self.erased.insert(owner, is_done);
    }

    pub(super) async fn go_on_erasing(&mut self) {
        let Maintainer { upkeep, .. } = &self.keeper(&self.store);
        for open in upkeep.open_erasures().await.unwrap() {
            upkeep.erase(open.id).await.unwrap();
            self.erased.insert(open.target.owner, true);
        }
    }

    /// Most events are of others.
    fn owner_to_erase(&mut self) -> String {
        format!("owner-{}", self.dice.below(2))
    }

    /// Erases an owner for good: whatever is still to come of them has arrived before, too.
    pub(super) async fn erase_owner(&self, store: &Arc<dyn ObjectStore>, owner: &str) -> Result<()> {
        let Maintainer { upkeep, .. } = &self.keeper(store);
        let target = Target { owner: owner.to_owned(), until: i64::MAX / 4, dataset: None };
        let id = upkeep.begin_erasure(target, true).await?;
        upkeep.erase(id).await
    }
}
