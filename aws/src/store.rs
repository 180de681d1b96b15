//! The lake's bucket as an object store, for whoever reads and writes the tables through Delta.

use std::sync::Arc;

use alluvium_core::ports::{Advice, PortError};
use aws_config::SdkConfig;
use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::s3::LakeUrl;

/// The store that is rooted at the lake, and the lake's URL.
///
/// Region and credentials are those of the environment, as Lambda gives them to a function; `config` knows the address of an emulator
/// where one stands in for AWS.
///
/// # Errors
///
/// When the environment is not enough to set the store up.
pub fn of_lake(config: &SdkConfig, lake: &LakeUrl) -> Result<(Arc<dyn ObjectStore>, Url), PortError> {
    let mut bucket = AmazonS3Builder::from_env().with_bucket_name(lake.bucket());
    if let Some(endpoint) = config.endpoint_url() {
        bucket = bucket.with_endpoint(endpoint).with_allow_http(true);
    }
    let failed = |error| PortError::because(Advice::Stop, format!("{lake} cannot be opened"), error);
    let bucket = bucket.build().map_err(failed)?;
    let root = Url::parse(&lake.to_string()).expect("a bucket and a prefix make a URL");
    Ok((Arc::new(PrefixStore::new(bucket, lake.prefix())), root))
}
