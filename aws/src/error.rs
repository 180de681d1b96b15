//! What a failed call of an SDK means for whoever made it.

use std::error::Error;
use std::fmt::Display;

use alluvium_core::ports::{Advice, PortError};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// Codes that say that a limit was met. AWS SDKs and Tools Reference Guide, "Retry behavior"; the services' API references.
const THROTTLED: [&str; 12] = [
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// The error of a port for a failed call. `what` names what was being done to what: it begins the message.
pub fn port_error<E>(what: impl Display, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let advice = advice(&error);
    let message = format!("{what}: {}", DisplayErrorContext(&error));
    PortError { advice, message, source: Some(Box::new(error)) }
}

/// What to do about a failed call: a limit was met, the fault may pass, or the request itself is wrong.
pub(crate) fn advice<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Advice {
    match error {
        SdkError::ConstructionFailure(_) => Advice::Stop,
        SdkError::ServiceError(service) => {
            let throttled = service.err().code().is_some_and(|code| THROTTLED.contains(&code));
            match service.raw().status().as_u16() {
                429 => Advice::BackOff,
                _ if throttled => Advice::BackOff,
                // Rights that were given a moment ago are not known everywhere yet, and credentials are renewed.
                403 | 408 | 500.. => Advice::Retry,
                _ => Advice::Stop,
            }
        }
        _ => Advice::Retry,
    }
}
