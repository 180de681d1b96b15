//! What `deliver` and `drain` share.

use std::sync::Arc;
use std::time::Duration;

use alluvium_aws::config::{self, from_environment};
use alluvium_aws::{DeployedFunction, KinesisStream, LakeUrl, Retries, S3DataFiles};
use alluvium_core::{Clock as _, SystemClock};
use alluvium_local::firehose::{FirehoseSettings, Names};
use anyhow::Context as _;
use aws_config::SdkConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::settings::{self, StageName};

/// The parts of a stage.
#[derive(Debug, clap::Args)]
pub struct StageArgs {
    /// The stage: its parameters say what is not named otherwise.
    #[arg(long, value_name = "STAGE")]
    stage: Option<StageName>,
    /// The Kinesis stream.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// The transform function, in the version or alias that is named.
    #[arg(long, value_name = "NAME[:QUALIFIER]")]
    function: Option<FunctionName>,
    /// The landing bucket.
    #[arg(long, value_name = "s3://BUCKET")]
    landing: Option<LakeUrl>,
    /// How long one invocation may take.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    invocation_time: Duration,
    /// How often an invocation that failed is tried again.
    #[arg(long, value_name = "N", default_value_t = 3)]
    retries: u32,
    /// The pause before the first of these; it doubles with each.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    retry_pause: Duration,
    /// Where ids and pauses come from; without it, the time.
    #[arg(long)]
    seed: Option<u64>,
}

/// A function and its version or alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionName {
    name: String,
    qualifier: String,
}

impl std::str::FromStr for FunctionName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, qualifier) = text.split_once(':').unwrap_or((text, "live"));
        if name.is_empty() || qualifier.is_empty() || qualifier.contains(':') {
            return Err("expected a function's name, and after a colon its version or alias".to_owned());
        }
        Ok(Self { name: name.to_owned(), qualifier: qualifier.to_owned() })
    }
}

/// A duration for clap.
pub fn duration(text: &str) -> Result<Duration, alluvium_core::duration::DurationError> {
    alluvium_core::duration::parse(text)
}

/// The parts that are named, or else found in the stage's parameters.
struct Parts {
    stream: String,
    function: FunctionName,
    landing: LakeUrl,
}

impl Parts {
    async fn of(args: &StageArgs, sdk: &SdkConfig) -> anyhow::Result<Self> {
        let StageArgs { stage, stream, function, landing, .. } = args;
        let (stream, function, landing) = (stream.clone(), function.clone(), landing.clone());
        if let (Some(stream), Some(function), Some(landing)) = (&stream, &function, &landing) {
            return Ok(Self { stream: stream.clone(), function: function.clone(), landing: landing.clone() });
        }
        let stage = stage
            .as_ref()
            .context("name the stage with --stage, or its parts with --stream, --function and --landing")?;
        let of_stage = settings::load(sdk, stage).await?;
        Ok(Self {
            stream: stream.unwrap_or(of_stage.stream),
            function: function.unwrap_or(of_stage.transform),
            landing: landing.unwrap_or(of_stage.landing),
        })
    }
}

/// A stage's ports.
pub struct Stage {
    pub stream: Arc<KinesisStream>,
    pub function: Arc<DeployedFunction>,
    pub landing: Arc<S3DataFiles>,
    /// With the stage's names; buffers are left at their defaults.
    pub settings: FirehoseSettings,
    s3: aws_sdk_s3::Client,
    landing_url: LakeUrl,
}

impl Stage {
    /// Sets the ports up and asks the stream for its ARN.
    ///
    /// # Errors
    ///
    /// When there is no region, the stage cannot be looked up, or the stream cannot be asked.
    pub async fn open(args: &StageArgs) -> anyhow::Result<Self> {
        let sdk = from_environment().await;
        let region = sdk.region().context("no region is set; set AWS_REGION")?.to_string();
        let Parts { stream, function, landing } = Parts::of(args, &sdk).await?;
        let seed = args.seed.unwrap_or_else(|| SystemClock.now_micros().unsigned_abs());
        let kinesis = aws_sdk_kinesis::Client::new(&sdk);
        let stream_arn = arn_of(&kinesis, &stream).await?;
        let FunctionName { name, qualifier } = &function;
        let s3 = config::s3(&sdk);
        Ok(Self {
            stream: Arc::new(KinesisStream::new(kinesis, &stream, Retries::new(seed))),
            function: Arc::new(DeployedFunction::new(config::lambda(&sdk), name, qualifier)),
            landing: Arc::new(S3DataFiles::new(s3.clone(), landing.clone())),
            settings: FirehoseSettings {
                retries: args.retries,
                retry_pause: args.retry_pause,
                invocation_time: args.invocation_time,
                ..FirehoseSettings::new(names(stream_arn, region, &function), seed)
            },
            s3,
            landing_url: landing,
        })
    }

    /// The paths of the landing bucket's objects that begin so, in order.
    ///
    /// # Errors
    ///
    /// When the bucket cannot be listed.
    pub async fn list(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let root = match self.landing_url.prefix() {
            "" => String::new(),
            root => format!("{root}/"),
        };
        let listing = self.s3.list_objects_v2().bucket(self.landing_url.bucket()).prefix(format!("{root}{prefix}"));
        let mut pages = listing.into_paginator().send();
        let mut paths = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.with_context(|| format!("cannot list {}", self.landing_url))?;
            let keys = page.contents().iter().filter_map(|object| object.key()?.strip_prefix(root.as_str()));
            paths.extend(keys.map(str::to_owned));
        }
        Ok(paths)
    }
}

async fn arn_of(kinesis: &aws_sdk_kinesis::Client, stream: &str) -> anyhow::Result<String> {
    let described = kinesis.describe_stream_summary().stream_name(stream).send().await;
    let described = described.with_context(|| format!("cannot ask for the stream {stream}"))?;
    let summary = described.stream_description_summary();
    Ok(summary.map(|summary| summary.stream_arn().to_owned()).unwrap_or_default())
}

/// What events and error lines say: the account is the stream's.
fn names(stream_arn: String, region: String, function: &FunctionName) -> Names {
    let account = stream_arn.split(':').nth(4).unwrap_or_default();
    let name = stream_arn.rsplit('/').next().unwrap_or_default();
    Names {
        delivery_stream_arn: format!("arn:aws:firehose:{region}:{account}:deliverystream/{name}"),
        function_arn: format!("arn:aws:lambda:{region}:{account}:function:{}:{}", function.name, function.qualifier),
        region,
        stream_arn,
    }
}

/// A token that is cancelled by the first SIGINT or SIGTERM.
///
/// # Errors
///
/// When signals cannot be waited for.
pub fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stopping.cancel();
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_with_its_alias_or_without() {
        let named =
            |name: &str, qualifier: &str| FunctionName { name: name.to_owned(), qualifier: qualifier.to_owned() };
        assert_eq!("transform".parse(), Ok(named("transform", "live")));
        assert_eq!("transform:12".parse(), Ok(named("transform", "12")));
        for wrong in ["", ":live", "transform:", "arn:aws:lambda"] {
            assert!(wrong.parse::<FunctionName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_of_the_streams_account() {
        let stream = "arn:aws:kinesis:eu-west-1:000000000000:stream/alluvium-dev".to_owned();
        let names = names(stream, "eu-west-1".to_owned(), &"transform".parse().unwrap());
        assert_eq!(names.delivery_stream_arn, "arn:aws:firehose:eu-west-1:000000000000:deliverystream/alluvium-dev");
        assert_eq!(names.function_arn, "arn:aws:lambda:eu-west-1:000000000000:function:transform:live");
    }
}
