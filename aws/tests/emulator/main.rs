//! The contract suites against an emulator of AWS, at the address in `ALLUVIUM_TEST_ENDPOINT`.
//!
//! An emulator that does otherwise than AWS's documentation says is named where a test makes room for it.
#![allow(clippy::unwrap_used)]

mod hot_index;
mod sql_engine;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;

/// The configuration of clients that talk to the emulator.
async fn sdk_config() -> SdkConfig {
    #[expect(clippy::disallowed_methods, reason = "a test is its own entry point")]
    let endpoint = std::env::var("ALLUVIUM_TEST_ENDPOINT")
        .expect("ALLUVIUM_TEST_ENDPOINT is an emulator's address, such as http://127.0.0.1:4566");
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        .load()
        .await
}

/// A name that no test before had, in this run or another: emulators remember.
fn fresh(what: &str) -> String {
    format!("{what}-{}", uuid::Uuid::new_v4().simple())
}
