//! A gateway as a destination: each record is the body of one request.

mod attempt;
mod encoding;

use std::fmt;
use std::time::Duration;

use alluvium_core::destination::{CallEffect, CountedBytes};
use alluvium_core::limits::BODY_EXPANDED_BYTES;
use alluvium_core::ports::{Advice, PortError};
use alluvium_core::{
    Destination, DestinationLimits, EntryVerdict, HashKeyRange, PutEntry, PutError, SequenceNumber, ShardId,
};
use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Url};

use crate::{Acceptance, IngestError};
use attempt::Attempt;

pub use encoding::BodyEncoding;

/// How long it may take until there is a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How bodies are posted.
#[derive(Clone, Default)]
pub struct HttpSettings {
    /// How they are compressed.
    pub encoding: BodyEncoding,
    /// The bearer token that is shown; `None`: none is.
    pub token: Option<String>,
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("HttpSettings").field("encoding", &self.encoding).field("token", &token).finish()
    }
}

/// Posts records to a gateway's route, such as `http://127.0.0.1:8080/v1/telemetry`. A record is a body, of one event or of several as
/// lines: see [`ProducerSettings::for_gateway`](super::ProducerSettings::for_gateway), and
/// [`ProducerSettings::for_bodies`](super::ProducerSettings::for_bodies) when they are put together already.
///
/// A call holds one record, and its id is the request's `Idempotency-Key`: a gateway takes a request in as a whole, and sent again
/// under the same key, events without an id of their own are the same ones. A call takes as long as the gateway does; the producer's
/// `request_timeout` bounds it.
#[derive(Debug)]
pub struct HttpDestination {
    client: Client,
    url: Url,
    encoding: BodyEncoding,
}

impl HttpDestination {
    /// A destination at `url`.
    ///
    /// # Errors
    ///
    /// When the URL or the token cannot be used, or the HTTP client cannot be set up.
    pub fn new(url: &str, settings: HttpSettings) -> Result<Self, IngestError> {
        let url = route(url)?;
        let client = client(&url, settings.token.as_deref())?;
        Ok(Self { client, url, encoding: settings.encoding })
    }

    async fn post(&self, entry: PutEntry) -> Result<EntryVerdict, PutError> {
        let (body, key) = (&entry.record.data, entry.id.to_string());
        match attempt::post(&self.client, &self.url, self.encoding, body, &key).await {
            Attempt::Accepted(acceptance) => Ok(stored(&acceptance)),
            Attempt::Refused { status: 0, detail } => Ok(EntryVerdict::Invalid(detail)),
            // It was taken in, by whoever answers so.
            Attempt::Refused { status: 200..300, detail } => {
                Err(PutError::new(CallEffect::Unknown, Advice::Stop, detail))
            }
            Attempt::Refused { status, detail } => {
                let said = format!("status {status}: {detail}");
                match status {
                    // Whoever is not let in, and a dataset that is not there: no other record would fare better.
                    401 | 403 | 404 => Err(PutError::new(CallEffect::NothingStored, Advice::Stop, said)),
                    _ => Ok(EntryVerdict::Invalid(said)),
                }
            }
            Attempt::Later { problem, retry_after, effect } => {
                let advice = if retry_after.is_some() { Advice::BackOff } else { Advice::Retry };
                Err(PutError { retry_after, ..PutError::new(effect, advice, problem) })
            }
        }
    }
}

/// The URL of a gateway's route.
fn route(url: &str) -> Result<Url, IngestError> {
    let url = Url::parse(url).map_err(|error| {
        IngestError::setting("url", format!("`{url}` is no URL ({error}); expected http://host:port/v1/dataset"))
    })?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(IngestError::setting("url", format!("`{url}`: expected http:// or https:// and a host")));
    }
    Ok(url)
}

fn client(url: &Url, token: Option<&str>) -> Result<Client, IngestError> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| IngestError::setting("token", "it holds what no header can; expected a JSON Web Token"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let builder = Client::builder()
        .user_agent(concat!("alluvium/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .connect_timeout(CONNECT_TIME)
        // A POST that is redirected may arrive as a GET; better to say where the address has moved.
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true);
    // A proxy that the environment names cannot reach this machine's own loopback address.
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let builder = if loopback { builder.no_proxy() } else { builder };
    builder.build().map_err(IngestError::Client)
}

/// Where the first of a request's records lies.
fn stored(acceptance: &Acceptance) -> EntryVerdict {
    match acceptance.receipt.runs().first() {
        Some(run) => EntryVerdict::Stored { shard: run.shard.clone(), sequence: run.first },
        // It took the request in and stored no record for it, since there was no event in it.
        None => EntryVerdict::Stored { shard: ShardId::new(ShardId::DIRECT_PUT), sequence: SequenceNumber::default() },
    }
}

#[async_trait]
impl Destination for HttpDestination {
    async fn put(&self, entries: Vec<PutEntry>) -> Result<Vec<EntryVerdict>, PutError> {
        let mut verdicts = Vec::with_capacity(entries.len());
        for entry in entries {
            match self.post(entry).await {
                Ok(verdict) => verdicts.push(verdict),
                Err(error) if verdicts.is_empty() => return Err(error),
                // What was answered stays answered; the rest counts as unanswered.
                Err(_) => break,
            }
        }
        Ok(verdicts)
    }

    async fn shard_map(&self) -> Result<Option<Vec<HashKeyRange>>, PortError> {
        Ok(None)
    }

    fn limits(&self) -> DestinationLimits {
        DestinationLimits {
            entries_per_call: 1,
            bytes_per_call: BODY_BYTES,
            bytes_per_entry: BODY_BYTES,
            shard_rates: None,
            counted: CountedBytes::Data,
        }
    }
}

/// The most bytes of a body before compression. What does not compress has to pass as it is, with room for a frame.
const BODY_BYTES: usize = alluvium_core::limits::BODY_BYTES - 64 * 1024;

const _: () = assert!(BODY_BYTES <= BODY_EXPANDED_BYTES);

#[cfg(test)]
mod tests;
