//! Small files that nobody but their user may read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::{FolderError, failed};

/// Reading and writing by their user.
const MODE: u32 = 0o600;
/// The bits of everybody else.
const OTHERS: u32 = 0o077;
/// The most that is read of one: more than any token has.
const MAX_BYTES: u64 = 64 * 1024;

/// What such a file holds, without white space at its ends; `None`: it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, FolderError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let mode = file.metadata().map_err(failed("read", path))?.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(FolderError::NotPrivate { path: path.display().to_string(), mode });
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed("read", path))?;
    Ok(Some(text.trim().to_owned()))
}

/// Writes such a file, in place of the one that is there. Whoever reads meanwhile has the old one or the new one.
pub(super) fn write(path: &Path, text: &str) -> Result<(), FolderError> {
    let draft = path.with_extension("new");
    // One that was left behind may have another mode.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &draft)(error)),
        _ => {}
    }
    let create = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&draft);
    create
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(failed("write", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn nobody_else_can_read_what_is_written_and_what_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert_eq!(read(&path).unwrap(), None);
        for text in ["first", "second"] {
            write(&path, text).unwrap();
            assert_eq!(read(&path).unwrap().as_deref(), Some(text));
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read(&path).unwrap_err().to_string();
        assert!(
            refused.contains("mode 640") && refused.contains("chmod 600") && !refused.contains("second"),
            "{refused}"
        );
    }
}
