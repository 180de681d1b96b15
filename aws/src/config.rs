//! How the SDKs are set up: one HTTP client, one TLS stack, time-outs that end.

use std::time::Duration;

pub use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_sdk_lambda::config::StalledStreamProtectionConfig;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(3);
/// How long one attempt of a call may take: an object of 6 MB over a slow line.
const ATTEMPT: Duration = Duration::from_secs(20);
/// How long an invoked function may take: the transform has 5 minutes, and starts before them.
const INVOCATION: Duration = Duration::from_secs(330);

/// The configuration that the environment gives: region, credentials, and `AWS_ENDPOINT_URL` where an emulator stands in.
pub async fn from_environment() -> SdkConfig {
    loader().load().await
}

/// What every configuration has: the client and the time-outs. An entry point that knows them adds address and credentials.
pub fn loader() -> ConfigLoader {
    let client = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(client)
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build())
}

/// The client of S3. Addresses have the bucket in their path where an emulator stands in, for a name before its host would
/// lead nowhere; on AWS it is part of the host.
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let path_style = config.endpoint_url().is_some();
    aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build())
}

/// The client that invokes functions: it waits for as long as one may run, and never invokes again by itself.
pub fn lambda(config: &SdkConfig) -> aws_sdk_lambda::Client {
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(INVOCATION).build();
    let config = aws_sdk_lambda::config::Builder::from(config)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
        // A function that works says nothing until it is done.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    aws_sdk_lambda::Client::from_conf(config.build())
}
