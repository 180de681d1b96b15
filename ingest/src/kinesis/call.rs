//! What a request's headers say: which operation is called, what it needs, who says that they signed, and in which encoding.

use alluvium_core::{Role, Roles};
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};

use super::exception::{Code, Exception};

/// What comes before an operation's name in `X-Amz-Target`.
const TARGET_PREFIX: &str = "Kinesis_20131202.";

/// The encoding that the SDKs for Java use unless they are told not to.
const CBOR: &str = "application/x-amz-cbor-1.1";

/// The region of callers who name none.
const DEFAULT_REGION: &str = "us-east-1";

/// What to tell a client that sends CBOR. AWS SDK for Java 2.x Developer Guide, "Environment variables and system properties
/// changes"; AWS SDK for Java 1.x API Reference, `SDKGlobalConfiguration`.
const SWITCH_CBOR_OFF: &str = "this endpoint speaks JSON (application/x-amz-json-1.1), and the request is CBOR. Switch CBOR off \
    in the client: AWS SDK for Java 2.x, system property aws.cborEnabled=false or environment variable CBOR_ENABLED=false; \
    AWS SDK for Java 1.x, system property com.amazonaws.sdk.disableCbor=true or environment variable AWS_CBOR_DISABLE=true";

/// An operation of the API that is served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    CreateStream,
    DeleteStream,
    DescribeLimits,
    DescribeStream,
    DescribeStreamSummary,
    GetRecords,
    GetShardIterator,
    ListShards,
    ListStreams,
    PutRecord,
    PutRecords,
}

impl Operation {
    const ALL: [Self; 11] = [
        Self::CreateStream,
        Self::DeleteStream,
        Self::DescribeLimits,
        Self::DescribeStream,
        Self::DescribeStreamSummary,
        Self::GetRecords,
        Self::GetShardIterator,
        Self::ListShards,
        Self::ListStreams,
        Self::PutRecord,
        Self::PutRecords,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CreateStream => "CreateStream",
            Self::DeleteStream => "DeleteStream",
            Self::DescribeLimits => "DescribeLimits",
            Self::DescribeStream => "DescribeStream",
            Self::DescribeStreamSummary => "DescribeStreamSummary",
            Self::GetRecords => "GetRecords",
            Self::GetShardIterator => "GetShardIterator",
            Self::ListShards => "ListShards",
            Self::ListStreams => "ListStreams",
            Self::PutRecord => "PutRecord",
            Self::PutRecords => "PutRecords",
        }
    }

    /// What a caller needs to be permitted it; `None`: any role at all. The stream holds everybody's records, so that only who may read
    /// everybody's data reads it.
    pub(super) fn role(self) -> Option<Role> {
        match self {
            Self::PutRecord | Self::PutRecords => Some(Role::Write),
            Self::GetRecords | Self::GetShardIterator => Some(Role::Admin),
            Self::CreateStream
            | Self::DeleteStream
            | Self::DescribeLimits
            | Self::DescribeStream
            | Self::DescribeStreamSummary
            | Self::ListShards
            | Self::ListStreams => None,
        }
    }

    pub(super) fn is_permitted_to(self, roles: &Roles) -> bool {
        self.role().map_or(!roles.is_empty(), |role| roles.permit(role))
    }

    /// The operation that a request calls.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Exception> {
        let unknown = |message: String| Exception::early(Code::UnknownOperation, message);
        let Some(target) = headers.get("x-amz-target") else {
            return Err(unknown(format!(
                "POST / is the Kinesis API, and the request has no header `X-Amz-Target: {TARGET_PREFIX}PutRecords`, or another \
                 operation; events without an AWS SDK go to POST /v1/{{dataset}}"
            )));
        };
        let target = String::from_utf8_lossy(target.as_bytes());
        let named = target.strip_prefix(TARGET_PREFIX);
        let found = Self::ALL.into_iter().find(|operation| Some(operation.name()) == named);
        found.ok_or_else(|| {
            let here = Self::ALL.map(Self::name).join(", ");
            let target: String = target.chars().take(120).collect();
            unknown(format!("{target:?} is not served here; of {TARGET_PREFIX}* there are {here}"))
        })
    }
}

/// How a request's body is encoded, and thus its answer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    /// Understood only as far as to say no in it.
    Cbor,
}

impl Encoding {
    /// Whatever is not CBOR is taken for JSON: then the worst is an error about JSON.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map_or(b"".as_slice(), |value| value.as_bytes());
        let is_cbor = content_type.get(..CBOR.len()).is_some_and(|start| start.eq_ignore_ascii_case(CBOR.as_bytes()));
        if is_cbor { Self::Cbor } else { Self::Json }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => CBOR,
        }
    }

    /// Refuses what cannot be read.
    pub(super) fn readable(self) -> Result<(), Exception> {
        match self {
            Self::Json => Ok(()),
            Self::Cbor => Err(Exception::early(Code::Serialization, SWITCH_CBOR_OFF)),
        }
    }
}

/// Who signed a request, as its `Authorization` header says, which says so of any request: nothing may hang on this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    /// The id of the access key that it was signed with; `None`: it was not signed.
    pub(super) access_key_id: Option<String>,
    /// The region that it was signed for: the one in the stream's ARN, as its signer sees it.
    pub(super) region: String,
}

impl Signer {
    /// AWS General Reference, "Signature Version 4": `AWS4-HMAC-SHA256 Credential=<access key id>/<date>/<region>/<service>/aws4_request,
    /// …`.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let scope = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(credential);
        let mut parts = scope.unwrap_or_default().split('/').map(str::to_owned);
        let access_key_id = parts.next().filter(|id| !id.is_empty());
        let region = parts.nth(1).filter(|region| is_region(region)).unwrap_or_else(|| DEFAULT_REGION.to_owned());
        Self { access_key_id, region }
    }
}

fn credential(authorization: &str) -> Option<&str> {
    let fields = authorization.strip_prefix("AWS4-")?.split_once(' ')?.1;
    fields.split(',').find_map(|field| field.trim().strip_prefix("Credential="))
}

fn is_region(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
