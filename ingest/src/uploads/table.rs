//! Which uploads there are, and how much of what there may be they take.

use std::collections::BTreeMap;

use alluvium_core::clock::{Micros, micros};
use alluvium_core::upload::{Share, Upload, UploadState, UploadStoreError};

use super::problem::UploadProblem;
use super::settings::UploadSettings;

/// How much longer than its link an upload waits: clocks may differ by half of it.
const GRACE: Micros = 60 * 1_000_000;

/// All uploads, by id.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<String, Entry>,
    /// What the content of all takes, that which is arriving included.
    held_bytes: u64,
    /// Whose upload was loaded last.
    last_owner: String,
}

#[derive(Debug)]
struct Entry {
    upload: Upload,
    /// What its content takes.
    held_bytes: u64,
    /// Whether its content is arriving.
    arriving: bool,
}

impl Table {
    /// The table of what a folder holds.
    pub(super) fn of(found: Vec<Upload>) -> Self {
        let mut table = Self::default();
        for upload in found {
            let held_bytes =
                if upload.state == UploadState::Waiting || upload.state.has_ended() { 0 } else { upload.bytes };
            table.held_bytes += held_bytes;
            table.entries.insert(upload.id.clone(), Entry { upload, held_bytes, arriving: false });
        }
        table
    }

    /// Takes a new upload in, if there may be one more.
    pub(super) fn add(&mut self, upload: Upload, settings: &UploadSettings) -> Result<(), UploadStoreError> {
        let unfinished = || self.entries.values().filter(|entry| !entry.upload.state.has_ended());
        if unfinished().filter(|entry| entry.upload.owner == upload.owner).count() >= settings.unfinished_of_owner {
            return Err(UploadStoreError::TooMany { limit: settings.unfinished_of_owner, share: Share::OfOwner });
        }
        if unfinished().count() >= settings.unfinished {
            return Err(UploadStoreError::TooMany { limit: settings.unfinished, share: Share::OfAll });
        }
        self.entries.insert(upload.id.clone(), Entry { upload, held_bytes: 0, arriving: false });
        Ok(())
    }

    pub(super) fn get(&self, id: &str) -> Option<&Upload> {
        self.entries.get(id).map(|entry| &entry.upload)
    }

    /// The newest uploads for which `wanted` holds, newest first.
    pub(super) fn newest(&self, most: usize, wanted: impl Fn(&Upload) -> bool) -> Vec<Upload> {
        let mut found: Vec<_> =
            self.entries.values().map(|entry| &entry.upload).filter(|upload| wanted(upload)).collect();
        found.sort_by(|one, other| (other.created, &other.id).cmp(&(one.created, &one.id)));
        found.into_iter().take(most).cloned().collect()
    }

    /// Lets the content of an upload come in.
    pub(super) fn begin(&mut self, id: &str, settings: &UploadSettings) -> Result<Upload, UploadProblem> {
        let entry = self.entries.get(id).ok_or_else(|| UploadProblem::Unknown(id.to_owned()))?;
        let owner = &entry.upload.owner;
        let of_owner = self.entries.values().filter(|entry| entry.arriving && entry.upload.owner == *owner).count();
        let limit = settings.puts_of_owner();
        let entry = self.entries.get_mut(id).expect("it was there just now");
        if entry.upload.state != UploadState::Waiting {
            return Err(UploadProblem::HasContent);
        }
        if entry.arriving {
            return Err(UploadProblem::Arriving);
        }
        if of_owner >= limit {
            return Err(UploadProblem::TooManyPuts { limit, share: Share::OfOwner });
        }
        entry.arriving = true;
        Ok(entry.upload.clone())
    }

