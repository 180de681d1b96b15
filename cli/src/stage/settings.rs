//! What a stage is made of, as its parameters say: Terraform writes them (`infra/main.tf`, `infra/parameters.tf`), and every command with
//! `--stage` reads them with one question.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use alluvium_aws::{LakeUrl, parameters};
use anyhow::Context as _;
use aws_config::SdkConfig;
use aws_sdk_ssm::config::ProvideCredentials as _;

use super::delivery::FunctionName;

/// The format of the parameters that this release reads.
const FORMAT: &str = "1";
/// What names begin with unless Terraform's variable `name` says otherwise.
const APPLICATION: &str = "alluvium";
/// What stands in the place of a Firehose stream where there is none.
const NO_DELIVERY: &str = "none";
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Which stage: `dev`, or `shop/dev` where Terraform's variable `name` is `shop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageName {
    application: String,
    stage: String,
}

impl FromStr for StageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (application, stage) = text.split_once('/').unwrap_or((APPLICATION, text));
        let is_name = |text: &str, most: usize, also: char| {
            let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
            begins
                && text.len() <= most
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == also)
        };
        // As infra/variables.tf has them.
        if !is_name(application, 10, '0') || !is_name(stage, 16, '-') {
            return Err(format!(
                "`{}` names no stage; expected one such as `dev`, or `NAME/dev` where Terraform's `name` is not `{APPLICATION}`",
                text.chars().take(40).collect::<String>()
            ));
        }
        Ok(Self { application: application.to_owned(), stage: stage.to_owned() })
    }
}

impl StageName {
    /// What the names of its parameters begin with.
    fn path(&self) -> String {
        format!("/{}/{}", self.application, self.stage)
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.application != APPLICATION {
            write!(f, "{}/", self.application)?;
        }
        f.write_str(&self.stage)
    }
}

/// A stage's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSettings {
    /// Where events are sent and records asked for.
    pub api_url: String,
    /// The Kinesis stream.
    pub stream: String,
    /// The Firehose stream that reads it; `None`: something else delivers.
    pub delivery_stream: Option<String>,
    /// Where the tables are.
    pub lake: LakeUrl,
    /// The bucket of the source backup and of what Firehose put aside.
    pub landing: LakeUrl,
    /// The bucket of statements' results.
    pub results: LakeUrl,
    /// The URL of the commit queue.
    pub commit_queue: String,
    /// The table of the hot index.
    pub hot_table: String,
    /// The transform function.
    pub transform: FunctionName,
    /// The Athena workgroup.
    pub workgroup: String,
    /// The database in the Glue catalogue.
    pub database: String,
    /// Whose data it is that is put straight into the stream.
    pub owner: String,
    /// Where events go that nothing else sends anywhere.
    pub default_dataset: Option<String>,
    /// Where content of uploads lies, and the table of what is known of them; `None`: the stage has none.
    pub uploads: Option<(LakeUrl, String)>,
    /// How long copies are kept.
    pub kept: Kept,
}

/// How long a stage keeps what, and how long it gathers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// How long Firehose gathers records before it hands them over.
    pub buffer: Duration,
    /// Records in the stream.
    pub stream: Duration,
    /// The source backup, and what was drained.
    pub backup: Duration,
    /// Objects of the lake after they were removed.
    pub removed: Duration,
    /// Results of statements.
    pub results: Duration,
}

/// Reads a stage's parameters.
///
/// # Errors
///
/// When they cannot be read, there are none, one is missing or wrong, or they are of another format.
pub async fn load(aws: &SdkConfig, name: &StageName) -> anyhow::Result<StageSettings> {
    let region = aws.region().context("no region is set; set AWS_REGION, or AWS_PROFILE to one that has a region")?;
    with_credentials(aws).await?;
    let path = name.path();
    let found = parameters::under(&aws_sdk_ssm::Client::new(aws), &path).await;
    let found = found.with_context(|| {
        format!("the stage `{name}` cannot be looked up; it takes the right ssm:GetParametersByPath on parameter{path}")
    })?;
    anyhow::ensure!(
        !found.is_empty(),
        "there is no stage `{name}` in {region}: no parameter lies under {path}; `make deploy STAGE={}` makes a stage, AWS_REGION and \
         AWS_PROFILE say where it is looked for",
        name.stage
    );
    of_parameters(name, found)
}

/// Fails when the environment has no credentials, which each call would say in words of its own.
async fn with_credentials(aws: &SdkConfig) -> anyhow::Result<()> {
    let provider = aws.credentials_provider().context(NO_CREDENTIALS)?;
    provider.provide_credentials().await.context(NO_CREDENTIALS)?;
    Ok(())
}

const NO_CREDENTIALS: &str =
    "there are no credentials for AWS; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

fn of_parameters(name: &StageName, found: BTreeMap<String, String>) -> anyhow::Result<StageSettings> {
    let parameters = Parameters { name, found };
    let format: String = parameters.get("format")?;
    anyhow::ensure!(
        format == FORMAT,
        "the parameters of the stage `{name}` are of format {format}, and this program reads {FORMAT}: use the program of the release that \
         deployed the stage"
    );
    let bucket = |key| -> anyhow::Result<LakeUrl> {
        let bucket: String = parameters.get(key)?;
        format!("s3://{bucket}").parse().map_err(|error| parameters.wrong(key, &error))
    };
    Ok(StageSettings {
        api_url: parameters.get("api_url")?,
        stream: parameters.get("stream_name")?,
        delivery_stream: Some(parameters.get("delivery_stream")?).filter(|name| name != NO_DELIVERY),
        lake: parameters.get("lake_url")?,
        landing: bucket("landing")?,
        results: bucket("results")?,
        commit_queue: parameters.get("commit_queue")?,
        hot_table: parameters.get("hot_table")?,
        transform: parameters.get("function_transform")?,
        workgroup: parameters.get("workgroup")?,
        database: parameters.get("database")?,
        owner: parameters.get("owner")?,
        default_dataset: parameters.found.get("default_dataset").cloned(),
        uploads: match parameters.found.get("uploads_table") {
            Some(table) => Some((parameters.get("uploads_url")?, table.clone())),
            None => None,
        },
        kept: Kept {
            buffer: Duration::from_secs(parameters.get::<u32>("buffer_seconds")?.into()),
            stream: HOUR * parameters.get::<u32>("stream_hours")?,
            backup: DAY * parameters.get::<u32>("raw_backup_days")?,
            removed: DAY * parameters.get::<u32>("undelete_days")?,
            results: DAY * parameters.get::<u32>("sql_result_days")?,
        },
    })
}

struct Parameters<'a> {
    name: &'a StageName,
    found: BTreeMap<String, String>,
}

impl Parameters<'_> {
    fn get<T: FromStr<Err: fmt::Display>>(&self, key: &str) -> anyhow::Result<T> {
        let value = self.found.get(key).with_context(|| {
            format!(
                "the stage `{}` has no parameter {}/{key}: another release deployed it; `make deploy STAGE={}` writes it",
                self.name,
                self.name.path(),
                self.name.stage
            )
        })?;
        value.parse().map_err(|error| self.wrong(key, &error))
    }

    fn wrong(&self, key: &str, why: &dyn fmt::Display) -> anyhow::Error {
        let stage = &self.name.stage;
        anyhow::anyhow!(
            "the parameter {}/{key} is wrong: {why}; `make deploy STAGE={stage}` writes it anew",
            self.name.path()
        )
    }
}

#[cfg(test)]
mod tests;
