//! Where a producer sends on AWS: a Kinesis stream, or a delivery stream of Firehose put directly.
//!
//! The SDK's own retries are off: it would send whole calls again of which most is stored, and the producer would learn of none of it.

mod firehose;
mod kinesis;

use std::error::Error;
use std::fmt::Display;
use std::io;

use alluvium_core::PutError;
use alluvium_core::destination::CallEffect;
use alluvium_core::ports::Advice;
use aws_sdk_kinesis::config::http::HttpResponse;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

use crate::error::{advice, reason};

pub use firehose::FirehoseDestination;
pub use kinesis::KinesisDestination;

/// What a failed call means for its entries. `what` names what was being done to what: it begins the message.
fn put_error<E>(what: impl Display, error: SdkError<E, HttpResponse>) -> PutError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let effect = match &error {
        SdkError::ConstructionFailure(_) => CallEffect::NothingStored,
        SdkError::ServiceError(service) if service.raw().status().as_u16() < 500 => CallEffect::NothingStored,
        SdkError::DispatchFailure(_) if never_connected(&error) => CallEffect::NothingStored,
        _ => CallEffect::Unknown,
    };
    let message = format!("{what}: {}", reason(&error));
    PutError { effect, advice: advice(&error), retry_after: None, message, source: Some(Box::new(error)) }
}

/// Whether nobody has listened.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
            if matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable) {
                return true;
            }
        }
        cause = error.source();
    }
    false
}

/// An answer that does not have what the service's reference says.
fn unintelligible(what: impl Display, why: impl Display) -> PutError {
    PutError::new(CallEffect::Unknown, Advice::Retry, format!("{what}: the answer cannot be understood: {why}"))
}
