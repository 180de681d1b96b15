//! The shards: what they are and how they are listed.

use alluvium_core::ShardId;
use alluvium_core::ports::ShardState;
use alluvium_core::record::hash_key_range;
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::exception::{Code, Exception};
use super::input::{self, Text, count, required, time};
use super::limits::LISTED_SHARDS;
use super::token::ListToken;
use super::{Call, KinesisEndpoint};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListShardsInput<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(borrow, rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    #[serde(borrow)]
    next_token: Option<Text<'a>>,
    #[serde(borrow)]
    exclusive_start_shard_id: Option<Text<'a>>,
    max_results: Option<i64>,
    #[serde(borrow)]
    shard_filter: Option<ShardFilter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ShardFilter<'a> {
    #[serde(borrow)]
    r#type: Option<Text<'a>>,
    #[serde(borrow)]
    shard_id: Option<Text<'a>>,
    timestamp: Option<f64>,
}

/// One shard, as callers are told of it. Each is open for ever: there is no resharding here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ShardOutput {
    pub(super) shard_id: ShardId,
    hash_key_range: HashKeyRange,
    sequence_number_range: SequenceNumberRange,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct HashKeyRange {
    starting_hash_key: String,
    ending_hash_key: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SequenceNumberRange {
    starting_sequence_number: &'static str,
}

/// Where every shard begins: before its first record, whose number is 1. So a reader that begins at or after it misses nothing.
const BEGINNING: &str = "0";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListShardsOutput {
    shards: Vec<ShardOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl KinesisEndpoint {
    /// The shards as they are, in the order of the hash keys that they have.
    pub(super) async fn shards(&self) -> Result<Vec<ShardState>, Exception> {
        let asked = self.shared.stream.shards().await;
        asked.map_err(|error| {
            tracing::error!(%error, "the stream does not tell its shards");
            Exception::internal()
        })
    }

    /// One shard as it is.
    pub(super) async fn shard(&self, shard: &str) -> Result<ShardState, Exception> {
        let shards = self.shards().await?;
        let last = shards.last().map_or_else(String::new, |last| format!(", the last of which is {}", last.shard));
        let count = shards.len();
        shards.into_iter().find(|state| state.shard.as_str() == shard).ok_or_else(|| {
            let stream = &self.shared.settings.stream;
            let shard: String = shard.chars().take(128).collect();
            let message = format!("there is no shard {shard:?} in the stream {stream:?}; it has {count}{last}");
            Exception::new(Code::ResourceNotFound, message)
        })
    }

    /// The shards after one, up to so many of them; also whether there are more.
    pub(super) async fn shards_after(
        &self,
        after: Option<&ShardId>,
        most: usize,
    ) -> Result<(Vec<ShardOutput>, bool), Exception> {
        let shards = self.shards().await?;
        let count = u32::try_from(shards.len()).map_err(|_| Exception::internal())?;
        let mut after = (0..count).zip(shards).filter(|(_, state)| after.is_none_or(|after| state.shard > *after));
        let page = after.by_ref().take(most).map(|(number, state)| {
            let (first, last) = hash_key_range(number, count);
            ShardOutput {
                shard_id: state.shard,
                hash_key_range: HashKeyRange {
                    starting_hash_key: first.to_string(),
                    ending_hash_key: last.to_string(),
                },
                sequence_number_range: SequenceNumberRange { starting_sequence_number: BEGINNING },
            }
        });
        Ok((page.collect(), after.next().is_some()))
    }

    pub(super) async fn list_shards(&self, call: &Call) -> Result<Answer, Exception> {
        let input: ListShardsInput<'_> = input::read(call.operation, &call.body)?;
        let most = count("MaxResults", input.max_results, LISTED_SHARDS, 1..=10_000)?.min(LISTED_SHARDS);
        let (stream, now) = (&self.shared.settings.stream, self.now());
        let after = match &input.next_token {
            // The service refuses a name beside a token, and then clients that page by themselves fail: here it may stand there.
            Some(token) => Some(ListToken::open(token.as_str(), stream, now)?.after),
            None => {
                let arn = input.stream_arn.as_ref().map(Text::as_str);
                self.check_stream(input.stream_name.as_ref().map(Text::as_str), arn)?;
                let start = input.exclusive_start_shard_id.as_ref().map(|shard| ShardId::new(shard.as_str()));
                let filtered = input.shard_filter.as_ref().map(after_filter).transpose()?.flatten();
                start.max(filtered)
            }
        };
        let (shards, more) = self.shards_after(after.as_ref(), most).await?;
        let last = shards.last().filter(|_| more).map(|last| ListToken { after: last.shard_id.clone() });
        let next_token = last.map(|token| token.seal(stream, now));
        Ok(Answer::json(&ListShardsOutput { shards, next_token }))
    }
}

/// The shard after which a filter begins. All shards are open, and were at every time, so the filters by time let all of them pass.
///
/// Amazon Kinesis Data Streams API Reference, `ShardFilter`.
fn after_filter(filter: &ShardFilter<'_>) -> Result<Option<ShardId>, Exception> {
    let kind = required("ShardFilter.Type", filter.r#type.as_ref())?.as_str();
    match kind {
        "AT_LATEST" | "AT_TRIM_HORIZON" | "FROM_TRIM_HORIZON" => Ok(None),
        "AT_TIMESTAMP" | "FROM_TIMESTAMP" => {
            let name = "ShardFilter.Timestamp";
            time(name, required(name, filter.timestamp)?).map(|_| None)
        }
        "AFTER_SHARD_ID" => {
            let shard = required("ShardFilter.ShardId", filter.shard_id.as_ref())?;
            Ok(Some(ShardId::new(shard.as_str())))
        }
        _ => Err(Exception::validation(format!(
            "`ShardFilter.Type` is {:?}; expected AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP or \
             FROM_TIMESTAMP",
            kind.chars().take(40).collect::<String>()
        ))),
    }
}
