//! What the ledger may copy: of each table the commits up to some version, such that every batch in them is whole.
//!
//! A commit is copied only after all those before it in its table, and with all other parts of its batches. So what may be copied
//! is, per table, a prefix of the commits that are not copied yet, and these prefixes together are *closed*: each part of each
//! batch in them lies within them, or was copied before. The greatest such prefixes are copied in one commit of the ledger. Hence
//! at every version of the ledger the tables, each at its copied version, have exactly the rows that the ledger says.
//!
//! A batch that a crash left half done holds back what comes after it in the same tables, until its message comes again.

use std::collections::{BTreeMap, HashMap};

use crate::commit::BatchNote;
use crate::ledger::{Ledger, Plan};
use crate::state::IdentityBits;
use crate::table::{Table, Uncopied};

/// The plan of the next ledger commit.
pub(super) fn plan(ledger: &Ledger, tables: &BTreeMap<String, Table>) -> Option<Plan> {
    let uncopied: BTreeMap<&str, Vec<&Uncopied>> =
        tables.iter().map(|(name, table)| (name.as_str(), ledger.uncopied(table).collect())).collect();
    let notes = uncopied
        .iter()
        .map(|(table, commits)| (*table, commits.iter().map(|commit| commit.batches.as_slice()).collect::<Vec<_>>()));
    let is_in = |table: &str, batch| tables.get(table).is_some_and(|table| table.state.kept.contain_batch(batch));
    let ends = closed_prefixes(&notes.collect(), is_in);
    let mut plan = Plan::default();
    for (table, commits) in uncopied {
        commits[..ends[table]].iter().for_each(|commit| plan.copy(table, commit));
    }
    Some(plan)
}

/// The lengths of the greatest closed prefixes of each table's commits, given what each commit notes of its batches. `is_in` says
/// whether a table has a batch; one that it has by none of these commits was copied before.
fn closed_prefixes<'a>(
    commits: &BTreeMap<&'a str, Vec<&'a [BatchNote]>>,
    is_in: impl Fn(&str, IdentityBits) -> bool,
) -> BTreeMap<&'a str, usize> {
    let mut places: HashMap<(&str, IdentityBits), usize> = HashMap::new();
    // Of each commit, the parts that must be copied with it.
    let mut needs: BTreeMap<&str, Vec<Vec<(String, IdentityBits)>>> = BTreeMap::new();
    for (table, commits) in commits {
        let needs = needs.entry(table).or_default();
        for (place, notes) in commits.iter().enumerate() {
            let parts = notes.iter().filter_map(|note| Some((note, IdentityBits::of(&note.batch)?)));
            let parts: Vec<_> = parts.collect();
            places.extend(parts.iter().map(|(_, batch)| ((*table, *batch), place)));
            needs.push(
                parts.iter().flat_map(|(note, batch)| note.tables().into_iter().map(|table| (table, *batch))).collect(),
            );
        }
    }
    let mut ends: BTreeMap<&str, usize> = commits.iter().map(|(table, commits)| (*table, commits.len())).collect();
    loop {
        let is_copied = |(table, batch): &(String, IdentityBits)| match places.get(&(table.as_str(), *batch)) {
            Some(place) => *place < ends[table.as_str()],
            None => is_in(table, *batch),
        };
        let closed = |table: &str, end: usize| {
            needs[table][..end].iter().position(|needs| !needs.iter().all(is_copied)).unwrap_or(end)
        };
        let shorter: BTreeMap<_, _> = ends.iter().map(|(table, end)| (*table, closed(table, *end))).collect();
        if shorter == ends {
            return ends;
        }
        ends = shorter;
    }
}

#[cfg(test)]
mod tests;
