//! Every way in which a call fails, in the service's names.

use http::StatusCode;

use crate::gateway::rejection::Rejection;

/// The service's name for a failure: what SDKs make exceptions of, and decide by whether to call again.
///
/// Amazon Kinesis Data Streams API Reference, "Common Errors" and the errors of each operation; of signatures in the spelling of the JSON
/// protocol, which SDKs know, and with its status, 400 (Amazon DynamoDB Developer Guide, "Error messages and codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    AccessDenied,
    DryRunOperation,
    ExpiredIterator,
    ExpiredNextToken,
    IncompleteSignature,
    InternalFailure,
    InvalidArgument,
    InvalidSignature,
    MissingAuthenticationToken,
    ProvisionedThroughputExceeded,
    RequestEntityTooLarge,
    RequestTimeout,
    ResourceInUse,
    ResourceNotFound,
    Serialization,
    ServiceUnavailable,
    Throttling,
    UnknownOperation,
    UnrecognizedClient,
    Validation,
}

impl Code {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "AccessDeniedException",
            Self::DryRunOperation => "DryRunOperationException",
            Self::ExpiredIterator => "ExpiredIteratorException",
            Self::ExpiredNextToken => "ExpiredNextTokenException",
            Self::IncompleteSignature => "IncompleteSignatureException",
            Self::InternalFailure => "InternalFailure",
            Self::InvalidArgument => "InvalidArgumentException",
            Self::InvalidSignature => "InvalidSignatureException",
            Self::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Self::ProvisionedThroughputExceeded => "ProvisionedThroughputExceededException",
            Self::RequestEntityTooLarge => "RequestEntityTooLargeException",
            Self::RequestTimeout => "RequestTimeoutException",
            Self::ResourceInUse => "ResourceInUseException",
            Self::ResourceNotFound => "ResourceNotFoundException",
            Self::Serialization => "SerializationException",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Throttling => "ThrottlingException",
            Self::UnknownOperation => "UnknownOperationException",
            Self::UnrecognizedClient => "UnrecognizedClientException",
            Self::Validation => "ValidationException",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InternalFailure => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Why a call failed: what the service would call it, and what was wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub(super) struct Exception {
    pub(super) code: Code,
    pub(super) message: String,
    /// Whether the body that the call came with was left unread.
    pub(super) body: BodyLeft,
}

/// What became of a request's body before its call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLeft {
    /// It was read, or nothing more comes of it.
    Done,
    /// The client may still be sending it, and would miss the answer if the connection were closed.
    Unread,
}

impl Exception {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), body: BodyLeft::Done }
    }

    /// One that was thrown before the body was read.
    pub(super) fn early(code: Code, message: impl Into<String>) -> Self {
        Self { body: BodyLeft::Unread, ..Self::new(code, message) }
    }

    /// A parameter whose value cannot be.
    pub(super) fn validation(message: impl Into<String>) -> Self {
        Self::new(Code::Validation, message)
    }

    /// A parameter that does not fit what is there, or others.
    pub(super) fn argument(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// A failure of ours; its cause is in the log and nothing that a caller could use.
    pub(super) fn internal() -> Self {
        Self::new(Code::InternalFailure, "the node could not do this, and its own log says why; call again")
    }

    pub(super) fn status(&self) -> StatusCode {
        self.code.status()
    }
}

impl From<Rejection> for Exception {
    /// What reading a body comes to.
    fn from(rejection: Rejection) -> Self {
        let code = match &rejection {
            Rejection::BodyTooLarge { .. } => Code::RequestEntityTooLarge,
            Rejection::BodyTooSlow(_) => Code::RequestTimeout,
            Rejection::BodyBroken(_) => Code::Serialization,
            Rejection::TooManyBytes { .. } | Rejection::TooManyRequests { .. } => Code::Throttling,
            Rejection::Stopping => Code::ServiceUnavailable,
            _ => Code::InternalFailure,
        };
        let body = if rejection.leaves_body_unread() { BodyLeft::Unread } else { BodyLeft::Done };
        Self { body, ..Self::new(code, rejection.to_string()) }
    }
}
