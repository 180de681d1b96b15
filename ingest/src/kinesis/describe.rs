//! What there is: the one stream, described in each of the ways that clients ask for it.

use alluvium_core::ShardId;
use alluvium_core::clock::Micros;
use alluvium_core::limits::STREAM_RECORD_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::Answer;
use super::call::Signer;
use super::exception::{Code, Exception};
use super::input::{self, Text, count, required};
use super::limits::DESCRIBED_SHARDS;
use super::shards::ShardOutput;
use super::{Call, KinesisEndpoint};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamInput<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(borrow, rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    limit: Option<i64>,
    #[serde(borrow)]
    exclusive_start_shard_id: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListStreamsInput<'a> {
    limit: Option<i64>,
    #[serde(borrow)]
    exclusive_start_stream_name: Option<Text<'a>>,
    #[serde(borrow)]
    next_token: Option<Text<'a>>,
}

/// What every description of a stream says.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamSummary<'a> {
    stream_name: &'a str,
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    stream_status: &'static str,
    stream_mode_details: StreamModeDetails,
    stream_creation_timestamp: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamModeDetails {
    stream_mode: &'static str,
}

/// What the two long descriptions add.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Description<'a> {
    #[serde(flatten)]
    summary: StreamSummary<'a>,
    retention_period_hours: u64,
    enhanced_monitoring: [EnhancedMetrics; 1],
    encryption_type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct EnhancedMetrics {
    shard_level_metrics: [&'static str; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamDescription<'a> {
    #[serde(flatten)]
    description: Description<'a>,
    shards: Vec<ShardOutput>,
    has_more_shards: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct StreamDescriptionSummary<'a> {
    #[serde(flatten)]
    description: Description<'a>,
    open_shard_count: usize,
    consumer_count: usize,
    #[serde(rename = "MaxRecordSizeInKiB")]
    max_record_size_kib: usize,
}

impl KinesisEndpoint {
    pub(super) async fn describe_stream(&self, call: &Call) -> Result<Answer, Exception> {
        let input = self.this_stream(call)?;
        let most = count("Limit", input.limit, DESCRIBED_SHARDS, 1..=10_000)?.min(DESCRIBED_SHARDS);
        let start = input.exclusive_start_shard_id.map(|shard| ShardId::new(shard.as_str()));
        let (shards, has_more_shards) = self.shards_after(start.as_ref(), most).await?;
        let description = self.description(&call.signer);
        let described = StreamDescription { description, shards, has_more_shards };
        Ok(Answer::json(&json!({ "StreamDescription": described })))
    }

    pub(super) async fn describe_stream_summary(&self, call: &Call) -> Result<Answer, Exception> {
        self.this_stream(call)?;
        let described = StreamDescriptionSummary {
            description: self.description(&call.signer),
            open_shard_count: self.shards().await?.len(),
            consumer_count: 0,
            max_record_size_kib: STREAM_RECORD_BYTES / 1024,
        };
        Ok(Answer::json(&json!({ "StreamDescriptionSummary": described })))
    }

    /// There is one stream and its shards, and there will be no others.
    pub(super) async fn describe_limits(&self) -> Result<Answer, Exception> {
        let shards = self.shards().await?.len();
        Ok(Answer::json(&json!({
            "ShardLimit": shards,
            "OpenShardCount": shards,
            "OnDemandStreamCount": 0,
            "OnDemandStreamCountLimit": 0,
        })))
    }

    pub(super) fn list_streams(&self, call: &Call) -> Result<Answer, Exception> {
        let input: ListStreamsInput<'_> = input::read(call.operation, &call.body)?;
        count("Limit", input.limit, 100, 1..=10_000)?;
        // The list is never so long that a token is given out.
        if input.next_token.is_some() {
            return Err(Exception::argument("`NextToken` was not given out by ListStreams; leave it out"));
        }
        let stream = self.shared.settings.stream.as_str();
        let listed = input.exclusive_start_stream_name.is_none_or(|start| start.as_str() < stream);
        let names: Vec<_> = listed.then_some(stream).into_iter().collect();
        let summaries: Vec<_> = listed.then(|| self.summary(&call.signer)).into_iter().collect();
        Ok(Answer::json(&json!({ "StreamNames": names, "StreamSummaries": summaries, "HasMoreStreams": false })))
    }

    /// The stream is there from the start, so that creating it goes as it goes for a stream that exists.
    pub(super) fn create_stream(&self, call: &Call) -> Result<Answer, Exception> {
        let input: StreamInput<'_> = input::read(call.operation, &call.body)?;
        let name = required("StreamName", input.stream_name)?;
        self.check_stream(Some(name.as_str()), None)?;
        Err(Exception::new(Code::ResourceInUse, format!("the stream {:?} is there already", name.as_str())))
    }

    pub(super) fn delete_stream(&self, call: &Call) -> Result<Answer, Exception> {
        self.this_stream(call)?;
        let stream = &self.shared.settings.stream;
        let message = format!(
            "the stream {stream:?} is the log of this node and is not deleted over this API; to begin anew, stop the node and start it \
             with another data folder"
        );
        Err(Exception::new(Code::ResourceInUse, message))
    }

    /// Reads the parameters of an operation on a stream, which must be this one.
    fn this_stream<'a>(&self, call: &'a Call) -> Result<StreamInput<'a>, Exception> {
        let input: StreamInput<'a> = input::read(call.operation, &call.body)?;
        self.check_stream(input.stream_name.as_ref().map(Text::as_str), input.stream_arn.as_ref().map(Text::as_str))?;
        Ok(input)
    }

    fn summary(&self, signer: &Signer) -> StreamSummary<'_> {
        StreamSummary {
            stream_name: &self.shared.settings.stream,
            stream_arn: self.arn(signer),
            stream_status: "ACTIVE",
            stream_mode_details: StreamModeDetails { stream_mode: "PROVISIONED" },
            stream_creation_timestamp: seconds(self.shared.settings.created),
        }
    }

    fn description(&self, signer: &Signer) -> Description<'_> {
        Description {
            summary: self.summary(signer),
            retention_period_hours: self.shared.settings.retention.as_secs().div_ceil(3600),
            enhanced_monitoring: [EnhancedMetrics { shard_level_metrics: [] }],
            encryption_type: "NONE",
        }
    }
}

/// A time as the JSON protocol has it: seconds of the epoch, to the millisecond.
pub(super) fn seconds(time: Micros) -> f64 {
    time.div_euclid(1000) as f64 / 1e3
}
