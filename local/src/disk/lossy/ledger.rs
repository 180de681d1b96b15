//! What a lossy disk knows: the present and the synced state of every file and name.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rand::Rng;
use rand::rngs::StdRng;

use crate::disk::{Disk, EntryKind, RealDisk};

const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(FileId),
    Folder,
}

/// A change of names that was made and not yet synced.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Add(PathBuf, Node),
    /// From, to, and what is moved: a sync of the new name's folder makes it durable even if the old name never was.
    Move(PathBuf, PathBuf, Node),
    Remove(PathBuf),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Add(path, node) => {
                names.insert(path.clone(), *node);
            }
            Self::Move(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }

    fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::Add(path, _) | Self::Remove(path) => path.parent() == Some(folder),
            Self::Move(from, to, _) => from.parent() == Some(folder) || to.parent() == Some(folder),
        }
    }
}

#[derive(Debug, Default)]
struct Contents {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// The first byte that may differ between the two; `None`: there is none that a sync would bring over.
    dirty_from: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    files: HashMap<FileId, Contents>,
    names: BTreeMap<PathBuf, Node>,
    synced_names: BTreeMap<PathBuf, Node>,
    unsynced: Vec<NameChange>,
    next: u64,
}

impl Ledger {
    pub(super) fn scan(root: &Path) -> io::Result<Self> {
        let mut ledger = Self::default();
        let mut by_inode: HashMap<u64, FileId> = HashMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in RealDisk.list(&folder)? {
                let node = match entry.kind {
                    EntryKind::Folder => {
                        folders.push(entry.path.clone());
                        Node::Folder
                    }
                    EntryKind::File => {
                        let inode = fs::metadata(&entry.path)?.ino();
                        let id = *by_inode.entry(inode).or_insert_with(|| ledger.new_file());
                        let bytes = fs::read(&entry.path)?;
                        ledger.files.insert(id, Contents { now: bytes.clone(), synced: bytes, dirty_from: None });
                        Node::File(id)
                    }
                    EntryKind::Other => continue,
                };
                ledger.names.insert(entry.path, node);
            }
        }
        ledger.synced_names = ledger.names.clone();
        Ok(ledger)
    }

    pub(super) fn new_file(&mut self) -> FileId {
        self.next += 1;
        self.files.insert(FileId(self.next), Contents::default());
        FileId(self.next)
    }

    pub(super) fn file_at(&self, path: &Path) -> Option<FileId> {
        match self.names.get(path)? {
            Node::File(id) => Some(*id),
            Node::Folder => None,
        }
    }

    pub(super) fn len_bytes(&self, id: FileId) -> u64 {
        self.files[&id].now.len() as u64
    }

    pub(super) fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }

    pub(super) fn sync_folder(&mut self, folder: &Path) {
        let synced_names = &mut self.synced_names;
        self.unsynced.retain(|change| {
            let synced = change.is_in(folder);
            if synced {
                change.apply(synced_names);
            }
            !synced
        });
    }

    pub(super) fn write(&mut self, id: FileId, offset: u64, bytes: &[u8]) {
        let contents = self.contents(id);
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        contents.dirty(start.min(contents.now.len()));
        contents.now.resize(contents.now.len().max(end), 0);
        contents.now[start..end].copy_from_slice(bytes);
    }

    pub(super) fn truncate(&mut self, id: FileId, length: u64) {
        let contents = self.contents(id);
        contents.dirty((length as usize).min(contents.now.len()));
        contents.now.resize(length as usize, 0);
    }

    pub(super) fn sync_file(&mut self, id: FileId) {
        let contents = self.contents(id);
        if let Some(from) = contents.dirty_from.take() {
            contents.synced.resize(from, 0);
            contents.synced.extend_from_slice(&contents.now[from..]);
        }
    }

    /// What a failed sync leaves: the system takes the bytes for written, and they are nowhere.
    pub(super) fn lose_unsynced(&mut self, id: FileId) {
        self.contents(id).dirty_from = None;
    }

    fn contents(&mut self, id: FileId) -> &mut Contents {
        self.files.get_mut(&id).expect("a file is never forgotten")
    }

    /// Rewrites the folder to what survives: all that was synced, and what `chance` keeps of the rest.
    pub(super) fn write_survivors(&self, root: &Path, mut chance: Option<&mut StdRng>) -> io::Result<()> {
        let mut names = self.synced_names.clone();
        if let Some(chance) = &mut chance {
            let kept = chance.random_range(0..=self.unsynced.len());
            self.unsynced[..kept].iter().for_each(|change| change.apply(&mut names));
        }
        clear(root)?;
        let mut written: BTreeMap<FileId, &Path> = BTreeMap::new();
        // In the order of paths a folder comes before what it holds; what is in a folder that did not survive is lost with it.
        for (path, node) in &names {
            if !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match node {
                Node::Folder => fs::create_dir(path)?,
                Node::File(id) => match written.get(id) {
                    Some(first) => fs::hard_link(first, path)?,
                    None => {
                        fs::write(path, self.files[id].survivor(chance.as_deref_mut()))?;
                        written.insert(*id, path);
                    }
                },
            }
        }
        Ok(())
    }
}

impl Contents {
    fn dirty(&mut self, from: usize) {
        self.dirty_from = Some(self.dirty_from.map_or(from, |dirty| dirty.min(from)));
    }

    fn survivor(&self, chance: Option<&mut StdRng>) -> Vec<u8> {
        let Some(chance) = chance.filter(|_| self.now != self.synced) else { return self.synced.clone() };
        let (shorter, longer) = (self.now.len().min(self.synced.len()), self.now.len().max(self.synced.len()));
        let length = match chance.random_range(0..4) {
            0 => self.synced.len(),
            1 => self.now.len(),
            _ => chance.random_range(shorter..=longer),
        };
        let mut bytes = vec![0; length];
        for (index, sector) in bytes.chunks_mut(SECTOR_BYTES).enumerate() {
            let start = index * SECTOR_BYTES;
            let from = if chance.random_bool(0.5) { &self.now } else { &self.synced };
            let there = from.get(start..).unwrap_or_default();
            let copied = there.len().min(sector.len());
            sector[..copied].copy_from_slice(&there[..copied]);
            // Only where nothing was ever synced: a sector that was is written whole or not at all.
            if start >= self.synced.len() && chance.random_bool(0.2) {
                chance.fill(sector);
            }
        }
        bytes
    }
}

fn clear(root: &Path) -> io::Result<()> {
    for entry in RealDisk.list(root)? {
        match entry.kind {
            EntryKind::Folder => fs::remove_dir_all(&entry.path)?,
            EntryKind::File | EntryKind::Other => fs::remove_file(&entry.path)?,
        }
    }
    Ok(())
}
