//! Service limits and our own defaults, each with its source.

pub mod quotas;

use std::time::Duration;

/// The most bytes of one stream record. Amazon Kinesis Data Streams Developer Guide, "Quotas and limits": 1 MiB by default.
pub const STREAM_RECORD_BYTES: usize = 1024 * 1024;

/// The most characters of a partition key. Amazon Kinesis Data Streams API Reference, `PutRecord`.
pub const PARTITION_KEY_CHARS: usize = 256;

/// The most bytes of one hot-index item. Amazon DynamoDB Developer Guide, "Service, account, and table quotas": 400 KB.
pub const HOT_ITEM_BYTES: usize = 400 * 1024;

/// Where the hot index starts a new chunk: [`HOT_ITEM_BYTES`] less room for keys and attribute names.
pub const HOT_CHUNK_BYTES: usize = HOT_ITEM_BYTES - 4 * 1024;

/// The most bytes of an original that a dead letter keeps; its whole length is kept beside it. Our own.
pub const DEAD_LETTER_ORIGINAL_BYTES: usize = 64 * 1024;

/// The most bytes that one compressed stream record may expand to. Our own, against compression bombs.
pub const RECORD_EXPANDED_BYTES: usize = 16 * 1024 * 1024;

/// The most bytes that the compressed records of one batch may expand to together, with 32 more for each event of the batch, and
/// one for every four columns of its dataset. Our own: what comes of them must fit the memory of a small Lambda function. An event
/// of Amazon Data Firehose holds up to [`INVOCATION_BYTES`], about 4.5 MB of records, so it binds where all of them compress better
/// than seven to one.
pub const BATCH_EXPANDED_BYTES: usize = 32 * 1024 * 1024;

/// The most bytes of a synchronous invocation's event, and of its response. AWS Lambda Developer Guide, "Lambda quotas": 6 MB
/// each.
pub const INVOCATION_BYTES: usize = 6 * 1024 * 1024;

/// The deepest nesting of JSON in an event. Our own, against stack exhaustion.
pub const JSON_DEPTH: usize = 64;

/// The most bytes of a request body as sent. Our own; Amazon API Gateway's is 10 MB.
pub const BODY_BYTES: usize = 10 * 1024 * 1024;

/// The most bytes of a request body after decompression. Our own.
pub const BODY_EXPANDED_BYTES: usize = 64 * 1024 * 1024;

/// The most bytes of one event. Our own: with its envelope it must fit a record, see [`STREAM_RECORD_BYTES`].
pub const EVENT_BYTES: usize = 1024 * 1024 - 4 * 1024;

/// How far in the future, measured from its arrival, an event's `time` may lie. Our own; a dataset may set another.
pub const MAX_FUTURE: Duration = Duration::from_secs(24 * 3600);

/// How far in the past, measured from its arrival, an event's `time` may lie. Our own; a dataset may set another.
pub const MAX_PAST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// How long the hot index keeps an event, measured from its own time. Our own; a dataset may set another.
pub const HOT_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// The most bytes of a schema. Our own.
pub const SCHEMA_BYTES: usize = 1024 * 1024;

/// The most bytes of a schema with every `$ref` written out. Our own, against references that multiply.
pub const SCHEMA_EXPANDED_BYTES: usize = 4 * 1024 * 1024;

/// The deepest nesting of columns. Our own; [`JSON_DEPTH`] leaves room for it.
pub const SCHEMA_DEPTH: usize = 16;

/// The most columns of a dataset, those inside structs and lists counted one by one. Our own: each takes a builder and pages.
pub const SCHEMA_COLUMNS: usize = 1_000;

/// The most values of one `enum`. Our own.
pub const SCHEMA_ENUM_VALUES: usize = 10_000;

/// The most names in each list of settings: `types`, the aliases of all properties, `drop`. Our own.
pub const SCHEMA_NAMES: usize = 10_000;

/// The most bytes of one `pattern`. Our own.
pub const SCHEMA_PATTERN_BYTES: usize = 4 * 1024;

/// The most memory that all patterns of a schema may take, compiled. Our own.
pub const SCHEMA_PATTERNS_BYTES: usize = 16 * 1024 * 1024;
