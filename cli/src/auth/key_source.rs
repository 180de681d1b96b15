//! The key set that verifies tokens of a sign-in elsewhere.

use std::time::Duration;

use alluvium_core::ports::{Advice, PortError};
use alluvium_query::KeySource;
use alluvium_query::authorizer::KEY_SET_BYTES;
use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{Client, Url};

/// How long the whole set may take to come: whoever calls meanwhile waits for it.
const FETCH_TIME: Duration = Duration::from_secs(5);

/// A key set at an address.
#[derive(Debug)]
pub struct HttpKeySource {
    url: Url,
    http: Client,
}

impl HttpKeySource {
    /// The key set at `url`.
    ///
    /// # Errors
    ///
    /// When the address is not one of HTTPS, but for loopback: whoever stands between could give us keys of their own.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).with_context(|| format!("auth.jwks_url: `{url}` is no URL"))?;
        let loopback = matches!(url.host(), Some(url::Host::Ipv4(address)) if address.is_loopback());
        anyhow::ensure!(
            url.scheme() == "https" || (url.scheme() == "http" && loopback),
            "auth.jwks_url: `{url}`: expected https://"
        );
        // A redirect is not followed: it could lead anywhere.
        let http = Client::builder().timeout(FETCH_TIME).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { url, http })
    }
}

#[async_trait]
impl KeySource for HttpKeySource {
    async fn fetch(&self) -> Result<Bytes, PortError> {
        let failed =
            |error| PortError::because(Advice::Retry, format!("the key set at {} cannot be had", self.url), error);
        let mut answer = self.http.get(self.url.clone()).send().await.map_err(failed)?;
        if answer.status() != reqwest::StatusCode::OK {
            let message = format!("the key set at {} is answered with {}", self.url, answer.status());
            return Err(PortError::new(Advice::Retry, message));
        }
        let mut set = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if set.len() + part.len() > KEY_SET_BYTES {
                let message = format!("the key set at {} has more than {KEY_SET_BYTES} bytes", self.url);
                return Err(PortError::new(Advice::Retry, message));
            }
            set.extend_from_slice(&part);
        }
        Ok(set.into())
    }
}
