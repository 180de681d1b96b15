//! What S3 tells of content that has arrived.
//!
//! Amazon Simple Storage Service User Guide, "Event message structure".

use alluvium_aws::uploads::Arrived;
use alluvium_core::clock::{Micros, rfc3339};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// The parts of a message that matter.
#[derive(Debug, Deserialize)]
struct Notification {
    /// There is none where S3 tries whether it may send: `s3:TestEvent`.
    #[serde(rename = "Records", default)]
    records: Vec<Record>,
    #[serde(rename = "Event")]
    event: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    #[serde(with = "rfc3339")]
    event_time: Micros,
    s3: Entity,
}

#[derive(Debug, Deserialize)]
struct Entity {
    object: Object,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    /// As in a URL's query.
    key: String,
    /// Reading ends there. All notifications of objects that were created have it.
    size: u64,
    version_id: Option<String>,
}

/// The content that a message tells of; none: it is S3's trial.
///
/// # Errors
///
/// A sentence, when the message is none of S3's.
pub fn read(body: &str) -> Result<Vec<Arrived>, String> {
    let notification: Notification =
        serde_json::from_str(body).map_err(|error| format!("it is no notification of S3: {error}"))?;
    if notification.records.is_empty() && notification.event.as_deref() != Some("s3:TestEvent") {
        return Err("it is no notification of S3: it has no record".to_owned());
    }
    notification.records.into_iter().map(arrived).collect()
}

fn arrived(record: Record) -> Result<Arrived, String> {
    let Record { event_time, s3: Entity { object } } = record;
    let spaced = object.key.replace('+', " ");
    let key = percent_decode_str(&spaced).decode_utf8().map_err(|error| format!("its key is not UTF-8: {error}"))?;
    Ok(Arrived { key: key.into_owned(), version: object.version_id, bytes: object.size, at: event_time })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the user guide shows it.
    const BODY: &str = r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-west-2",
        "eventTime":"1970-01-01T00:00:01.500Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AIDAJDPLRKLG7UEXAMPLE"},
        "requestParameters":{"sourceIPAddress":"127.0.0.1"},"responseElements":{"x-amz-request-id":"C3D13FE58DE4C810"},
        "s3":{"s3SchemaVersion":"1.0","configurationId":"testConfigRule","bucket":{"name":"b","ownerIdentity":{"principalId":"A"},
        "arn":"arn:aws:s3:::b"},"object":{"key":"content/a%2Bb+c/0","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e",
        "versionId":"096fKKXTRTtl3on89fVO.nfljtsv6qko","sequencer":"0055AED6DCD90281E5"}}}]}"#;

    #[test]
    fn it_tells_what_lies_where_and_since_when() {
        let version = Some("096fKKXTRTtl3on89fVO.nfljtsv6qko".to_owned());
        let expected = Arrived { key: "content/a+b c/0".to_owned(), version, bytes: 1024, at: 1_500_000 };
        assert_eq!(read(BODY).unwrap(), [expected]);
        let trial = r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"b"}"#;
        assert_eq!(read(trial).unwrap(), []);
    }

    #[test]
    fn what_is_no_notification_is_refused() {
        for body in ["", "{}", r#"{"Records": []}"#, r#"{"Records": [{"eventTime": "x"}]}"#, "tables/a.json"] {
            assert!(read(body).is_err(), "{body}");
        }
        assert!(read(&BODY.replace("a%2Bb", "%FF")).unwrap_err().contains("UTF-8"));
        assert!(read(&BODY.replace("\"size\"", "\"sizes\"")).unwrap_err().contains("`size`"));
    }
}
