//! The key set over HTTPS, by the same client that the SDKs use.

use std::time::Duration;

use alluvium_aws::function::{StartError, wrong_setting};
use alluvium_core::ports::{Advice, PortError};
use alluvium_query::KeySource;
use alluvium_query::authorizer::KEY_SET_BYTES;
use async_trait::async_trait;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;

/// How long the whole set may take to come: the function itself has ten seconds.
const FETCH: Duration = Duration::from_secs(5);

/// A key set at an address.
#[derive(Debug)]
pub struct HttpsKeySource {
    url: String,
    connector: SharedHttpConnector,
    /// How long a fetch may take.
    time: Duration,
}

impl HttpsKeySource {
    /// The key set at `url`.
    ///
    /// # Errors
    ///
    /// When the address is not one of HTTPS: whoever stands between could give us keys of their own.
    pub fn new(url: &str) -> Result<Self, StartError> {
        let connector = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build();
        Self::through(SharedHttpConnector::new(connector), url)
    }

    fn through(connector: SharedHttpConnector, url: &str) -> Result<Self, StartError> {
        let usable = url.starts_with("https://") && HttpRequest::get(url).is_ok();
        if !usable {
            return Err(wrong_setting("auth.jwks_url", format!("{url:?} is not an address that begins with https://")));
        }
        Ok(Self { url: url.to_owned(), connector, time: FETCH })
    }

    async fn get(&self) -> Result<Bytes, PortError> {
        let failed = |problem: String| PortError::new(Advice::Retry, format!("the key set at {}: {problem}", self.url));
        let request = HttpRequest::get(&self.url).map_err(|error| failed(error.to_string()))?;
        let response = self.connector.call(request).await.map_err(|error| failed(format!("{error:?}")))?;
        // A redirect is not followed: it could lead anywhere.
        if response.status().as_u16() != 200 {
            return Err(failed(format!("answered with status {}, not 200", response.status().as_u16())));
        }
        let body = Limited::new(response.into_body(), KEY_SET_BYTES).collect().await;
        body.map(|body| body.to_bytes())
            .map_err(|error| failed(format!("{error}; expected at most {KEY_SET_BYTES} bytes")))
    }
}

#[async_trait]
impl KeySource for HttpsKeySource {
    async fn fetch(&self) -> Result<Bytes, PortError> {
        let too_slow =
            |_| PortError::new(Advice::Retry, format!("the key set at {} took longer than {:?}", self.url, self.time));
        timeout(self.time, self.get()).await.map_err(too_slow)?
    }
}

#[cfg(test)]
mod tests;
