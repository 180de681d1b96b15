use super::*;

fn check(format: TextFormat, right: &[&str], wrong: &[&str]) {
    for text in right {
        assert!(format.matches(text), "{format:?}: `{text}` is refused");
    }
    for text in wrong {
        assert!(!format.matches(text), "{format:?}: `{text}` is taken");
    }
}

#[test]
fn uuids_are_written_in_five_groups_of_either_case() {
    let right = ["00000000-0000-0000-0000-000000000000", "F47AC10B-58cc-4372-a567-0e02b2c3d479"];
    let wrong = [
        "",
        "f47ac10b58cc4372a5670e02b2c3d479",
        "{f47ac10b-58cc-4372-a567-0e02b2c3d479}",
        "urn:uuid:f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "f47ac10b-58cc-4372-a567-0e02b2c3d47",
        "f47ac10b-58cc-4372-a567-0e02b2c3d4799",
        "f47ac10b-58cc-4372-a5670-e02b2c3d4799",
        "g47ac10b-58cc-4372-a567-0e02b2c3d479",
        "f47ac10b-58cc-4372-a567-0e02b2c3d4é",
    ];
    check(TextFormat::Uuid, &right, &wrong);
}

#[test]
fn emails_are_mailboxes() {
    let long_label = "a".repeat(63);
    let long_local = format!("{}@example.org", "a".repeat(64));
    let right = [
        "ann@example.org",
        "ann+rooms@localhost",
        "a.b.c@1.example",
        "!#$%&'*/=?^_`{|}~@a.b",
        r#""ann smith"@example.org"#,
        r#""a@b"@example.org"#,
        r#"""@example.org"#,
        "ann@[192.0.2.1]",
        "ann@[IPv6:2001:db8::1]",
        "ann@[ipv6:::1]",
        &format!("ann@{long_label}.org"),
        &long_local,
        "ann@ab--c.org",
    ];
    let wrong = [
        "",
        "ann",
        "@",
        "ann@",
        "@example.org",
        "ann@example.org.",
        "ann@.org",
        "ann@-a.org",
        "ann@a-.org",
        "ann@ex_ample.org",
        "ann@exämple.org",
        "änn@example.org",
        ".ann@example.org",
        "ann..b@example.org",
        "ann smith@example.org",
        "Ann <ann@example.org>",
        "<ann@example.org>",
        "ann@[192.0.2.256]",
        "ann@[2001:db8::1]",
        "ann@[IPv6:192.0.2.1]",
        &format!("ann@{long_label}a.org"),
        &format!("a{long_local}"),
        &format!("ann@{}", ["a"; 128].join(".")),
    ];
    check(TextFormat::Email, &right, &wrong);
}

#[test]
fn addresses_are_the_standard_library_s() {
    check(
        TextFormat::Ipv4,
        &["0.0.0.0", "255.255.255.255"],
        &["", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", " 1.2.3.4"],
    );
    check(
        TextFormat::Ipv6,
        &["::", "::1", "2001:DB8::1", "::ffff:192.0.2.1"],
        &["", ":", "1::2::3", "fe80::1%eth0", "[::1]"],
    );
}

#[test]
fn uris_have_a_scheme() {
    let right = [
        "https://example.org/a?b=c#d",
        "urn:isbn:0451450523",
        "mailto:ann@example.org",
        "http://[2001:db8::1]:80/",
        "a:",
        "file:///etc/hosts",
        "http://u:p@h:1/%7e",
    ];
    let wrong = [
        "",
        "/a",
        "//example.org/a",
        "example.org",
        "1a:b",
        "http://a b",
        "http://a/%zz",
        "http://ä/",
        "a:\\",
        "http://a:b/",
    ];
    check(TextFormat::Uri, &right, &wrong);
}
