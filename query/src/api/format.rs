//! The formats that rows are answered in, and how a request chooses one.
//!
//! | `format` | media type | rows |
//! |---|---|---|
//! | `json` | `application/json` | in one document, beside `next` and `complete` |
//! | `ndjson` | `application/x-ndjson` | an object a line |
//! | `csv` | `text/csv` | a line each below a line of names (RFC 4180) |
//! | `arrow` | `application/vnd.apache.arrow.stream` | one Arrow IPC stream |
//!
//! Only JSON has a place for what there is to say beside the rows. The others say it in headers: [`NEXT`], [`COMPLETE`], and `Link`
//! with the next page's address.

use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_TYPE, InvalidHeaderValue, LINK, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::sql::ARROW_STREAM;

/// What the request for the next page carries; absent: this was the last.
pub(super) const NEXT: HeaderName = HeaderName::from_static("alluvium-next");

/// Whether nothing can be missing: `true` or `false`.
pub(super) const COMPLETE: HeaderName = HeaderName::from_static("alluvium-complete");

/// The longest `Link`; a longer one is left out, for [`NEXT`] says as much. All headers of an answer through API Gateway have 10,240
/// bytes. Amazon API Gateway Developer Guide, "Quotas for HTTP APIs".
const LINK_BYTES: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Ndjson,
    Csv,
    Arrow,
}

/// The names that `format` takes.
pub(super) const NAMES: &str = "json, ndjson, csv or arrow";

impl Format {
    pub(super) const ALL: [Self; 4] = [Self::Json, Self::Ndjson, Self::Csv, Self::Arrow];

    /// What `format` names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
        }
    }

    /// The one that `format` names so.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The one that a request's `Accept` prefers; JSON where it names none of them.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = (0.0, Self::Json);
        for (weight, format) in ranges.flat_map(|value| value.split(',')).filter_map(Self::weighted) {
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    /// A range of `Accept` as the format that it means, and its weight. RFC 9110, section 12.5.1.
    fn weighted(range: &str) -> Option<(f32, Self)> {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next()?;
        let format = match media_type {
            "*/*" | "application/*" => Self::Json,
            "text/*" => Self::Csv,
            _ => Self::ALL.into_iter().find(|format| format.media_type().eq_ignore_ascii_case(media_type))?,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some((weight.map_or(Some(1.0), |weight| weight.parse().ok())?, format))
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Arrow => ARROW_STREAM,
        }
    }

    /// The response with rows that were written in this format.
    ///
    /// # Errors
    ///
    /// When `next` is no text that a header can hold.
    pub(super) fn response(self, body: Vec<u8>, beside: &Beside<'_>) -> Result<Response, InvalidHeaderValue> {
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media_type()));
        headers.insert(VARY, HeaderValue::from_static("accept"));
        if self == Self::Json {
            return Ok(response);
        }
        if let Some(complete) = beside.complete {
            headers.insert(COMPLETE, HeaderValue::from_static(if complete { "true" } else { "false" }));
        }
        if let Some(next) = beside.next {
            headers.insert(NEXT, HeaderValue::try_from(next)?);
            if let Some(link) = beside.link(next) {
                headers.insert(LINK, link);
            }
        }
        Ok(response)
    }
}

/// What there is to say beside the rows of a page.
pub(super) struct Beside<'a> {
    /// What the next request carries as `parameter`; `None`: this was the last page.
    pub(super) next: Option<&'a str>,
    pub(super) parameter: &'static str,
    /// Whether nothing can be missing; `None`: nothing ever is.
    pub(super) complete: Option<bool>,
    /// The query of the request that is answered.
    pub(super) query: Option<&'a str>,
}

impl Beside<'_> {
    /// The next page's address, as what differs from this page's (RFC 3986, section 4.2): the path that the client sees need not be
    /// the one that was routed. `None`: no header can hold it.
    fn link(&self, next: &str) -> Option<HeaderValue> {
        let others = self.query.into_iter().flat_map(|query| query.split('&'));
        let others = others.filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(self.parameter));
        let next = format!("{}={}", self.parameter, utf8_percent_encode(next, NON_ALPHANUMERIC));
        let query: Vec<&str> = others.chain([next.as_str()]).collect();
        let link = format!("<?{}>; rel=\"next\"", query.join("&"));
        HeaderValue::try_from(link).ok().filter(|link| link.len() <= LINK_BYTES)
    }
}

/// These rows as one Arrow IPC stream.
///
/// # Errors
///
/// When there is no RecordBatch, or they differ in their columns.
pub(super) fn arrow_stream(batches: &[RecordBatch]) -> Result<Vec<u8>, ArrowError> {
    let first =
        batches.first().ok_or_else(|| ArrowError::InvalidArgumentError("there is no RecordBatch".to_owned()))?;
    let mut writer = StreamWriter::try_new(Vec::new(), first.schema_ref())?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.into_inner()
}

#[cfg(test)]
mod tests;
