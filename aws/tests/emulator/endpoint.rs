//! The emulator that the tests run against, and names that are one test's own.

use std::sync::atomic::{AtomicU32, Ordering};

use alluvium_core::clock::{Clock, SystemClock};
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The SDKs' configuration, with credentials that no emulator checks.
#[expect(clippy::disallowed_methods, reason = "a test is an entry point")]
pub async fn config() -> SdkConfig {
    let endpoint = std::env::var("ALLUVIUM_TEST_ENDPOINT").expect(
        "ALLUVIUM_TEST_ENDPOINT is not set: these tests need an emulator of AWS; start ministack or moto, and set it to \
         its address, such as http://127.0.0.1:4566",
    );
    let credentials = Credentials::new("test", "test", None, None, "tests");
    alluvium_aws::config::loader()
        .endpoint_url(endpoint)
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .load()
        .await
}

/// A name that no other test has, in this run or another.
pub fn unique(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("alluvium-{kind}-{}-{}-{count}", SystemClock.now_micros(), std::process::id())
}

/// Head and body of the answer to a plain GET, as a browser without any credentials makes it.
pub async fn fetch(url: &str) -> (String, String) {
    send("GET", url, "").await
}

/// The same of any request, whose body is of no particular type.
pub async fn send(method: &str, url: &str, body: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").expect("the emulator speaks plain HTTP");
    let (host, target) = rest.split_once('/').expect("an object has a path");
    let mut stream = TcpStream::connect(host).await.unwrap();
    let length = body.len();
    let request = format!(
        "{method} /{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    (head.to_owned(), body.to_owned())
}

/// The answer to a form that is posted to a service, as an SDK posts it; no emulator checks how it is signed.
pub async fn post(service: &str, form: &str) -> String {
    let endpoint = config().await.endpoint_url().unwrap().to_owned();
    let host =
        endpoint.strip_prefix("http://").expect("the emulator speaks plain HTTP").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
