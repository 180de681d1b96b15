#![allow(clippy::unwrap_used)]

use http::Request;
use proptest::prelude::*;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const FORM: &str = "application/x-www-form-urlencoded";

/// What of AWS's own examples this endpoint could be sent: those of its Signature Version 4 test suite with the path `/`, and that of
/// the IAM User Guide, the last.
#[test]
fn the_examples_that_aws_published_are_verified() {
    let (aws, iam) = ("example.amazonaws.com", "iam.amazonaws.com");
    let utf8 = "application/x-www-form-urlencoded; charset=utf-8";
    let mine = "host;my-header1;x-amz-date";
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);
    let cases: [Case<'_>; 8] = [
        (
            "GET",
            "/",
            &[("host", aws)],
            "host;x-amz-date",
            "",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST",
            "/",
            &[("host", aws)],
            "host;x-amz-date",
            "",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            &[("host", aws)],
            "host;x-amz-date",
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "POST",
            "/?Param1=value1",
            &[("host", aws)],
            "host;x-amz-date",
            "",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "GET",
            "/",
            &[("host", aws), ("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "host;my-header1;my-header2;x-amz-date",
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "GET",
            "/",
            &[("host", aws), ("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            mine,
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "POST",
            "/",
            &[("host", aws), ("content-type", FORM)],
            "content-type;host;x-amz-date",
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "GET",
            "/?Action=ListUsers&Version=2010-05-08",
            &[("host", iam), ("content-type", utf8)],
            "content-type;host;x-amz-date",
            "",
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
        ),
    ];
    for (method, uri, headers, signed_headers, body, signature) in cases {
        let service = if headers[0].1 == iam { "iam" } else { "service" };
        let credential = format!("AKIDEXAMPLE/20150830/us-east-1/{service}/aws4_request");
        let authorization =
            format!("{ALGORITHM} Credential={credential}, SignedHeaders={signed_headers}, Signature={signature}");
        let request = Request::builder().method(method).uri(uri).header("authorization", authorization);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let parts = request.header(DATE, "20150830T123600Z").body(()).unwrap().into_parts().0;
        let signed = Signed::of(&parts).unwrap();
        assert_eq!(signed.access_key_id(), "AKIDEXAMPLE");
        assert!(signed.verify(SECRET, body.as_bytes()), "{method} {uri} {headers:?}");
        assert!(!signed.verify(SECRET, b"another body"));
        assert!(!signed.verify("another secret", body.as_bytes()));
    }
}

/// Signs as a client does: a second implementation, of calls of one form.
pub(in super::super) fn authorization(
    (id, secret): (&str, &str),
    headers: &[(&str, &str)],
    scope: &str,
    body: &[u8],
) -> String {
    let time = headers.iter().find(|(name, _)| *name == DATE).map_or("", |(_, value)| value);
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let (names, body) = (names.join(";"), hex(digest(&SHA256, body).as_ref()));
    let request = hex(digest(&SHA256, format!("POST\n/\n\n{lines}\n{names}\n{body}").as_bytes()).as_ref());
    let sign =
        |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let key = scope.split('/').fold(format!("AWS4{secret}").into_bytes(), |key, part| sign(&key, part));
    let signature = hex(&sign(&key, &format!("{ALGORITHM}\n{time}\n{scope}\n{request}")));
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

const HEADERS: [(&str, &str); 4] = [
    ("content-type", "application/x-amz-json-1.1"),
    ("host", "127.0.0.1:7171"),
    (DATE, "20260101T000000Z"),
    ("x-amz-target", "Kinesis_20131202.PutRecord"),
];
const SCOPE: &str = "20260101/eu-west-1/kinesis/aws4_request";

/// Whether a request is of whom it says.
fn holds(headers: &[(&str, &[u8])], authorization: &[u8], body: &[u8]) -> bool {
    let request = Request::builder().method("POST").uri("/").header("authorization", authorization);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let Ok(request) = request.body(()) else { return false };
    let signed = Signed::of(&request.into_parts().0);
    signed.is_ok_and(|signed| {
        signed.access_key_id() == "AKID" && signed.check(1_767_225_600_000_000).is_ok() && signed.verify(SECRET, body)
    })
}

fn bytes_of<'a>(headers: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a [u8])> {
    headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
}

proptest! {
    #[test]
    fn a_changed_byte_is_found_wherever_it_is(
        body in proptest::collection::vec(any::<u8>(), 1..200),
        at in any::<proptest::sample::Index>(),
        change in 1_u8..=255,
    ) {
        let authorization = authorization(("AKID", SECRET), &HEADERS, SCOPE, &body);
        let headers = bytes_of(&HEADERS);
        prop_assert!(holds(&headers, authorization.as_bytes(), &body));
        let mut changed = body.clone();
        changed[at.index(body.len())] ^= change;
        prop_assert!(!holds(&headers, authorization.as_bytes(), &changed));
        prop_assert!(!holds(&headers, authorization.as_bytes(), &body[1..]));
        prop_assert!(!holds(&headers, authorization.as_bytes(), &[&body[..], b" "].concat()));
        let signature = authorization.len() - 64;
        let mut changed = authorization.clone().into_bytes();
        changed[signature + at.index(64)] ^= change;
        prop_assert!(!holds(&headers, &changed, &body));
        for header in 0..HEADERS.len() {
            let mut value = HEADERS[header].1.as_bytes().to_vec();
            let place = at.index(value.len());
            value[place] ^= change;
            let mut headers = headers.clone();
            headers[header].1 = &value;
            prop_assert!(!holds(&headers, authorization.as_bytes(), &body), "{:?}", headers[header]);
        }
    }

    /// Spaces between its fields, or in no place that is signed, may change; the rest may not.
    #[test]
    fn a_changed_byte_of_the_header_is_found(at in 0_usize..200, change in 1_u8..=255) {
        let authorization = authorization(("AKID", SECRET), &HEADERS, SCOPE, b"{}");
        let mut changed = authorization.clone().into_bytes();
        let at = at % changed.len();
        changed[at] ^= change;
        let told = |header: &[u8]| header.iter().copied().filter(|byte| !matches!(byte, b' ' | b'\t')).collect::<Vec<_>>();
        if told(&changed) != told(authorization.as_bytes()) {
            prop_assert!(!holds(&bytes_of(&HEADERS), &changed, b"{}"), "{:?}", String::from_utf8_lossy(&changed));
        }
    }
}

#[test]
fn a_query_is_written_in_one_way() {
    let signature = "0".repeat(64);
    let authorization = format!("{ALGORITHM} Credential=AKID/{SCOPE},SignedHeaders=host,Signature={signature}");
    let request = |query: &str| {
        let request =
            Request::builder().method("POST").uri(format!("/?{query}")).header("authorization", &authorization);
        let parts = request.header("host", "h").header(DATE, "20260101T000000Z").body(()).unwrap().into_parts().0;
        String::from_utf8(Signed::of(&parts).unwrap().request).unwrap()
    };
    for (query, canonical) in [
        ("b=2&a=1&a=0", "a=0&a=1&b=2"),
        ("a", "a="),
        ("a=%7e-._~%2f/+&%61=x=y", "a=x%3Dy&a=~-._~%2F%2F%2B"),
        ("&&", ""),
    ] {
        assert_eq!(request(query), format!("POST\n/\n{canonical}\nhost:h\n\nhost\n"), "{query}");
    }
}
