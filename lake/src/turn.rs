//! A turn of maintenance: as much of one kind of work on the tables as is begun before a time. Whoever maintains on a schedule asks for
//! turns, and what one leaves the next one does.
//!
//! A table that fails keeps no other from its turn. A turn may be stopped anywhere: each piece of work ends in one commit or in none, or
//! deletes file by file what nobody needs. What was done by then stands in the [`Turn`] that the caller gave.

use alluvium_core::DatasetName;
use alluvium_core::clock::Micros;
use serde::{Deserialize, Serialize};

use crate::compact::Compaction;
use crate::error::{LakeError, Result};
use crate::retain::Expiry;
use crate::upkeep::Upkeep;
use crate::vacuum::{Counted, VacuumMode, Vacuumed};

/// What a turn has done, in the order in which it was done.
#[derive(Debug)]
pub struct Turn<T> {
    /// The pieces of work that ended.
    pub done: Vec<T>,
    /// The tables on which one failed, and why. The next turn tries again.
    pub failed: Vec<(String, LakeError)>,
    /// The tables that it did not get to, or not to the end of.
    pub left: Vec<Left>,
}

/// A table for the next turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The table.
    pub table: String,
    /// The files that wait for compaction; `None`: other work waits, and nobody looked how much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Counted>,
}

impl<T> Default for Turn<T> {
    fn default() -> Self {
        Self { done: Vec::new(), failed: Vec::new(), left: Vec::new() }
    }
}

impl<T> Turn<T> {
    /// Notes how work on a table ended. A table that is not there has none to do: the first commit makes it.
    fn note<D>(&mut self, table: &str, ended: Result<D>) -> Option<D> {
        match ended {
            Ok(done) => Some(done),
            Err(LakeError::NoTable(_)) => None,
            Err(error) => {
                self.failed.push((table.to_owned(), error));
                None
            }
        }
    }

    fn leave(&mut self, tables: &[String]) {
        self.left.extend(tables.iter().map(|table| Left { table: table.clone(), waiting: None }));
    }
}

impl Upkeep {
    /// Compacts tables round by round, always the one with the most files that wait, as long as a round as long as the longest so far
    /// would end before `until`. A table with fewer new files than `least_files` waits; see [`compact`](Self::compact).
    pub async fn compact_turn(
        &self,
        tables: &[String],
        least_files: usize,
        until: Micros,
        turn: &mut Turn<Compaction>,
    ) {
        let mut waiting = Vec::new();
        for table in tables {
            self.look(table, least_files, &mut waiting, turn).await;
        }
        let mut longest = 0;
        while let Some(most) = (0..waiting.len()).max_by_key(|place| waiting[*place].1.files) {
            let began = self.clock.now_micros();
            if began.saturating_add(longest) >= until {
                break;
            }
            let (table, _) = waiting.swap_remove(most);
            let round = self.compact_round(&table, least_files).await;
            longest = longest.max(self.clock.now_micros() - began);
            if let Some(Some(round)) = turn.note(&table, round) {
                turn.done.push(round);
                self.look(&table, least_files, &mut waiting, turn).await;
            }
        }
        waiting.sort_by(|one, other| one.0.cmp(&other.0));
        turn.left.extend(waiting.into_iter().map(|(table, files)| Left { table, waiting: Some(files) }));
    }

    /// Adds a table to those with files that wait, if it has any.
    async fn look<T>(&self, table: &str, least_files: usize, waiting: &mut Vec<(String, Counted)>, turn: &mut Turn<T>) {
        let found = self.to_compact(table, least_files).await;
        if let Some(files) = turn.note(table, found)
            && files.files > 0
        {
            waiting.push((table.to_owned(), files));
        }
    }

    /// Takes out of tables what is past their retention, one after the other, until `until`. The ledger keeps its rows for ever.
    pub async fn retain_turn(&self, tables: &[String], until: Micros, turn: &mut Turn<Expiry>) {
        for (place, table) in tables.iter().enumerate() {
            if self.clock.now_micros() >= until {
                return turn.leave(&tables[place..]);
            }
            if *table != *DatasetName::ledger().as_str() {
                let expired = self.retain(table).await;
                let expired = turn.note(table, expired);
                turn.done.extend(expired.flatten());
            }
        }
    }

    /// Deletes what nobody needs any more of tables, one after the other, until `until`, and makes the entries of the object index that
    /// are missing. Commit messages are left alone; see [`vacuum_messages`](Self::vacuum_messages).
    pub async fn vacuum_turn(&self, tables: &[String], until: Micros, turn: &mut Turn<Vacuumed>) {
        for (place, table) in tables.iter().enumerate() {
            if self.clock.now_micros() >= until {
                return turn.leave(&tables[place..]);
            }
            let vacuumed = self.vacuum(table, VacuumMode::Delete, None).await;
            let Some(vacuumed) = turn.note(table, vacuumed) else { continue };
            turn.done.push(vacuumed);
            if *table != *DatasetName::ledger().as_str() {
                let indexed = self.index_table_until(table, until).await;
                turn.note(table, indexed);
            }
        }
    }
}

#[cfg(test)]
mod tests;
