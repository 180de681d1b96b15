//! CloudWatch's counts of a stage's stream: records that Kinesis took, and records that Firehose read.
//!
//! The one operation that is called, `GetMetricData`, is called without its SDK: that brings a second HTTP stack and other features of the
//! compression that all the rest is built with (ADR 29). Signing, TLS and connections are the SDKs' own libraries; the protocol is CloudWatch's
//! JSON 1.0, as its service description of the AWS command line (botocore, `cloudwatch/2010-08-01`) has it.
//!
//! **What CloudWatch keeps** (Amazon CloudWatch User Guide, "Metrics concepts", "Metrics retention"): periods of a minute for 15 days, of five minutes
//! for 63 days, of an hour for 455 days. A point may be some minutes late. Kinesis counts records as they are put, an aggregate as one (Amazon Kinesis
//! Data Streams Developer Guide, `IncomingRecords`); Firehose counts what it reads, each time (Amazon Data Firehose Developer Guide,
//! `DataReadFromKinesisStream.Records`).

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use alluvium_core::Clock;
use alluvium_core::clock::Micros;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::service_counts::{Counted, ServiceCounts};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::config::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings, SharedHttpConnector};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::error::advice_of;
use crate::retry::Retries;

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// For how long what periods are kept, in seconds.
const KEPT: [(Duration, u64); 3] =
    [(DAY.saturating_mul(15), 60), (DAY.saturating_mul(63), 300), (DAY.saturating_mul(455), 3_600)];

/// How long one question may take, with its tries.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(3);
const READ: Duration = Duration::from_secs(10);
/// The most pages of an answer: one has 100,800 points (Amazon CloudWatch API Reference, `GetMetricData`), more than a window has minutes.
const PAGES: usize = 20;

const OPERATION: &str = "GraniteServiceVersion20100801.GetMetricData";

/// [`ServiceCounts`] of a Kinesis stream and the Firehose stream that reads it, by CloudWatch.
#[derive(Debug)]
pub struct CloudWatchCounts {
    connector: SharedHttpConnector,
    credentials: SharedCredentialsProvider,
    region: String,
    address: String,
    stream: String,
    delivery: Option<String>,
    clock: Arc<dyn Clock>,
    retries: Retries,
}

impl CloudWatchCounts {
    /// Those of this Kinesis stream; `delivery` is the Firehose stream that reads it, if one does. Nothing is asked yet. It takes the right
    /// `cloudwatch:GetMetricData`, which knows no resources.
    ///
    /// # Errors
    ///
    /// When `config` has no region or no credentials.
    pub fn new(
        config: &SdkConfig,
        stream: &str,
        delivery: Option<&str>,
        clock: Arc<dyn Clock>,
        retries: Retries,
    ) -> Result<Self, PortError> {
        let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(READ).build();
        let connector = aws_smithy_http_client::Connector::builder()
            .connector_settings(settings)
            .tls_provider(Provider::Rustls(CryptoMode::Ring));
        Self::over(SharedHttpConnector::new(connector.build()), config, stream, delivery, clock, retries)
    }

    fn over(
        connector: SharedHttpConnector,
        config: &SdkConfig,
        stream: &str,
        delivery: Option<&str>,
        clock: Arc<dyn Clock>,
        retries: Retries,
    ) -> Result<Self, PortError> {
        let lacking = |what| PortError::new(Advice::Stop, format!("CloudWatch cannot be asked: {what}"));
        let region = config.region().ok_or_else(|| lacking("no region is set; set AWS_REGION"))?.to_string();
        // In China another domain stands there. AWS General Reference, "Amazon CloudWatch endpoints and quotas".
        let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let address = config.endpoint_url().map_or_else(
            || format!("https://monitoring.{region}.{domain}/"),
            |url| format!("{}/", url.trim_end_matches('/')),
        );
        Ok(Self {
            connector,
            credentials: config.credentials_provider().ok_or_else(|| lacking("there are no credentials"))?,
            region,
            address,
            stream: stream.to_owned(),
            delivery: delivery.map(str::to_owned),
            clock,
            retries,
        })
    }

    /// Sends one question, and reads its answer.
    async fn ask(&self, question: &Value) -> Result<Answer, PortError> {
        let what = || format!("asking CloudWatch for the records of `{}`", self.stream);
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| PortError {
            advice: Advice::Retry,
            message: format!("{}: {error}", what()),
            source: Some(error),
        };
        let body = question.to_string();
        let request = self.signed(&body).await?;
        let response = self.connector.call(request).await.map_err(|error| failed(error.into()))?;
        let status = response.status().as_u16();
        let bytes = ByteStream::new(response.into_body()).collect().await.map_err(|error| failed(error.into()))?;
        let bytes = bytes.into_bytes();
        if status == 200 {
            return serde_json::from_slice(&bytes).map_err(|error| {
                PortError::because(Advice::Stop, format!("{}: the answer cannot be read", what()), error)
            });
        }
        let refused: Refused = serde_json::from_slice(&bytes).unwrap_or_default();
        let kind = refused.kind.rsplit('#').next().unwrap_or_default();
        let is_denied = kind.starts_with("AccessDenied");
        // A right that is missing is told at once, and not after it was tried for a while.
        let advice = if is_denied { Advice::Stop } else { advice_of(kind, status) };
        let right = if is_denied { "; it takes the right cloudwatch:GetMetricData" } else { "" };
        Err(PortError::new(advice, format!("{}: {status} {kind} {}{right}", what(), refused.message)))
    }

