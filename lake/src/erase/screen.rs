//! What still comes in of an owner who is to be erased: batches that are committed while an erasure is open are compared with it first.
//!
//! An erasure is registered in a table by a transaction in its log. A commit is the next version of that log or none, so either it
//! comes before the registration, and the erasure finds its files in the table, or the committer sees the registration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvium_core::clock::Micros;
use alluvium_core::{DataFileEntry, DataFileFormat, Datasets, Removal};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use deltalake_core::kernel::{Action, Transaction};
use object_store::path::Path;
use uuid::Uuid;

use super::stored::Erasures;
use super::target::{Target, count, without};
use crate::anew::{Anew, Written};
use crate::app_id::AppId;
use crate::columns;
use crate::commit::Commit;
use crate::error::{LakeError, Result};
use crate::rewrite::NewFile;
use crate::state::IdentityBits;
use crate::table::{Table, add_action, path_in};
use crate::upkeep::blocking;

const DOING: &str = "leave out the rows of an owner who is erased";

/// Compares data files with the open erasures before they are committed.
#[derive(Debug)]
pub(crate) struct Screener {
    erasures: Erasures,
    format: Arc<dyn DataFileFormat>,
    columns: BTreeMap<String, SchemaRef>,
    /// Whose rows the open erasures are for that were met.
    known: BTreeMap<Uuid, Target>,
}

/// What came of a look at files.
pub(crate) enum FilesScreened {
    Done(FileScreening),
    /// This file is gone: another committer may have added it by now, without the rows.
    Gone(String),
}

/// What becomes of the files of one commit.
#[derive(Debug, Default)]
pub(crate) struct FileScreening {
    /// The open erasures that the files were compared with.
    erasures: BTreeSet<Uuid>,
    /// By the path of a file, relative to its table, what is added instead of it.
    instead: BTreeMap<String, Instead>,
}

#[derive(Debug)]
struct Instead {
    /// `None`: all its rows are left out.
    file: Option<NewFile>,
    batch: IdentityBits,
    erased: u64,
}

impl Screener {
    pub(crate) fn new(erasures: Erasures, datasets: &Datasets, format: Arc<dyn DataFileFormat>) -> Self {
        let columns = columns::of_tables(datasets).collect();
        Self { erasures, format, columns, known: BTreeMap::new() }
    }

    /// Compares those files of a table that it does not have. Where no erasure is open, that is none.
    pub(crate) async fn screen(&mut self, table: &Table, files: &[&DataFileEntry]) -> Result<FilesScreened> {
        let mut screening = FileScreening { erasures: table.state.erasures.clone(), ..FileScreening::default() };
        if screening.erasures.is_empty() {
            return Ok(FilesScreened::Done(screening));
        }
        let targets: Arc<[Target]> = self.targets(&screening.erasures, table.log.name()).await?.into();
        if targets.is_empty() {
            return Ok(FilesScreened::Done(screening));
        }
        for file in files.iter().filter(|file| !table.state.kept.contain(&file.path)) {
            let path = path_in(table.log.name(), file);
            let Some(bytes) = table.log.find(path).await? else { return Ok(FilesScreened::Gone(file.path.clone())) };
            if let Some(instead) = self.screen_file(table, file, bytes, &targets).await? {
                screening.instead.insert(path.to_owned(), instead);
            }
        }
        Ok(FilesScreened::Done(screening))
    }

    /// Whose rows these erasures are for, as far as they concern a table. What is closed by now is for nobody's.
    async fn targets(&mut self, open: &BTreeSet<Uuid>, table: &str) -> Result<Vec<Target>> {
        for id in open {
            if !self.known.contains_key(id)
                && let Some(target) = self.erasures.load(*id).await?.target()
            {
                self.known.insert(*id, target);
            }
        }
        let of = open.iter().filter_map(|id| self.known.get(id));
        Ok(of.filter(|target| target.concerns(table)).cloned().collect())
    }

    async fn screen_file(
        &self,
        table: &Table,
        file: &DataFileEntry,
        bytes: Bytes,
        targets: &Arc<[Target]>,
    ) -> Result<Option<Instead>> {
        let (log, name) = (&table.log, table.log.name().to_owned());
        let path = path_in(log.name(), file);
        let (of, counted, whole) = (targets.clone(), name.clone(), bytes.clone());
        let erased = blocking(&name, move || count(&of, &counted, whole)).await?;
        let erased = erased.map_err(|error| log.damaged(path, &error.to_string()))?;
        let Some(batch) = IdentityBits::of_data_file(path).filter(|_| erased > 0) else { return Ok(None) };
        let columns = self.columns.get(&name).cloned().ok_or_else(|| LakeError::NoTable(name.clone()))?;
        let targets = targets.clone();
        let anew = Anew {
            log: log.clone(),
            format: self.format.clone(),
            columns,
            change: Arc::new(move |rows| without(&targets, &name, rows)),
            doing: DOING,
        };
        // The same batch, and a name that nobody else gives.
        let to = format!("{batch}-{}.parquet", Uuid::new_v4().simple());
        let written = anew.write(path, file.rows, bytes, &to).await?;
        Ok(Some(Instead { file: written.map(|(Written { file, .. }, _)| file), batch, erased }))
    }
}

impl FileScreening {
    /// Whether it is up to date: no erasure was registered since, and none was closed.
    pub(crate) fn is_of(&self, table: &Table) -> bool {
        self.erasures == table.state.erasures
    }

    /// Puts into a commit what is added instead of the files that it adds.
    pub(crate) fn apply(&self, commit: &mut Commit, table: &str, now: Micros) {
        let mut erased = 0;
        for action in &mut commit.actions {
            let Action::Add(added) = &*action else { continue };
            let Some(instead) = self.instead.get(&added.path) else { continue };
            erased += instead.erased;
            *action = match &instead.file {
                Some(file) => add_action(&file.path, file.size_bytes, file.stats.clone(), now),
                None => {
                    Action::Txn(Transaction::new_with_last_update(AppId::Batch(instead.batch), 0, Some(now / 1_000)))
                }
            };
        }
        if erased > 0 {
            let work = Uuid::new_v4().simple().to_string();
            commit.removals.push(Removal { work, table: table.to_owned(), erased, at: now, ..Removal::default() });
        }
    }

    /// Deletes the files that others were added for. One that cannot be is left for vacuum.
    pub(crate) async fn delete_originals(&self, table: &Table) {
        for path in self.instead.keys() {
            if let Err(error) = table.log.delete(&Path::from(path.as_str())).await {
                tracing::warn!(path, %error, "a file with rows that are erased could not be deleted; vacuum will do it");
            }
        }
    }
}
