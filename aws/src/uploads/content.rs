//! Where content lies, and what there is of it.

use std::collections::HashMap;

use alluvium_core::ports::{Advice, OwnerKey, PortError};
use alluvium_core::upload::Upload;

use super::{S3Uploads, item};
use crate::error::port_error;

/// The most pages of keys that are read. A page has 1,000; there is far less content than that unless loading has long stood still.
const PAGES: usize = 10;

/// The content that is not loaded yet: its size by the path under the root, `<hash of the owner>/<id>`.
#[derive(Debug, Default)]
pub(super) struct Contents(HashMap<String, u64>);

impl Contents {
    /// How many bytes the content of this upload has, if it is here.
    pub(super) fn of(&self, upload: &Upload) -> Option<u64> {
        self.0.get(&path(upload)).copied()
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.values().sum()
    }

    pub(super) fn count_of(&self, owner: &str) -> usize {
        self.theirs(owner).count()
    }

    pub(super) fn bytes_of(&self, owner: &str) -> u64 {
        self.theirs(owner).sum()
    }

    fn theirs(&self, owner: &str) -> impl Iterator<Item = u64> {
        let folder = OwnerKey::of(owner);
        let is_theirs = move |path: &str| path.split_once('/').is_some_and(|(first, _)| first == folder.as_str());
        self.0.iter().filter(move |(path, _)| is_theirs(path)).map(|(_, bytes)| *bytes)
    }
}

/// The path of an upload's content under the root. Who has a link learns no more of its owner than the hash.
fn path(upload: &Upload) -> String {
    format!("{}/{}", OwnerKey::of(&upload.owner).as_str(), upload.id)
}

impl S3Uploads {
    /// The key of an upload's content.
    pub(super) fn key(&self, upload: &Upload) -> Result<String, PortError> {
        self.root.key(&path(upload)).map_err(|why| PortError::new(Advice::Stop, why))
    }

    /// Whose content lies at a key: the hash of an owner, and an upload's id. `None`: it is no content.
    pub(super) fn whose<'a>(&self, key: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = match self.root.prefix() {
            "" => key,
            prefix => key.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        rest.split_once('/').filter(|(_, id)| item::is_id(id))
    }

    /// All content that there is, or that of one upload.
    pub(super) async fn contents(&self, of: Option<&Upload>) -> Result<Contents, PortError> {
        let prefix = match (of, self.root.prefix()) {
            (Some(upload), _) => self.key(upload)?,
            (None, "") => String::new(),
            (None, prefix) => format!("{prefix}/"),
        };
        let list = self.s3.list_objects_v2().bucket(self.root.bucket()).prefix(prefix);
        let mut pages = list.into_paginator().send();
        let mut contents = Contents::default();
        for _ in 0..PAGES {
            let Some(page) = pages.next().await else { break };
            let page = page.map_err(|error| port_error(format!("cannot list {}", self.root), error))?;
            for object in page.contents() {
                let Some((owner, id)) = object.key().and_then(|key| self.whose(key)) else { continue };
                let bytes = object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default();
                contents.0.insert(format!("{owner}/{id}"), bytes);
            }
        }
        Ok(contents)
    }

    /// Removes content, or one version of it. It need not be there.
    pub(super) async fn remove_content(&self, key: &str, version: Option<&str>) -> Result<(), PortError> {
        let delete = self.s3.delete_object().bucket(self.root.bucket()).key(key);
        let deleted = delete.set_version_id(version.map(str::to_owned)).send().await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.raw_response().is_some_and(|raw| raw.status().as_u16() == 404) => Ok(()),
            Err(error) => Err(port_error(format!("cannot remove {}", self.root.object(key)), error)),
        }
    }
}
