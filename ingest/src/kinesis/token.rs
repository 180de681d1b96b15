//! Iterators and tokens of lists: opaque to callers, versioned, and good for five minutes.

use alluvium_core::SequenceNumber;
use alluvium_core::ShardId;
use alluvium_core::clock::{Micros, micros};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::exception::{Code, Exception};
use super::limits::TOKEN_LIFE;

/// What separates the fields; no name of a stream or shard holds it.
const SEPARATOR: char = ':';

/// Where a reader stands in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShardIterator {
    pub(super) shard: ShardId,
    /// What comes after this record is read next; 0: the first.
    pub(super) after: SequenceNumber,
}

impl ShardIterator {
    const KIND: &'static str = "iterator/1";

    pub(super) fn seal(&self, stream: &str, now: Micros) -> String {
        seal(Self::KIND, stream, now, &[self.shard.as_str(), &self.after.to_string()])
    }

    /// Opens an iterator that was given out for this stream.
    pub(super) fn open(text: &str, stream: &str, now: Micros) -> Result<Self, Exception> {
        let opened = open(Self::KIND, text, stream).and_then(|(issued, fields)| {
            let [shard, after] = <[String; 2]>::try_from(fields).ok()?;
            Some((issued, Self { shard: ShardId::new(shard), after: after.parse().ok()? }))
        });
        let (issued, iterator) = opened.ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            Exception::argument(format!(
                "`ShardIterator` {text:?} is no iterator of the stream {stream:?}; take one from GetShardIterator or from the last \
                 GetRecords"
            ))
        })?;
        if is_old(issued, now) {
            let (age, life) = ((now - issued) / 1_000_000, TOKEN_LIFE.as_secs());
            let message = format!(
                "the iterator was given out {age} seconds ago, and one is good for {life}; take a new one from GetShardIterator, \
                 AFTER_SEQUENCE_NUMBER of the last record read"
            );
            return Err(Exception::new(Code::ExpiredIterator, message));
        }
        Ok(iterator)
    }
}

/// Where a list of shards goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListToken {
    /// The last shard that was listed.
    pub(super) after: ShardId,
}

impl ListToken {
    const KIND: &'static str = "shards/1";

    pub(super) fn seal(&self, stream: &str, now: Micros) -> String {
        seal(Self::KIND, stream, now, &[self.after.as_str()])
    }

    pub(super) fn open(text: &str, stream: &str, now: Micros) -> Result<Self, Exception> {
        let opened = open(Self::KIND, text, stream).and_then(|(issued, fields)| {
            let [after] = <[String; 1]>::try_from(fields).ok()?;
            Some((issued, Self { after: ShardId::new(after) }))
        });
        let (issued, token) = opened.ok_or_else(|| {
            let text: String = text.chars().take(40).collect();
            let problem = format!("`NextToken` {text:?} was not given out by ListShards for the stream {stream:?}");
            Exception::argument(problem)
        })?;
        if is_old(issued, now) {
            let message = "the token is more than five minutes old; list the shards from the first one on";
            return Err(Exception::new(Code::ExpiredNextToken, message));
        }
        Ok(token)
    }
}

fn is_old(issued: Micros, now: Micros) -> bool {
    now.saturating_sub(issued) > micros(TOKEN_LIFE)
}

fn seal(kind: &str, stream: &str, now: Micros, fields: &[&str]) -> String {
    let issued = now.to_string();
    let parts: Vec<_> = [kind, &issued, stream].into_iter().chain(fields.iter().copied()).collect();
    URL_SAFE_NO_PAD.encode(parts.join(&SEPARATOR.to_string()))
}

/// When it was given out and its fields; `None`: it was not, for this stream.
fn open(kind: &str, text: &str, stream: &str) -> Option<(Micros, Vec<String>)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let mut parts = text.split(SEPARATOR);
    let known = parts.next() == Some(kind);
    let issued = parts.next()?.parse().ok()?;
    let ours = parts.next() == Some(stream);
    (known && ours).then(|| (issued, parts.map(str::to_owned).collect()))
}
