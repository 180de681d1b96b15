//! A test instrument: a disk that loses on command what was not synced, and fails on command.
//!
//! It works on a real folder, so that code that reads with the system's own calls sees what was written, and keeps beside it
//! what a power cut would leave: of each file the bytes of its last sync, of each folder the names of its last sync.
//! [`LossyDisk::power_loss`] then rewrites the folder to that state. Nothing but tests should construct one: it holds every
//! file twice in memory.

mod ledger;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;

use self::ledger::{FileId, Ledger, NameChange, Node};
use super::{Disk, DiskFile, FolderEntry, RealDisk};

/// What a power cut takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Everything that was not synced: every byte and every change of a name.
    Everything,
    /// A part of it, as a file system that was interrupted while it wrote: of the names' changes a prefix is kept, in the order
    /// in which they were made; of a file's unsynced bytes any 512-byte sectors, the others are zeros, garbage or missing.
    Some {
        /// The same seed loses the same part.
        seed: u64,
    },
}

/// A disk over one folder that remembers what was synced. See the [module](self).
#[derive(Debug, Clone)]
pub struct LossyDisk {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    power: Power,
    /// How many bytes files may still grow by; `None`: no limit.
    room_bytes: Option<u64>,
    failing_syncs: u32,
    changes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    On,
    /// Off after this many more changes.
    OffAfter(u64),
    Off,
}

#[derive(Debug)]
struct LossyFile {
    disk: LossyDisk,
    id: FileId,
    file: File,
}

impl LossyDisk {
    /// A disk over an existing folder. Everything in it counts as synced.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    pub fn over(root: &Path) -> io::Result<Self> {
        let ledger = Ledger::scan(root)?;
        let state = State { ledger, power: Power::On, room_bytes: None, failing_syncs: 0, changes: 0 };
        Ok(Self { root: root.to_owned(), state: Arc::new(Mutex::new(state)) })
    }

    /// Puts the folder into a state that a power cut at this moment could leave, and gives a disk over it. This disk, its
    /// clones and all files opened through it fail from now on.
    ///
    /// # Errors
    ///
    /// When the folder cannot be rewritten.
    pub fn power_loss(&self, loss: Loss) -> io::Result<Self> {
        let mut state = self.lock();
        state.power = Power::Off;
        match loss {
            Loss::Everything => state.ledger.write_survivors(&self.root, None)?,
            Loss::Some { seed } => {
                state.ledger.write_survivors(&self.root, Some(&mut StdRng::seed_from_u64(seed)))?;
            }
        }
        Self::over(&self.root)
    }

    /// Lets `changes` more changes (of bytes, names or by a sync) succeed and fails everything after them, so that a test can
    /// stop the world at each single step.
    pub fn cut_power_after(&self, changes: u64) {
        self.lock().power = Power::OffAfter(changes);
    }

    /// How many changes were made so far: what to count up to with [`cut_power_after`](Self::cut_power_after).
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Lets files grow by `bytes` more in all; then the disk is full. `None`: there is room again.
    pub fn set_room_bytes(&self, bytes: Option<u64>) {
        self.lock().room_bytes = bytes;
    }

    /// Fails the next `syncs` syncs of files. What they should have synced is lost for good, as on Linux: a later sync
    /// that succeeds does not cover it.
    pub fn fail_syncs(&self, syncs: u32) {
        self.lock().failing_syncs = syncs;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn powered(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.power == Power::Off { Err(power_is_off()) } else { Ok(state) }
    }

    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.powered()?;
        match state.power {
            Power::OffAfter(0) => {
                state.power = Power::Off;
                return Err(power_is_off());
            }
            Power::OffAfter(left) => state.power = Power::OffAfter(left - 1),
            Power::On | Power::Off => {}
        }
        state.changes += 1;
        Ok(state)
    }
}

fn power_is_off() -> io::Error {
    io::Error::other("the power is off")
}

impl Disk for LossyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.change()?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        let id = state.ledger.new_file();
        state.ledger.rename(NameChange::Add(path.to_owned(), Node::File(id)));
        Ok(Box::new(LossyFile { disk: self.clone(), id, file }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.powered()?;
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let id = state.ledger.file_at(path).ok_or_else(|| not_ours(path))?;
        Ok(Box::new(LossyFile { disk: self.clone(), id, file }))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        fs::create_dir(path)?;
        state.ledger.rename(NameChange::Add(path.to_owned(), Node::Folder));
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.change()?.ledger.sync_folder(path);
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        fs::hard_link(from, to)?;
        let id = state.ledger.file_at(from).ok_or_else(|| not_ours(from))?;
        state.ledger.rename(NameChange::Add(to.to_owned(), Node::File(id)));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        fs::rename(from, to)?;
        let moved = state.ledger.file_at(from).ok_or_else(|| not_ours(from))?;
        // POSIX: renaming one of two names of a file to the other does nothing.
        if state.ledger.file_at(to) != Some(moved) {
            state.ledger.rename(NameChange::Move(from.to_owned(), to.to_owned(), Node::File(moved)));
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.change()?;
        fs::remove_file(path)?;
        state.ledger.rename(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<FolderEntry>> {
        let _powered = self.powered()?;
        RealDisk.list(folder)
    }
}

fn not_ours(path: &Path) -> io::Error {
    io::Error::other(format!("{} was not written through this lossy disk", path.display()))
}

impl DiskFile for LossyFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.change()?;
        let length = state.ledger.len_bytes(self.id);
        let growth = (offset + bytes.len() as u64).saturating_sub(length);
        let missing = state.room_bytes.map_or(0, |room| growth.saturating_sub(room));
        let written = &bytes[..bytes.len().saturating_sub(missing as usize)];
        self.file.write_all_at(written, offset)?;
        state.ledger.write(self.id, offset, written);
        if let Some(room) = &mut state.room_bytes {
            *room = room.saturating_sub(growth);
        }
        if missing > 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let _powered = self.disk.powered()?;
        self.file.read_exact_at(buffer, offset)
    }

    fn len_bytes(&self) -> io::Result<u64> {
        let _powered = self.disk.powered()?;
        Ok(self.file.metadata()?.len())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.change()?;
        self.file.set_len(length)?;
        let freed = state.ledger.len_bytes(self.id).saturating_sub(length);
        state.ledger.truncate(self.id, length);
        if let Some(room) = &mut state.room_bytes {
            *room += freed;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.change()?;
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            state.ledger.lose_unsynced(self.id);
            return Err(io::Error::other("the sync failed, as it was told to"));
        }
        state.ledger.sync_file(self.id);
        Ok(())
    }
}
