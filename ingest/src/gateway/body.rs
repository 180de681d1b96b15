//! Getting a request's body: reading it within the limits, and undoing its compression.

use std::io::{BufRead, Read};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;

use super::budget::Reservation;
use super::rejection::Rejection;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    Zstd,
}

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// The base-2 logarithm of the largest zstd window: 8 MiB, the most that RFC 9659 ("Window Sizing for Zstandard Content
/// Encoding") allows. Without it a few bytes could make the decoder allocate 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

impl Encoding {
    /// Reads a `Content-Encoding`; `None`: the body is as it is.
    pub(crate) fn of_header(value: &str) -> Result<Option<Self>, Rejection> {
        match value.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "zstd" => Ok(Some(Self::Zstd)),
            _ => Err(Rejection::UnknownEncoding(value.chars().take(80).collect())),
        }
    }

    /// Tells a compressed body by its first bytes, which begin no JSON text.
    pub(crate) fn of_magic(body: &[u8]) -> Option<Self> {
        match body {
            body if body.starts_with(&GZIP_MAGIC) => Some(Self::Gzip),
            body if body.starts_with(&ZSTD_MAGIC) => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What `input` holds, decompressed as it is read, several members or frames of it included. Memory: the window of the format,
    /// 8 MiB at the most.
    pub(crate) fn decoder<'a>(self, input: impl BufRead + Send + 'a) -> std::io::Result<Box<dyn Read + Send + 'a>> {
        match self {
            Self::Gzip => Ok(Box::new(flate2::bufread::MultiGzDecoder::new(input))),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Ok(Box::new(decoder))
            }
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// Reads a body of up to `limit` bytes.
pub(crate) async fn read(body: &mut Body, limit: usize, reservation: &mut Reservation) -> Result<Bytes, Rejection> {
    use axum::body::HttpBody as _;
    let too_large = || Rejection::BodyTooLarge { limit };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Rejection::BodyBroken(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > limit {
            return Err(too_large());
        }
        reservation.grow(data.len())?;
        if whole.is_empty() && body.is_end_stream() {
            return Ok(data);
        }
        // The announced length is taken at its word only as far as memory that is not touched costs nothing.
        whole.reserve(if whole.is_empty() { announced.max(data.len()) } else { data.len() });
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Reads and forgets the rest of a body, up to `limit` bytes and for up to `time`, so that a client that sends all of its
/// request before it reads gets the answer and not a reset connection.
pub(crate) async fn discard(body: &mut Body, limit: usize, time: Duration) {
    let mut left = limit;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(bytes) {
                Some(less) => left = less,
                None => break,
            }
        }
    };
    // Out of time or not: the answer is sent either way.
    let _ = tokio::time::timeout(time, rest).await;
}

/// Decompresses a body to at most `limit` bytes.
pub(super) fn expand(
    body: &[u8],
    encoding: Encoding,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Rejection> {
    let decoder = encoding.decoder(body).map_err(|error| unreadable(encoding, &error))?;
    expand_from(decoder, encoding, limit, reservation)
}

fn expand_from(
    mut decoder: impl Read,
    encoding: Encoding,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Rejection> {
    const STEP_BYTES: u64 = 256 * 1024;
    let mut expanded = Vec::new();
    loop {
        let step = decoder.by_ref().take(STEP_BYTES).read_to_end(&mut expanded);
        let read = step.map_err(|error| unreadable(encoding, &error))?;
        if expanded.len() > limit {
            return Err(Rejection::ExpandsTooFar { limit });
        }
        reservation.grow(read)?;
        // `take` ends early only where the decoder does.
        if (read as u64) < STEP_BYTES {
            return Ok(expanded.into());
        }
    }
}

fn unreadable(encoding: Encoding, error: &std::io::Error) -> Rejection {
    Rejection::Encoding { encoding: encoding.name(), problem: error.to_string() }
}
