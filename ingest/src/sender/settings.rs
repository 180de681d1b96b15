//! The sender's settings, and the HTTP client that follows them.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};

use crate::IngestError;

/// How bodies are compressed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendEncoding {
    /// Not at all: the fastest on one machine and in a fast network.
    #[default]
    Plain,
    /// gzip.
    Gzip,
    /// zstd: smaller and faster than gzip, where the receiver takes it.
    Zstd,
}

impl SendEncoding {
    /// The value of `Content-Encoding`; `None`: no such header.
    pub(super) fn header(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    pub(crate) fn encode(self, body: &Bytes) -> Bytes {
        match self {
            Self::Plain => body.clone(),
            Self::Gzip => {
                let capacity = Vec::with_capacity(body.len() / 4);
                let mut encoder = flate2::write::GzEncoder::new(capacity, flate2::Compression::fast());
                encoder.write_all(body).expect("writing to memory does not fail");
                encoder.finish().expect("writing to memory does not fail").into()
            }
            Self::Zstd => zstd::bulk::compress(body, 1).expect("compressing in memory does not fail").into(),
        }
    }
}

/// How bodies are sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SenderSettings {
    /// How many bodies are on their way at a time, 1 to 1,024. Default: 8.
    pub concurrency: usize,
    /// How often one body is sent at most. Default: 20.
    pub attempts: u32,
    /// How long one body is tried at most, pauses included. Default: 2 minutes.
    #[serde(with = "alluvium_core::duration::text")]
    pub give_up_after: Duration,
    /// How long one attempt may take. Default: 40 s, more than a gateway gives a request.
    #[serde(with = "alluvium_core::duration::text")]
    pub request_time: Duration,
    /// The longest pause after the first failed attempt; it doubles with each. Default: 100 ms.
    #[serde(with = "alluvium_core::duration::text")]
    pub first_pause: Duration,
    /// The longest pause between attempts, unless the receiver asks for a longer one. Default: 10 s.
    #[serde(with = "alluvium_core::duration::text")]
    pub longest_pause: Duration,
    /// How bodies are compressed. Default: plain.
    pub encoding: SendEncoding,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            attempts: 20,
            give_up_after: Duration::from_secs(120),
            request_time: Duration::from_secs(40),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            encoding: SendEncoding::Plain,
        }
    }
}

impl SenderSettings {
    /// Checks that the settings can be used.
    ///
    /// # Errors
    ///
    /// Names the setting that cannot be used, and what would be right.
    pub fn check(&self) -> Result<(), IngestError> {
        if !(1..=1024).contains(&self.concurrency) {
            return Err(IngestError::setting("concurrency", format!("{}: expected 1 to 1024", self.concurrency)));
        }
        if self.attempts == 0 {
            return Err(IngestError::setting("attempts", "0: expected 1 or more"));
        }
        for (setting, duration) in [("request_time", self.request_time), ("first_pause", self.first_pause)] {
            if duration.is_zero() {
                return Err(IngestError::setting(setting, "0: expected more, such as `100ms`"));
            }
        }
        Ok(())
    }
}

pub(crate) fn client(url: &Url, settings: &SenderSettings) -> Result<Client, IngestError> {
    let builder = Client::builder()
        .user_agent(concat!("alluvium/", env!("CARGO_PKG_VERSION")))
        .timeout(settings.request_time)
        .connect_timeout(Duration::from_secs(10))
        // A POST that is redirected may arrive as a GET; better to say where the address has moved.
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_max_idle_per_host(settings.concurrency);
    // A proxy that the environment names cannot reach this machine's own loopback address.
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let builder = if loopback { builder.no_proxy() } else { builder };
    builder.build().map_err(IngestError::Client)
}
