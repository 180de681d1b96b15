//! What an item of the table holds.
//!
//! ```text
//! id         the upload's, and the key
//! owner      the upload's; with `created` the index `owners`
//! shelf      `uploads`; with `created` the index `all`
//! created    when it was asked for, in µs
//! version    1
//! upload     the upload in JSON, as a node keeps it
//! revision   how often it was changed
//! content    the version of the content that is loaded; missing: none yet, or the bucket keeps none
//! lease_by, lease_until    who loads it, and until when at the longest, in µs; missing: nobody
//! expires_at when it is forgotten, in s, for TTL
//! ```

use std::collections::HashMap;

use alluvium_core::clock::Micros;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::upload::Upload;
use aws_sdk_dynamodb::types::AttributeValue;

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) const ID: &str = "id";
pub(super) const OWNER: &str = "owner";
pub(super) const SHELF: &str = "shelf";
/// The index by [`OWNER`] and `created`.
pub(super) const OWNERS: &str = "owners";
/// The index by [`SHELF`] and `created`.
pub(super) const ALL: &str = "all";
/// What stands in every item's [`SHELF`].
pub(super) const ONLY_SHELF: &str = "uploads";

/// The layout that is written, and the only one there has been.
const VERSION_NUMBER: u64 = 1;

/// How many digits an id has, hexadecimal ones.
const ID_DIGITS: usize = 32;

/// Who loads an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    /// The message that asks for it.
    pub(super) by: String,
    /// Until when at the longest.
    pub(super) until: Micros,
}

/// What is kept of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) upload: Upload,
    pub(super) revision: u64,
    /// The version of the content that is loaded.
    pub(super) content: Option<String>,
    pub(super) lease: Option<Lease>,
    pub(super) forget_at: Micros,
}

/// Whether a text may be an upload's id.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The key of an upload's item.
pub(super) fn by_id(id: &str) -> Item {
    Item::from([(ID.to_owned(), AttributeValue::S(id.to_owned()))])
}

impl Kept {
    /// What is kept of an upload that is new.
    pub(super) fn new(upload: Upload, forget_at: Micros) -> Self {
        Self { upload, revision: 1, content: None, lease: None, forget_at }
    }

    pub(super) fn to_item(&self) -> Item {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let number = |number: i64| AttributeValue::N(number.to_string());
        let upload = String::from_utf8(self.upload.to_json()).expect("JSON is UTF-8");
        let mut item = by_id(&self.upload.id);
        let mut put = |name: &str, value| item.insert(name.to_owned(), value);
        put(OWNER, text(&self.upload.owner));
        put(SHELF, text(ONLY_SHELF));
        put("created", number(self.upload.created));
        put("version", AttributeValue::N(VERSION_NUMBER.to_string()));
        put("upload", AttributeValue::S(upload));
        put("revision", AttributeValue::N(self.revision.to_string()));
        put("expires_at", number(self.forget_at.div_euclid(1_000_000)));
        if let Some(content) = &self.content {
            put("content", text(content));
        }
        if let Some(Lease { by, until }) = &self.lease {
            put("lease_by", text(by));
            put("lease_until", number(*until));
        }
        item
    }

    /// Reads an item.
    ///
    /// # Errors
    ///
    /// When a release after this one wrote it, or somebody else.
    pub(super) fn of_item(item: &Item) -> Result<Self, PortError> {
        let text = |name: &str| item.get(name)?.as_s().ok().map(String::as_str);
        let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<i64>().ok();
        let read = || {
            let upload = Upload::from_json(text("upload")?.as_bytes())?;
            let lease = text("lease_by").zip(number("lease_until"));
            Some(Self {
                upload,
                revision: number("revision")?.try_into().ok()?,
                content: text("content").map(str::to_owned),
                lease: lease.map(|(by, until)| Lease { by: by.to_owned(), until }),
                forget_at: number("expires_at")?.saturating_mul(1_000_000),
            })
        };
        let known = (number("version") == Some(VERSION_NUMBER as i64)).then(read).flatten();
        known.ok_or_else(|| {
            let id = text(ID).unwrap_or("without an id");
            let why = "it was written by a release after this one, or by other hands";
            PortError::new(Advice::Stop, format!("what is kept of the upload {id} cannot be read: {why}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use alluvium_core::upload::UploadFormat;

    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_what_a_later_release_wrote_is_refused() {
        let id = "0123456789abcdef0123456789abcdef";
        let upload = Upload::new(id.into(), "ann".into(), "telemetry".into(), UploadFormat::Csv, None, (-1, 7));
        let mut kept = Kept::new(upload, 20_000_000);
        assert_eq!(Kept::of_item(&kept.to_item()).unwrap(), kept);
        kept.content = Some("v1".into());
        kept.lease = Some(Lease { by: "m".into(), until: 5 });
        kept.upload.receive(3, 9);
        let mut item = kept.to_item();
        assert_eq!(Kept::of_item(&item).unwrap(), kept);
        assert_eq!(
            (&item["expires_at"], &item["created"]),
            (&AttributeValue::N("20".into()), &AttributeValue::N("-1".into()))
        );
        item.insert("version".into(), AttributeValue::N("2".into()));
        assert!(Kept::of_item(&item).unwrap_err().message.contains(id));
    }

    #[test]
    fn only_what_may_be_an_id_is_asked_for() {
        assert!(is_id("0123456789abcdef0123456789abcdef"));
        for text in ["", "0", "0123456789abcdef0123456789abcdeg", "0123456789ABCDEF0123456789abcdef"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