    /// So many bytes more of an upload's content are here.
    pub(super) fn grow(&mut self, id: &str, bytes: u64, settings: &UploadSettings) -> Result<(), UploadProblem> {
        let entry = self.entries.get(id).ok_or_else(|| UploadProblem::Unknown(id.to_owned()))?;
        if entry.held_bytes + bytes > settings.max_bytes {
            return Err(UploadProblem::TooLarge { limit: settings.max_bytes });
        }
        if self.held_bytes + bytes > settings.stored_bytes {
            return Err(UploadProblem::Full { limit: settings.stored_bytes, share: Share::OfAll });
        }
        let owner = &entry.upload.owner;
        let theirs = self.entries.values().filter(|entry| entry.upload.owner == *owner);
        let limit = settings.stored_bytes_of_owner();
        if theirs.map(|entry| entry.held_bytes).sum::<u64>() + bytes > limit {
            return Err(UploadProblem::Full { limit, share: Share::OfOwner });
        }
        self.entries.get_mut(id).expect("it was there just now").held_bytes += bytes;
        self.held_bytes += bytes;
        Ok(())
    }

    /// The content of an upload broke off, and nothing of it is there any more.
    pub(super) fn broke_off(&mut self, id: &str) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.arriving = false;
            self.held_bytes -= std::mem::take(&mut entry.held_bytes);
        }
    }

    /// Takes in how far an upload is; says whether it is there still.
    pub(super) fn update(&mut self, upload: Upload) -> bool {
        let Some(entry) = self.entries.get_mut(&upload.id) else { return false };
        entry.arriving = false;
        if upload.state.has_ended() {
            self.held_bytes -= std::mem::take(&mut entry.held_bytes);
        }
        entry.upload = upload;
        true
    }

    /// What is to be loaded next: the one whose content was here first, of another owner than that of the last one if there is any.
    pub(super) fn next(&mut self) -> Option<Upload> {
        let loadable = |upload: &&Upload| matches!(upload.state, UploadState::Queued | UploadState::Loading);
        let last_owner = &self.last_owner;
        let rank = |upload: &&Upload| (upload.owner == *last_owner, upload.received, upload.id.clone());
        let next = self.entries.values().map(|entry| &entry.upload).filter(loadable).min_by_key(rank).cloned()?;
        self.last_owner.clone_from(&next.owner);
        Some(next)
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Upload> {
        let entry = self.entries.remove(id)?;
        self.held_bytes -= entry.held_bytes;
        Some(entry.upload)
    }

    /// Removes the uploads of an owner, or of an owner and a dataset. Returns their ids.
    pub(super) fn remove_of(&mut self, owner: &str, dataset: Option<&str>) -> Vec<String> {
        self.remove_where(|entry| is_of(&entry.upload, owner, dataset))
    }

    /// Removes what waits for its content no more, and what ended long ago or before too many others. Returns their ids.
    pub(super) fn remove_old(&mut self, now: Micros, settings: &UploadSettings) -> Vec<String> {
        let kept = micros(settings.kept);
        let end = |upload: &Upload| ended(upload).map(|at| (at, upload.id.clone()));
        let mut ends: Vec<_> = self.entries.values().filter_map(|entry| end(&entry.upload)).collect();
        ends.sort_unstable_by(|one, other| other.cmp(one));
        let too_many = ends.into_iter().nth(settings.ended);
        self.remove_where(|entry| match (entry.upload.state, end(&entry.upload)) {
            (UploadState::Waiting, _) => !entry.arriving && now > entry.upload.expires.saturating_add(GRACE),
            (_, Some(end)) => now > end.0.saturating_add(kept) || too_many.as_ref().is_some_and(|last| end <= *last),
            (_, None) => false,
        })
    }

    fn remove_where(&mut self, goes: impl Fn(&Entry) -> bool) -> Vec<String> {
        let ids: Vec<_> = self.entries.iter().filter(|(_, entry)| goes(entry)).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            self.remove(id);
        }
        ids
    }
}

fn ended(upload: &Upload) -> Option<Micros> {
    upload.state.has_ended().then(|| upload.ended.unwrap_or(upload.created))
}

/// Whether an upload is of this owner, and of this dataset if one is named.
pub(super) fn is_of(upload: &Upload, owner: &str, dataset: Option<&str>) -> bool {
    upload.owner == owner && dataset.is_none_or(|dataset| upload.dataset == dataset)
}
