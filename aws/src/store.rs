//! The lake's bucket as an object store, for whoever reads and writes the tables through Delta.

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::Clock;
use alluvium_core::clock::micros;
use alluvium_core::ports::{Advice, PortError};
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::config::{ProvideCredentials as _, SharedCredentialsProvider};
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::prefix::PrefixStore;
use object_store::{CredentialProvider, ObjectStore};
use tokio::sync::Mutex;
use url::Url;

use crate::s3::LakeUrl;

/// How long before they expire credentials are asked for anew.
const SPARE: Duration = Duration::from_secs(300);

/// The store that is rooted at the lake, and the lake's URL. Region, credentials and an emulator's address are those that the SDKs
/// have.
///
/// # Errors
///
/// When `config` has no region or no credentials.
pub fn of_lake(
    config: &SdkConfig,
    lake: &LakeUrl,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<dyn ObjectStore>, Url), PortError> {
    let lacking = |what| PortError::new(Advice::Stop, format!("{lake} cannot be opened: {what}"));
    let region = config.region().ok_or_else(|| lacking("no region is set; set AWS_REGION"))?;
    let provider = config.credentials_provider().ok_or_else(|| lacking("there are no credentials"))?;
    let mut bucket = AmazonS3Builder::new()
        .with_bucket_name(lake.bucket())
        .with_region(region.as_ref())
        .with_credentials(Arc::new(SdkCredentials { provider, clock, known: Mutex::default() }));
    if let Some(endpoint) = config.endpoint_url() {
        bucket = bucket.with_endpoint(endpoint).with_allow_http(true);
    }
    let failed = |error| PortError::because(Advice::Stop, format!("{lake} cannot be opened"), error);
    let bucket = bucket.build().map_err(failed)?;
    let root = Url::parse(&lake.to_string()).expect("a bucket and a prefix make a URL");
    Ok((Arc::new(PrefixStore::new(bucket, lake.prefix())), root))
}

/// The SDKs' credentials, asked for again when they are about to expire.
#[derive(Debug)]
struct SdkCredentials {
    provider: SharedCredentialsProvider,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    credential: Arc<AwsCredential>,
    /// In microseconds since the epoch; `None`: never.
    good_until: Option<i64>,
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut known = self.known.lock().await;
        let now = self.clock.now_micros();
        if let Some(known) = known.as_ref().filter(|known| known.good_until.is_none_or(|until| now < until)) {
            return Ok(known.credential.clone());
        }
        let got = self.provider.provide_credentials().await;
        let got = got.map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        let credential = Arc::new(AwsCredential {
            key_id: got.access_key_id().to_owned(),
            secret_key: got.secret_access_key().to_owned(),
            token: got.session_token().map(str::to_owned),
        });
        let expiry = got.expiry().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let good_until = expiry.map(|expiry| micros(expiry.saturating_sub(SPARE)));
        *known = Some(Known { credential: credential.clone(), good_until });
        Ok(credential)
    }
}
