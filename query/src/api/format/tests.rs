#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn the_accept_header_chooses_what_it_prefers_among_what_there_is() {
    for (accept, chosen) in [
        (&["application/x-ndjson"][..], Format::Ndjson),
        (&["TEXT/CSV; charset=utf-8"], Format::Csv),
        (&["application/vnd.apache.arrow.stream"], Format::Arrow),
        (&["text/csv;q=0.5, application/x-ndjson;q=0.9, application/json;q=0.1"], Format::Ndjson),
        (&["text/csv;q=0.5", "application/x-ndjson ; q=0.6"], Format::Ndjson),
        (&["text/csv, application/json"], Format::Csv),
        (&["text/csv;q=0"], Format::Json),
        (&["text/csv;q=much"], Format::Json),
        (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Format::Json),
        (&["*/*, text/csv;q=0.9"], Format::Json),
        (&["image/png"], Format::Json),
        (&[""], Format::Json),
        (&[], Format::Json),
    ] {
        let mut headers = HeaderMap::new();
        accept.iter().for_each(|value| _ = headers.append(ACCEPT, HeaderValue::from_static(value)));
        assert_eq!(Format::accepted(&headers), chosen, "{accept:?}");
    }
}

#[test]
fn the_next_pages_address_is_this_ones_with_another_cursor() {
    for (query, next, link) in [
        (None, "abc", "<?cursor=abc>; rel=\"next\""),
        (Some(""), "a/b=", "<?cursor=a%2Fb%3D>; rel=\"next\""),
        (Some("source=a%20b&cursor=x&limit=5"), "y", "<?source=a%20b&limit=5&cursor=y>; rel=\"next\""),
        (Some("cursors=1&cursor"), "y", "<?cursors=1&cursor=y>; rel=\"next\""),
    ] {
        let beside = Beside { next: Some(next), parameter: "cursor", complete: None, query };
        assert_eq!(beside.link(next).unwrap(), link);
    }
    for query in [format!("source={}", "a".repeat(LINK_BYTES)), "source=\u{7f}".to_owned()] {
        let beside = Beside { next: Some("n"), parameter: "cursor", complete: None, query: Some(&query) };
        let response = Format::Csv.response(Vec::new(), &beside).unwrap();
        assert!(response.headers().contains_key(NEXT) && !response.headers().contains_key(LINK));
    }
}

#[test]
fn what_has_no_place_in_the_body_stands_in_headers() {
    let beside = Beside { next: Some("n"), parameter: "page", complete: Some(false), query: None };
    let json = Format::Json.response(Vec::new(), &beside).unwrap();
    assert!(!json.headers().contains_key(NEXT) && !json.headers().contains_key(COMPLETE));
    let csv = Format::Csv.response(Vec::new(), &beside).unwrap();
    assert_eq!(
        (&csv.headers()[NEXT], &csv.headers()[COMPLETE], &csv.headers()[LINK]),
        (
            &HeaderValue::from_static("n"),
            &HeaderValue::from_static("false"),
            &HeaderValue::from_static("<?page=n>; rel=\"next\""),
        )
    );
    let last = Format::Ndjson.response(Vec::new(), &Beside { next: None, complete: None, ..beside }).unwrap();
    assert!(![NEXT, COMPLETE, LINK].iter().any(|name| last.headers().contains_key(name)));
    let unfit = Beside { next: Some("a\nb"), parameter: "page", complete: None, query: None };
    assert!(Format::Csv.response(Vec::new(), &unfit).is_err());
}