    async fn signed(&self, body: &str) -> Result<HttpRequest, PortError> {
        let unsigned = |error: Box<dyn std::error::Error + Send + Sync>| PortError {
            advice: Advice::Stop,
            message: format!("a question to CloudWatch cannot be signed: {error}"),
            source: Some(error),
        };
        let credentials = self.credentials.provide_credentials().await;
        let credentials = credentials.map_err(|error| {
            PortError::because(Advice::Retry, "CloudWatch cannot be asked: there are no credentials", error)
        })?;
        let identity = credentials.into();
        let now = UNIX_EPOCH + Duration::from_micros(self.clock.now_micros().unsigned_abs());
        let params = v4::SigningParams::builder().identity(&identity).region(&self.region).name("monitoring").time(now);
        let params =
            params.settings(SigningSettings::default()).build().map_err(|error| unsigned(error.into()))?.into();
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", OPERATION)];
        let signable =
            SignableRequest::new("POST", &self.address, headers.into_iter(), SignableBody::Bytes(body.as_bytes()));
        let signed =
            sign(signable.map_err(|error| unsigned(error.into()))?, &params).map_err(|error| unsigned(error.into()))?;
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").map_err(|error| unsigned(error.into()))?;
        request.set_uri(self.address.as_str()).map_err(|error| unsigned(error.into()))?;
        let (instructions, _) = signed.into_parts();
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}

/// One page of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    metric_data_results: Vec<Series>,
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    #[serde(default)]
    status_code: String,
    #[serde(default)]
    values: Vec<f64>,
}

#[derive(Debug, Default, Deserialize)]
struct Refused {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

#[async_trait]
impl ServiceCounts for CloudWatchCounts {
    fn granularity(&self, ago: Duration) -> Option<Duration> {
        KEPT.iter().find(|(kept, _)| ago < *kept).map(|(_, seconds)| Duration::from_secs(*seconds))
    }

    async fn sum(&self, counted: Counted, from: Micros, to: Micros) -> Result<Option<u64>, PortError> {
        let (namespace, name, dimension, of) = match (counted, &self.delivery) {
            (Counted::Put, _) => ("AWS/Kinesis", "IncomingRecords", "StreamName", &self.stream),
            (Counted::Read, Some(of)) => {
                ("AWS/Firehose", "DataReadFromKinesisStream.Records", "DeliveryStreamName", of)
            }
            (Counted::Read, None) => return Ok(None),
        };
        // The coarsest period that divides the window: that of its granularity, or an hour.
        let seconds = |time: Micros| time.div_euclid(1_000_000);
        let divides = |period: &u64| [from, to].iter().all(|time| seconds(*time).rem_euclid(*period as i64) == 0);
        let period = KEPT.iter().rev().map(|(_, period)| *period).find(divides).unwrap_or(60);
        let mut question = json!({
            "StartTime": seconds(from),
            "EndTime": seconds(to),
            "MetricDataQueries": [{
                "Id": "counted",
                "MetricStat": {
                    "Metric": {
                        "Namespace": namespace,
                        "MetricName": name,
                        "Dimensions": [{"Name": dimension, "Value": of}],
                    },
                    "Period": period,
                    "Stat": "Sum",
                },
            }],
        });
        let deadline = Instant::now() + PATIENCE;
        let mut sum = 0.0;
        for _ in 0..PAGES {
            let asked = question.clone();
            let answer = self.retries.until(deadline, "asking CloudWatch", || self.ask(&asked)).await?;
            for series in &answer.metric_data_results {
                if matches!(series.status_code.as_str(), "InternalError" | "Forbidden") {
                    let message = format!("CloudWatch answers {} for {name} of `{of}`", series.status_code);
                    return Err(PortError::new(Advice::Stop, message));
                }
                sum += series.values.iter().sum::<f64>();
            }
            match answer.next_token {
                Some(token) => question["NextToken"] = json!(token),
                None => return Ok(Some(sum.max(0.0).round() as u64)),
            }
        }
        Err(PortError::new(Advice::Stop, format!("CloudWatch's answer for {name} of `{of}` has no end")))
    }
}

#[cfg(test)]
mod tests;
