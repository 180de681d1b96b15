//! What the name of a file tells of how its lines are to be read.

use alluvium_core::upload::UploadFormat;

use crate::replay::FileFormat;

/// The format that a name ends in, an ending of its compression left out.
pub(super) fn of_name(name: &str) -> Option<UploadFormat> {
    let name = name.to_ascii_lowercase();
    let plain = [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(&name);
    match crate::replay::format_of_name(plain) {
        Some(FileFormat::Ndjson) => Some(UploadFormat::Ndjson),
        Some(FileFormat::Csv) => Some(UploadFormat::Csv),
        None => None,
    }
}
