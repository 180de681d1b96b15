//! Where a page ended.

use alluvium_core::clock::Micros;
use alluvium_core::hot::PutPosition;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest cursor that is read, in bytes of its text.
const MAX_BYTES: usize = 32 * 1024;

/// The place of the last row of a page: the next page begins after it. Opaque to clients.
///
/// Its text is the base64url of a JSON array: version, dataset, event time in µs, source, event id, owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(super) dataset: String,
    pub(super) time: Micros,
    pub(super) source: String,
    pub(super) id: String,
    pub(super) owner: String,
}

/// Text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It was not made by us, or was changed.
    #[error("not a cursor; pass on `next` as it was answered, or begin anew without it")]
    Damaged,
    /// A newer release made it.
    #[error("a cursor of version {0}, newer than this release reads ({VERSION}); begin again without it")]
    Version(u64),
}

pub(super) const VERSION: u64 = 1;

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write(f, &(VERSION, &self.dataset, self.time, &self.source, &self.id, &self.owner))
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (_, dataset, time, source, id, owner): (u64, _, _, _, _, _) = parts(text)?;
        Ok(Self { dataset, time, source, id, owner })
    }
}

/// The place up to which was told what came in: the next answer goes on there. Opaque to clients.
///
/// Its text is the base64url of a JSON array: version, dataset, position, how many of the rows wanted of the chunk there were told, of how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AfterCursor {
    pub(super) dataset: String,
    pub(super) position: PutPosition,
    /// How many of the wanted rows of the chunk at the position are told.
    pub(super) rows: usize,
    /// How many it had of them. With another number it is not the same chunk any more, and is told from its beginning.
    pub(super) of: usize,
}

impl AfterCursor {
    /// How many of the wanted rows of the chunk at this position are told, which has this many.
    pub(super) fn seen_of(&self, position: &PutPosition, rows: usize) -> usize {
        if self.position == *position && self.of == rows { self.rows.min(rows) } else { 0 }
    }

    /// The same cursor before the chunk at another position.
    pub(super) fn at(self, position: PutPosition) -> Self {
        Self { position, rows: 0, of: 0, ..self }
    }
}

impl std::fmt::Display for AfterCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write(f, &(VERSION, &self.dataset, self.position.as_str(), self.rows, self.of))
    }
}

impl std::str::FromStr for AfterCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (_, dataset, position, rows, of): (u64, _, String, _, _) = parts(text)?;
        let position = position.parse().map_err(|_| CursorError::Damaged)?;
        Ok(Self { dataset, position, rows, of })
    }
}

/// Writes the parts of an opaque text.
pub(super) fn write(f: &mut std::fmt::Formatter<'_>, parts: &impl Serialize) -> std::fmt::Result {
    let text = serde_json::to_vec(parts).expect("a cursor holds only text and numbers");
    f.write_str(&URL_SAFE_NO_PAD.encode(text))
}

/// The parts of an opaque text of ours, its version first.
pub(super) fn parts<T: DeserializeOwned>(text: &str) -> Result<T, CursorError> {
    if text.len() > MAX_BYTES {
        return Err(CursorError::Damaged);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Damaged)?;
    let parts: Vec<serde_json::Value> = serde_json::from_slice(&bytes).map_err(|_| CursorError::Damaged)?;
    match parts.first().and_then(serde_json::Value::as_u64) {
        Some(VERSION) => serde_json::from_value(parts.into()).map_err(|_| CursorError::Damaged),
        Some(newer) if newer > VERSION => Err(CursorError::Version(newer)),
        _ => Err(CursorError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor {
            dataset: "telemetry".into(),
            time: -1,
            source: "a\"b/ü".into(),
            id: String::new(),
            owner: "o".into(),
        };
        let text = cursor.to_string();
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{text}");
        assert_eq!(text.parse(), Ok(cursor));
    }

    #[test]
    fn anything_else_is_refused() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in ["", "x", "a b", &encoded("[]"), &encoded("[1]"), &encoded(r#"[1,"d","t","s","i","o"]"#)] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError::Damaged), "{text}");
        }
        assert_eq!(encoded(r#"[2,"later"]"#).parse::<Cursor>(), Err(CursorError::Version(2)));
        assert_eq!("A".repeat(MAX_BYTES + 1).parse::<Cursor>(), Err(CursorError::Damaged));
    }

    #[test]
    fn a_cursor_of_what_came_in_is_read_as_it_was_written_and_is_no_other() {
        let cursor = AfterCursor { dataset: "telemetry".into(), position: PutPosition::at(17).past(), rows: 3, of: 9 };
        let text = cursor.to_string();
        assert_eq!(text.parse(), Ok(cursor));
        assert_eq!(text.parse::<Cursor>(), Err(CursorError::Damaged));
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for text in ["", "newest", &encoded(r#"[1,"d","here",0,0]"#), &encoded(r#"[1,"d","0000000000000000#",-1,0]"#)] {
            assert_eq!(text.parse::<AfterCursor>(), Err(CursorError::Damaged), "{text}");
        }
    }
}
