//! The table `ledger` as the writer sees it: written last in each cycle, it says up to where all tables are complete.
//!
//! Its commit copies the entries of the other tables' commits, each exactly once, and carries two kinds of transactions: the
//! position of every shard, and per table the version up to which its entries are copied. So at every version of the ledger
//! this holds: the tables, each at its copied version, have exactly the records up to the position, in every table. That is the
//! state which [`audit`](crate::audit) looks at, whatever crash came since.
//!
//! Where several committers share the lake there is no position, and what is copied is another plan: see the module
//! `shared::copying`.
//!
//! A crash between the commits of one cycle leaves some tables ahead. Until the others have caught up with all of them, in all
//! shards, no version of the ledger could have that property, so none is written: the position waits. That is the work of one
//! cycle, and a second crash meanwhile only begins it anew.

use std::collections::BTreeMap;

use alluvium_core::clock::Micros;
use deltalake_core::kernel::{Action, Transaction};

use crate::app_id::AppId;
use crate::commit::{Commit, Operation};
use crate::contention::Contention;
use crate::cycle::{Marks, raise_all};
use crate::error::Result;
use crate::ledger_file::{self, LedgerRows};
use crate::log::Wrote;
use crate::table::{Table, Uncopied, add_action, transactions};

/// What the ledger commit of one cycle came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LedgerCommit {
    pub(crate) version: u64,
    pub(crate) entries: usize,
}

/// The table `ledger`.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) table: Table,
}

/// What the next ledger commit is to say.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// What it copies.
    pub(crate) rows: LedgerRows,
    /// The version up to which each table's entries are copied then.
    pub(crate) copied: BTreeMap<String, u64>,
    /// The position then; where several committers share the lake there is none.
    pub(crate) position: Marks,
}

impl Plan {
    /// Copies a table's commit, which must follow those copied of it before.
    pub(crate) fn copy(&mut self, table: &str, commit: &Uncopied) {
        self.copied.insert(table.to_owned(), commit.version);
        self.rows.extend(&commit.rows);
    }
}

impl Ledger {
    /// Ends a cycle by the commit that `plan` comes to, and plans anew whenever another committer was faster. `None`: there was
    /// nothing to say.
    pub(crate) async fn append(
        &mut self,
        plan: impl Fn(&Self, &BTreeMap<String, Table>) -> Option<Plan>,
        tables: &mut BTreeMap<String, Table>,
        now: Micros,
    ) -> Result<Option<LedgerCommit>> {
        let mut contention = Contention::default();
        let committed = loop {
            let Some(plan) = plan(self, tables) else { return Ok(None) };
            let entries = plan.rows.len();
            let actions = self.store(plan, now).await?;
            if actions.is_empty() {
                break None;
            }
            let version = self.table.state.next_version();
            let commit = Commit { actions, ..Commit::default() };
            if self.table.write(&commit, Operation::Append, now).await? == Wrote::Entry {
                break Some(LedgerCommit { version, entries });
            }
            self.table.catch_up().await?;
            contention.wait(self.table.log.name()).await?;
        };
        for (name, table) in tables {
            let copied = self.table.state.copied.get(name);
            table.uncopied.retain(|uncopied| copied.is_none_or(|copied| uncopied.version > *copied));
        }
        Ok(committed)
    }

    /// Copies all that the tables' commits left and moves the position to `reached`, up to which every table has its records. `None`:
    /// a table is still ahead.
    pub(crate) fn plan_up_to(&self, reached: &Marks, tables: &BTreeMap<String, Table>) -> Option<Plan> {
        let mut plan = Plan { position: self.table.state.positions.clone(), ..Plan::default() };
        raise_all(&mut plan.position, reached);
        for (name, table) in tables {
            for uncopied in self.uncopied(table) {
                let is_reached = |(shard, mark): &_| plan.position.get(shard).is_some_and(|at| at >= mark);
                if !uncopied.marks.iter().all(is_reached) {
                    tracing::info!(table = name, "the position waits: a crash left this table ahead of the others");
                    return None;
                }
                plan.copy(name, uncopied);
            }
        }
        Some(plan)
    }

    /// The commits of a table that are not copied yet, oldest first.
    pub(crate) fn uncopied<'a>(&self, table: &'a Table) -> impl Iterator<Item = &'a Uncopied> + use<'a> {
        let before = self.table.state.copied.get(table.log.name()).copied();
        table.uncopied.iter().filter(move |uncopied| before.is_none_or(|before| uncopied.version > before))
    }

    /// Stores the data file and returns the actions of the commit.
    async fn store(&self, plan: Plan, now: Micros) -> Result<Vec<Action>> {
        let mut actions = Vec::new();
        if plan.rows.len() > 0 {
            let file = ledger_file::encode(&plan.rows, now);
            self.table.log.put_if_absent(&file.name, file.bytes.clone()).await?;
            let stats = format!(r#"{{"numRecords":{}}}"#, file.rows);
            actions.push(add_action(&file.name, file.bytes.len() as u64, stats, now));
        }
        actions.extend(transactions(&self.table.state.positions, &plan.position, AppId::Position));
        actions.extend(plan.copied.into_iter().map(|(table, version)| {
            let version = i64::try_from(version).expect("no table has 2^63 versions");
            Action::Txn(Transaction::new(AppId::Copied(table), version))
        }));
        Ok(actions)
    }
}
