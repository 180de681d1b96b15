//! How the SDKs are set up: one HTTP client, one TLS stack, time-outs that end.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// How long one attempt of a call may take: an object of 6 MB over a slow line.
const ATTEMPT: Duration = Duration::from_secs(20);

/// The configuration that the environment gives: region, credentials, and `AWS_ENDPOINT_URL` where an emulator stands in.
pub async fn from_environment() -> SdkConfig {
    let client = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(client)
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build())
        .load()
        .await
}
