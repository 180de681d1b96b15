//! Taking one request in: from its head and body to the acceptance.

use alluvium_core::TraceParent;
use alluvium_core::address::parameters;
use alluvium_core::envelope::EnvelopeHeader;
use alluvium_core::ports::{Advice, PutVerdict, Refusal};
use alluvium_core::trace::STEP;
use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Uri};
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::body::{self, Encoding};
use super::budget::Reservation;
use super::frame::{Framed, frame};
use super::rejection::Rejection;
use super::settings::GatewaySettings;
use super::{Acceptance, Gateway, Writer, cloudevents};
use crate::Receipt;
use crate::delimit::{BodyKind, Elements};
use crate::gate::Turned;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The most characters of an idempotency key.
pub(super) const IDEMPOTENCY_KEY_CHARS: usize = 255;

/// Plain bodies up to this size are cut and wrapped where they were read: it takes well under a millisecond. Larger and
/// compressed ones get a thread for blocking work, so that other requests do not wait for them.
const INLINE_BYTES: usize = 1024 * 1024;

/// What a request's head says about its body.
struct Head {
    envelope: EnvelopeHeader,
    /// Whoever knows the request's trace puts it into its extensions, if it is sampled.
    trace: Option<TraceParent>,
    encoding: Option<Encoding>,
    kind: BodyKind,
    /// The headers of a CloudEvent in binary mode.
    binary_mode: Option<HeaderMap>,
}

impl Gateway {
    /// Takes one request in. On success every event of it is durably in the stream (IN-1).
    pub(super) async fn receive(&self, dataset: &str, parts: &Parts, body: &mut Body) -> Result<Acceptance, Rejection> {
        let settings = &self.shared.settings;
        let turned = |turned| match turned {
            Turned::Full => Rejection::TooManyRequests { limit: settings.concurrent_requests },
            Turned::Shut => Rejection::Stopping,
        };
        let _admission = self.shared.gate.admit().map_err(turned)?;
        let Some(dataset) = self.shared.datasets.get(dataset) else {
            let known = self.shared.datasets.names().join(", ");
            return Err(Rejection::UnknownDataset { name: dataset.chars().take(80).collect(), known });
        };
        let dataset = dataset.name.as_str();
        check_parameters(&parts.uri)?;
        let head = self.read_head(dataset, parts)?;
        let mut reservation = self.shared.budget.reservation();
        let bytes = timeout(settings.request_time, body::read(body, settings.body_bytes, &mut reservation))
            .await
            .map_err(|_| Rejection::BodyTooSlow(settings.request_time))??;
        let whole_at = Instant::now();
        // The reservation lives until the stream has the records.
        let (framed, _reservation) = self.frame_somewhere(head, bytes, reservation).await?;
        let (events, event_bytes) = (framed.events, framed.event_bytes);
        let receipt = self.append(framed).await?;
        metrics::histogram!("alluvium_ack_seconds").record(whole_at.elapsed());
        metrics::counter!("alluvium_events_accepted_total", "dataset" => dataset.to_owned()).increment(events);
        metrics::counter!("alluvium_ingest_bytes_total").increment(event_bytes);
        Ok(Acceptance { dataset: dataset.to_owned(), accepted: events, receipt })
    }

    fn read_head(&self, dataset: &str, parts: &Parts) -> Result<Head, Rejection> {
        let headers = &parts.headers;
        let writer = parts.extensions.get::<Writer>().map_or(self.shared.settings.owner.as_str(), Writer::owner);
        let binary_mode = cloudevents::is_binary_mode(headers);
        let content_type = text(headers, CONTENT_TYPE)?;
        Ok(Head {
            envelope: EnvelopeHeader {
                owner: writer.to_owned(),
                dataset: dataset.to_owned(),
                idempotency_key: idempotency_key(headers)?,
                first_index: 0,
            },
            trace: parts.extensions.get().copied(),
            encoding: text(headers, CONTENT_ENCODING)?.map_or(Ok(None), Encoding::of_header)?,
            kind: match content_type {
                _ if binary_mode => BodyKind::One,
                Some(content_type) => BodyKind::of_content_type(content_type),
                None => BodyKind::Unknown,
            },
            binary_mode: binary_mode.then(|| headers.clone()),
        })
    }

