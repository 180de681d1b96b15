use serde_json::Value;

use super::*;
use crate::delimit::BodyKind;

/// Whether the document says that a request may be answered so.
pub(in super::super) fn is_documented(status: u16, kind: &str) -> bool {
    let document = serde_json::to_value(openapi()).unwrap();
    let of = |path: &str| document["paths"][path]["post"]["responses"][status.to_string()]["description"].clone();
    let says = |response: Value| response.as_str().is_some_and(|text| text.contains(&format!("`{kind}`")));
    says(of("/data")) && says(of("/v1/{dataset}"))
}

#[test]
fn each_media_type_says_how_events_lie_in_the_body() {
    let body = body();
    for media_type in body.content.keys() {
        assert_ne!(BodyKind::of_content_type(media_type), BodyKind::Unknown, "{media_type}");
    }
    for media_type in LINES {
        assert_eq!(BodyKind::of_content_type(media_type), BodyKind::Lines, "{media_type}");
    }
    assert_eq!(body.content.len(), 3 + LINES.len());
}
