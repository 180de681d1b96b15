//! URLs by which whoever has one reads or puts one object for a while.

use std::time::Duration;

use alluvium_core::ports::{Advice, PortError};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::presigning::PresigningConfig;

use crate::error::port_error;

/// A URL by which `(bucket, key, version)` is read, to be saved as `name`, for `lifetime` or until the client's credentials end, if that is sooner. It has
/// the rights of whoever signs it: nothing is asked of S3 here, so an object that is not there is found out by who follows it.
///
/// # Errors
///
/// When there are no credentials to sign with.
pub async fn signed_get(
    client: &Client,
    (bucket, key, version): (&str, &str, Option<&str>),
    name: &str,
    media_type: &str,
    lifetime: Duration,
) -> Result<String, PortError> {
    let what = || format!("cannot sign a URL of s3://{bucket}/{key}");
    let signing =
        PresigningConfig::expires_in(lifetime).map_err(|error| PortError::because(Advice::Stop, what(), error))?;
    let get = client.get_object().bucket(bucket).key(key).set_version_id(version.map(str::to_owned));
    let get =
        get.response_content_disposition(format!("attachment; filename=\"{name}\"")).response_content_type(media_type);
    let signed = get.presigned(signing).await.map_err(|error| port_error(what(), error))?;
    Ok(signed.uri().to_owned())
}

/// A URL by which `(bucket, key)` is put with a plain `PUT` and no header that would have to be right, for `lifetime` or until the client's
/// credentials end, if that is sooner; a put that has begun by then may end later. It has the rights of whoever signs it. S3 asks for no length
/// there and takes 5 GB at the most (Amazon Simple Storage Service User Guide, "Uploading objects with presigned URLs", "Uploading objects").
///
/// # Errors
///
/// When there are no credentials to sign with.
pub async fn signed_put(client: &Client, (bucket, key): (&str, &str), lifetime: Duration) -> Result<String, PortError> {
    let what = || format!("cannot sign a URL of s3://{bucket}/{key}");
    let signing =
        PresigningConfig::expires_in(lifetime).map_err(|error| PortError::because(Advice::Stop, what(), error))?;
    // Else the checksum of the body that is not here yet would be signed, and no other body could be put.
    let config = client.config().to_builder().request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    let client = Client::from_conf(config.build());
    let signed = client.put_object().bucket(bucket).key(key).presigned(signing).await;
    Ok(signed.map_err(|error| port_error(what(), error))?.uri().to_owned())
}