    async fn frame_somewhere(
        &self,
        head: Head,
        bytes: Bytes,
        mut reservation: Reservation,
    ) -> Result<(Framed, Reservation), Rejection> {
        let encoding = head.encoding.or_else(|| Encoding::of_magic(&bytes));
        if encoding.is_none() && bytes.len() <= INLINE_BYTES {
            let framed = expand_and_frame(head, &bytes, encoding, &mut reservation, &self.shared.settings)?;
            return Ok((framed, reservation));
        }
        let shared = self.shared.clone();
        let work = tokio::task::spawn_blocking(move || {
            let framed = expand_and_frame(head, &bytes, encoding, &mut reservation, &shared.settings)?;
            Ok((framed, reservation))
        });
        match work.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down and has not begun the work.
            Err(_) => Err(Rejection::Stopping),
        }
    }

    async fn append(&self, framed: Framed) -> Result<Receipt, Rejection> {
        let request_time = self.shared.settings.request_time;
        let events = framed.events;
        let records = framed.batch.records.len();
        let step = tracing::debug_span!(target: STEP, "put records", records, events);
        let append = self.shared.stream.append(framed.batch).instrument(step);
        let verdicts = match timeout(request_time, append).await {
            Err(_) => return Err(Rejection::StreamTooSlow(request_time)),
            Ok(Err(error)) if error.advice == Advice::BackOff => return Err(Rejection::Full { stored: 0, events }),
            Ok(Err(error)) => {
                tracing::error!(%error, events, "the stream stored nothing of a request");
                return Err(Rejection::NotStored { stored: 0, events });
            }
            Ok(Ok(verdicts)) => verdicts,
        };
        judge(verdicts, &framed.events_by_record, events)
    }
}

/// A parameter that is none would leave events with another owner than was meant.
fn check_parameters(uri: &Uri) -> Result<(), Rejection> {
    match parameters(uri.query())?.into_iter().find(|(name, _)| name != "owner") {
        Some((name, _)) => Err(Rejection::UnknownParameter { name: name.chars().take(80).collect() }),
        None => Ok(()),
    }
}

/// The receipt when every record is stored, else why not and how many events are.
fn judge(verdicts: Vec<PutVerdict>, events_by_record: &[u32], events: u64) -> Result<Receipt, Rejection> {
    let mut positions = Vec::with_capacity(verdicts.len());
    let mut stored = 0;
    let mut failure = None;
    let answered = verdicts.len();
    for (verdict, in_record) in verdicts.into_iter().zip(events_by_record) {
        match verdict {
            PutVerdict::Stored { shard, sequence } => {
                stored += u64::from(*in_record);
                positions.push((shard, sequence));
            }
            PutVerdict::Refused(Refusal::Full) => {}
            PutVerdict::Refused(Refusal::Invalid(problem) | Refusal::Failed(problem)) => failure = Some(problem),
        }
    }
    // A stream that forgets a verdict has not said `Stored` for that record.
    if positions.len() == events_by_record.len() {
        return Ok(Receipt::of(positions));
    }
    let forgotten = (answered != events_by_record.len()).then(|| "it gave fewer verdicts than records".to_owned());
    match failure.or(forgotten) {
        Some(problem) => {
            tracing::error!(problem, stored, events, "the stream did not store all of a request");
            Err(Rejection::NotStored { stored, events })
        }
        None => Err(Rejection::Full { stored, events }),
    }
}

fn expand_and_frame(
    head: Head,
    bytes: &Bytes,
    encoding: Option<Encoding>,
    reservation: &mut Reservation,
    settings: &GatewaySettings,
) -> Result<Framed, Rejection> {
    let plain = match encoding {
        Some(encoding) => body::expand(bytes, encoding, settings.body_expanded_bytes, reservation)?,
        None => bytes.clone(),
    };
    let plain = match &head.binary_mode {
        Some(headers) => cloudevents::structured(headers, &plain)?,
        None => plain,
    };
    // RFC 8259, section 8.1: a byte order mark may be ignored. Some editors put one into every file.
    let plain = plain.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&plain);
    reservation.grow(plain.len())?;
    let elements = Elements::of(plain, head.kind.layout(plain), settings.json_depth);
    frame(elements, head.envelope, head.trace, plain.len(), settings)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Rejection> {
    let Some(value) = headers.get(&name) else { return Ok(None) };
    let refused = |_| Rejection::Header { header: name.to_string(), problem: "is not ASCII text".to_owned() };
    value.to_str().map(Some).map_err(refused)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Rejection> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let fits = (1..=IDEMPOTENCY_KEY_CHARS).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
    let key = value.to_str().ok().filter(|_| fits);
    key.map(|key| Some(key.to_owned())).ok_or_else(|| Rejection::Header {
        header: IDEMPOTENCY_KEY.to_string(),
        problem: format!("cannot be used; expected 1 to {IDEMPOTENCY_KEY_CHARS} visible ASCII characters, no blanks"),
    })
}
