//! What the function answered, record by record.
//!
//! Source: Amazon Data Firehose Developer Guide, "Required parameters for data transformation" and "Monitor Amazon Data Firehose
//! Using CloudWatch Logs" (the codes).

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::failed::Failure;

/// What a function says of one record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is left to do with it.
    Dropped,
    /// These bytes are to be written to the destination.
    Ok(Vec<u8>),
    /// It was not processed.
    Failed(Failure),
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    records: Vec<Answer<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    #[serde(borrow)]
    record_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    result: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<Cow<'a, str>>,
}

/// The verdicts on the records with these ids, in their order.
///
/// # Errors
///
/// When the response is none, or does not name each id exactly once: then it says nothing about any record.
pub(super) fn read(response: &[u8], ids: &[String]) -> Result<Vec<Verdict>, Failure> {
    let response: Response<'_> = serde_json::from_slice(response)
        .map_err(|error| Failure::new("Lambda.JsonProcessingException", format!("the response is none: {error}")))?;
    let places: HashMap<&str, usize> = ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let mut verdicts: Vec<Option<Verdict>> = ids.iter().map(|_| None).collect();
    for answer in response.records {
        let id = answer.record_id.as_deref().unwrap_or_default();
        let Some(place) = places.get(id) else {
            let message = format!("the response names `{id}`, which the event does not");
            return Err(Failure::new("Lambda.MissingRecordId", message));
        };
        if verdicts[*place].replace(verdict(&answer)).is_some() {
            let message = format!("the response names `{id}` more than once");
            return Err(Failure::new("Lambda.DuplicatedRecordId", message));
        }
    }
    let missing = |place: usize| {
        let message = format!("the response does not name `{}`", ids[place]);
        Failure::new("Lambda.MissingRecordId", message)
    };
    verdicts.into_iter().enumerate().map(|(place, verdict)| verdict.ok_or_else(|| missing(place))).collect()
}

fn verdict(answer: &Answer<'_>) -> Verdict {
    let invalid = |message: String| Verdict::Failed(Failure::new("Lambda.InvalidReturnFormat", message));
    match answer.result.as_deref() {
        Some("Dropped") => Verdict::Dropped,
        Some("ProcessingFailed") => {
            let message = "the function says of the record that it could not be processed";
            Verdict::Failed(Failure::new("Lambda.ProcessingFailedStatus", message))
        }
        Some("Ok") => match answer.data.as_deref().map(|data| STANDARD.decode(data)) {
            Some(Ok(data)) => Verdict::Ok(data),
            _ => invalid("the result is `Ok`, and `data` is no text in base64".to_owned()),
        },
        other => invalid(format!(
            "the result is `{}`; expected `Ok`, `Dropped` or `ProcessingFailed`",
            other.unwrap_or_default()
        )),
    }
}
