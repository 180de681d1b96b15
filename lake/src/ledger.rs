//! The table `ledger` as the writer sees it: written last in each cycle, it says up to where all tables are complete.
//!
//! Its commit copies the entries of the other tables' commits, each exactly once, and carries two kinds of transactions: the
//! position of every shard, and per table the version up to which its entries are copied. A table's commit is copied only when
//! the position has reached its marks. So at every version of the ledger this holds: the tables, each at its copied version,
//! have exactly the records up to the position, in every table. That is the state which [`audit`](crate::audit) looks at,
//! whatever crash came since.

use std::collections::BTreeMap;

use alluvium_core::LedgerEntry;
use alluvium_core::clock::Micros;
use deltalake_core::kernel::{Action, Transaction};

use crate::app_id::AppId;
use crate::commit::{Commit, Operation};
use crate::contention::Contention;
use crate::cycle::{Cycle, Marks};
use crate::error::Result;
use crate::ledger_file;
use crate::log::Wrote;
use crate::table::{Table, add_action, transactions};

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

/// What is to be copied.
#[derive(Debug, Default)]
struct Plan {
    entries: Vec<LedgerEntry>,
    copied: BTreeMap<String, u64>,
    position: Marks,
}

impl Ledger {
    /// Ends a cycle: copies what can be copied and moves the position. `None`: nothing has changed.
    pub(crate) async fn append(
        &mut self,
        cycle: &Cycle<'_>,
        tables: &mut BTreeMap<String, Table>,
        now: Micros,
    ) -> Result<Option<LedgerCommit>> {
        let mut contention = Contention::default();
        let committed = loop {
            let plan = self.plan(cycle, tables);
            let entries = plan.entries.len();
            let actions = self.store(plan, now).await?;
            if actions.is_empty() {
                break None;
            }
            let version = self.table.state.next_version();
            let commit = Commit { actions, ledger: Vec::new() };
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

    fn plan(&self, cycle: &Cycle<'_>, tables: &BTreeMap<String, Table>) -> Plan {
        let mut plan = Plan { position: self.table.state.positions.clone(), ..Plan::default() };
        for (shard, end) in &cycle.position {
            let position = plan.position.entry(shard.clone()).or_insert(*end);
            *position = (*position).max(*end);
        }
        for (name, table) in tables {
            let before = self.table.state.copied.get(name).copied();
            let mut after = before;
            let uncopied =
                table.uncopied.iter().filter(|uncopied| before.is_none_or(|before| uncopied.version > before));
            let reached = uncopied.take_while(|uncopied| {
                uncopied.marks.iter().all(|(shard, mark)| plan.position.get(shard).is_some_and(|at| at >= mark))
            });
            for uncopied in reached {
                after = Some(uncopied.version);
                plan.entries.extend(uncopied.entries.iter().cloned());
            }
            if let Some(version) = after.filter(|_| after != before) {
                plan.copied.insert(name.clone(), version);
            }
        }
        plan
    }

    /// Stores the data file and returns the actions of the commit.
    async fn store(&self, plan: Plan, now: Micros) -> Result<Vec<Action>> {
        let mut actions = Vec::new();
        if !plan.entries.is_empty() {
            let file = ledger_file::encode(&plan.entries, now);
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
