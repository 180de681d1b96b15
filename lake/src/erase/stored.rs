//! Erasures as they are stored: `_erasures/<id>.json` under the lake's root.
//!
//! An open one names its owner, since whatever still comes in must be compared with it. A closed one names nobody.
//!
//! Who stores what has become of one does so on the condition that nobody else has since it was read: a command and a function may be at work on
//! the same. A folder's store knows no such condition, and one process alone works on a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alluvium_core::clock::Micros;
use deltalake_core::kernel::{Action, Transaction};
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, UpdateVersion};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::target::Target;
use crate::app_id::AppId;
use crate::error::{LakeError, Result};

/// The folder, beside the tables, that holds erasures.
const FOLDER: &str = "_erasures";
const VERSION: u32 = 1;

/// One erasure, and how far it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Erasure {
    version: u32,
    pub(crate) id: Uuid,
    /// `None`: it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    pub(crate) dataset: Option<String>,
    /// When it was asked for: what arrived later stays.
    pub(crate) requested_at: Micros,
    /// Whether files are deleted as soon as their rows are out of the tables.
    pub(crate) at_once: bool,
    /// By table.
    pub(crate) tables: BTreeMap<String, Progress>,
    /// The rows that left the hot index; `None`: it was not looked at yet.
    pub(crate) hot_rows: Option<u64>,
    pub(crate) closed_at: Option<Micros>,
    /// Which object it was read from, or stored as last; `None`: it is not stored yet, or the store does not tell.
    #[serde(skip)]
    stored: Option<UpdateVersion>,
}

/// How far an erasure is in one table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Whether no file that is in the table holds any of the rows.
    pub(crate) is_swept: bool,
    /// The rows that left the table.
    pub(crate) rows: u64,
    /// How many files took part.
    pub(crate) files: u64,
    /// Files that hold such rows and are, or are about to be, out of the table, with when they left it. They are to be deleted.
    pub(crate) held: BTreeMap<String, Micros>,
    /// A commit of which it is not known whether it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unsure: Option<Attempt>,
}

/// A commit that takes rows out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// What its removal is named.
    pub(crate) work: String,
    /// The first version that it may have.
    pub(crate) from: u64,
    pub(crate) rows: u64,
    /// The files that it takes out.
    pub(crate) files: BTreeSet<String>,
}

impl Progress {
    /// Counts a commit that was made.
    pub(crate) fn count(&mut self, attempt: &Attempt) {
        self.rows += attempt.rows;
        self.files += attempt.files.len() as u64;
    }
}

impl Erasure {
    pub(crate) fn new(target: Target, at_once: bool, tables: impl IntoIterator<Item = String>) -> Self {
        Self {
            version: VERSION,
            id: Uuid::new_v4(),
            owner: Some(target.owner),
            dataset: target.dataset,
            requested_at: target.until,
            at_once,
            tables: tables.into_iter().map(|table| (table, Progress::default())).collect(),
            hot_rows: None,
            closed_at: None,
            stored: None,
        }
    }

    /// Whose rows go; `None`: it is closed.
    pub(crate) fn target(&self) -> Option<Target> {
        let owner = self.owner.clone()?;
        Some(Target { owner, until: self.requested_at, dataset: self.dataset.clone() })
    }

    pub(crate) fn progress(&mut self, table: &str) -> &mut Progress {
        self.tables.entry(table.to_owned()).or_default()
    }

    /// Forgets whose it was.
    pub(crate) fn close(&mut self, now: Micros) {
        self.owner = None;
        self.closed_at = Some(now);
    }
}

/// Where erasures are stored.
#[derive(Debug, Clone)]
pub(crate) struct Erasures {
    store: Arc<dyn ObjectStore>,
    root: Url,
}

impl Erasures {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, root: Url) -> Self {
        Self { store, root }
    }

    pub(crate) async fn load(&self, id: Uuid) -> Result<Erasure> {
        let path = path(id);
        let damaged = |problem: String| LakeError::Damaged { path: self.place(&path), problem };
        let (bytes, stored) = match self.store.get(&Path::from(path.as_str())).await {
            Ok(found) => {
                let tag = found.meta.e_tag.clone();
                (found.bytes().await.map_err(self.failed("read", &path))?, tag)
            }
            Err(Error::NotFound { .. }) => {
                return Err(damaged("it is missing, and a table's log says that it is open; restore it".to_owned()));
            }
            Err(source) => return Err(self.failed("read", &path)(source)),
        };
        let erasure: Erasure = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        match erasure.version {
            VERSION => Ok(Erasure { stored: version_of(stored), ..erasure }),
            newer => Err(damaged(format!("it has version {newer}, this release reads {VERSION}"))),
        }
    }

    /// Stores an erasure over what it was read from.
    ///
    /// # Errors
    ///
    /// [`LakeError::Overtaken`] when somebody else has stored it since, else when the store fails.
    pub(crate) async fn save(&self, erasure: &mut Erasure) -> Result<()> {
        let path = path(erasure.id);
        let at = Path::from(path.as_str());
        let bytes = serde_json::to_vec(erasure).expect("an erasure holds only texts and numbers");
        let mode = erasure.stored.clone().map_or(PutMode::Overwrite, PutMode::Update);
        let put = match self.store.put_opts(&at, bytes.clone().into(), PutOptions::from(mode)).await {
            Err(Error::NotImplemented { .. }) => self.store.put(&at, bytes.into()).await,
            put => put,
        };
        match put {
            Ok(put) => {
                erasure.stored = version_of(put.e_tag);
                Ok(())
            }
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => {
                Err(LakeError::Overtaken(self.place(&path)))
            }
            Err(error) => Err(self.failed("write", &path)(error)),
        }
    }

    /// What a table that is being made is told of the erasures that are open.
    pub(crate) async fn registrations(&self, table: &str) -> Result<Vec<Action>> {
        let all = self.all().await?;
        let open = all.iter().filter(|erasure| erasure.target().is_some_and(|target| target.concerns(table)));
        Ok(open.map(|erasure| registration(erasure.id)).collect())
    }

    /// All of them, the oldest first.
    pub(crate) async fn all(&self) -> Result<Vec<Erasure>> {
        let listed = self.store.list(Some(&Path::from(FOLDER))).try_collect().await;
        let listed: Vec<ObjectMeta> = match listed {
            Err(Error::NotFound { .. }) => Vec::new(),
            listed => listed.map_err(self.failed("list", FOLDER))?,
        };
        let mut all = Vec::new();
        for object in listed {
            let id = object.location.filename().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            if let Some(id) = id {
                all.push(self.load(id).await?);
            }
        }
        all.sort_by_key(|erasure| (erasure.requested_at, erasure.id));
        Ok(all)
    }

    fn failed(&self, doing: &'static str, path: &str) -> impl FnOnce(Error) -> LakeError + use<> {
        let path = self.place(path);
        move |source| LakeError::Store { doing, path, source }
    }

    fn place(&self, path: &str) -> String {
        format!("{}/{path}", self.root.as_str().trim_end_matches('/'))
    }
}

/// What tells a table that an erasure is open. It has no time, so that it does not expire.
pub(crate) fn registration(id: Uuid) -> Action {
    Action::Txn(Transaction::new(AppId::Erasure(id), 0))
}

fn version_of(tag: Option<String>) -> Option<UpdateVersion> {
    tag.map(|tag| UpdateVersion { e_tag: Some(tag), version: None })
}

fn path(id: Uuid) -> String {
    format!("{FOLDER}/{}.json", id.simple())
}
