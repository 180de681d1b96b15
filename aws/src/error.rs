//! What a failed call of an SDK means for whoever made it.

use std::error::Error;
use std::fmt::{Display, Write as _};

use alluvium_core::ports::{Advice, PortError};
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Codes that say that a limit was met. AWS SDKs and Tools Reference Guide, "Retry behavior"; the services' API references.
const THROTTLED: [&str; 16] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "KMSThrottlingException",
    "KmsThrottled",
    "LimitExceededException",
    "OverLimit",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];

/// Codes of faults that pass although the status says that the request is wrong. The services' API references.
const PASSING: [&str; 16] = [
    // A clock that is wrong, or credentials that were not there yet.
    "IncompleteSignature",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    // Rights that were given a moment ago are not known everywhere yet. Services that speak JSON say so with the status 400.
    "AccessDeniedException",
    "ConditionalRequestConflict",
    "ExpiredToken",
    "ExpiredTokenException",
    "InternalFailure",
    "OperationAborted",
    "RequestExpired",
    "RequestTimeout",
    "RequestTimeoutException",
    "ResourceConflictException",
    "ResourceInUseException",
    "UnrecognizedClientException",
];

/// The error of a port for a failed call. `what` names what was being done to what: it begins the message.
pub fn port_error<E>(what: impl Display, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let advice = advice(&error);
    let message = format!("{what}: {}", reason(&error));
    PortError { advice, message, source: Some(Box::new(error)) }
}

/// What to do about a failed call: a limit was met, the fault may pass, or the request itself is wrong.
pub(crate) fn advice<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Advice {
    match error {
        SdkError::ConstructionFailure(_) => Advice::Stop,
        SdkError::ServiceError(service) => {
            advice_of(service.err().code().unwrap_or_default(), service.raw().status().as_u16())
        }
        _ => Advice::Retry,
    }
}

/// The same for an error with this code and status.
pub(crate) fn advice_of(code: &str, status: u16) -> Advice {
    match status {
        _ if THROTTLED.contains(&code) => Advice::BackOff,
        _ if PASSING.contains(&code) => Advice::Retry,
        429 => Advice::BackOff,
        // Rights again, where a service speaks XML; and credentials are renewed.
        403 | 408 | 500.. => Advice::Retry,
        _ => Advice::Stop,
    }
}

/// What a person needs to know of a failed call: the service's own words, or what kept it from being asked.
pub(crate) fn reason<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let SdkError::ServiceError(service) = error {
        let status = service.raw().status().as_u16();
        let meta = service.err().meta();
        let mut text = meta.message().unwrap_or("the service gives no reason").to_owned();
        let code = meta.code().unwrap_or("no code");
        write!(text, " ({code}, HTTP {status}").expect("text can be added to a string");
        if let Some(request) = meta.extra("aws_request_id") {
            write!(text, ", request {request}").expect("text can be added to a string");
        }
        text.push(')');
        return text;
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(text, ": {error}").expect("text can be added to a string");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_follows_the_code_before_the_status() {
        assert_eq!(advice_of("ProvisionedThroughputExceededException", 400), Advice::BackOff);
        assert_eq!(advice_of("SlowDown", 503), Advice::BackOff);
        assert_eq!(advice_of("ConditionalRequestConflict", 409), Advice::Retry);
        assert_eq!(advice_of("ExpiredTokenException", 400), Advice::Retry);
        assert_eq!(advice_of("InternalServerError", 500), Advice::Retry);
        assert_eq!(advice_of("AccessDenied", 403), Advice::Retry);
        assert_eq!(advice_of("", 429), Advice::BackOff);
        assert_eq!(advice_of("ResourceNotFoundException", 404), Advice::Stop);
        assert_eq!(advice_of("RequestTooLargeException", 413), Advice::Stop);
    }
}
