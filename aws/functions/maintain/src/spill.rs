//! Where rows wait that do not fit into memory.
//!
//! A process that was ended in the middle of its work leaves its folder, and Lambda may start the next one on the same disk. So each has
//! a folder of its own, and takes away those of processes that are no more.

use std::io;
use std::path::{Path, PathBuf};

const FOLDER: &str = "alluvium-maintain";

/// The folder of this process under `temporary`, empty.
///
/// # Errors
///
/// When the disk cannot be read or written.
pub fn folder(temporary: &Path, process: u32) -> io::Result<PathBuf> {
    let root = temporary.join(FOLDER);
    std::fs::create_dir_all(&root)?;
    for left in std::fs::read_dir(&root)? {
        let left = left?;
        let of = left.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if of.is_some_and(|of| of == process || !Path::new(&format!("/proc/{of}")).exists()) {
            std::fs::remove_dir_all(left.path())?;
        }
    }
    let own = root.join(process.to_string());
    std::fs::create_dir(&own)?;
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_left_that_are_no_more_is_taken_away() {
        let disk = tempfile::tempdir().unwrap();
        // No process has this number: Linux gives no larger ones than 4,194,304.
        let gone = folder(disk.path(), 4_200_000_000).unwrap();
        std::fs::write(gone.join("run-0"), "rows").unwrap();
        // This one is alive.
        let other = folder(disk.path(), 1).unwrap();
        let own = folder(disk.path(), std::process::id()).unwrap();
        assert!(!gone.exists() && other.exists() && own.exists());
        std::fs::write(own.join("run-0"), "rows").unwrap();
        let again = folder(disk.path(), std::process::id()).unwrap();
        assert_eq!(std::fs::read_dir(again).unwrap().count(), 0);
    }
}
