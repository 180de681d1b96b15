#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn message(kind: u8, body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&[kind]);
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn decode(phase: Phase, bytes: &mut BytesMut) -> io::Result<Option<PgWireFrontendMessage>> {
    Messages { phase }.decode(bytes)
}

#[test]
fn a_message_waits_for_its_last_byte() {
    let whole = message(b'Q', b"select 1\0");
    for end in 0..whole.len() {
        let mut part = BytesMut::from(&whole[..end]);
        assert!(decode(Phase::Session, &mut part).unwrap().is_none(), "{end}");
        assert_eq!(part.len(), end);
    }
    let mut two = whole;
    two.extend_from_slice(&message(b'S', b""));
    assert!(
        matches!(decode(Phase::Session, &mut two).unwrap(), Some(PgWireFrontendMessage::Query(query)) if query.query == "select 1")
    );
    assert!(matches!(decode(Phase::Session, &mut two).unwrap(), Some(PgWireFrontendMessage::Sync(_))));
}

#[test]
fn what_is_cut_short_or_too_long_is_refused() {
    for (kind, body) in [
        (b'Q', &b"no end"[..]),
        (b'Q', b"two\0ends\0"),
        (b'Q', b"\xff\0"),
        (b'P', b"name\0select 1\0"),
        (b'P', b"\0select 1\0\x00\x02\x00\x00\x00\x17"),
        (b'B', b"\0\0\x00\x00\x00\x01\x00\x00\x00\x09short\x00\x00"),
        (b'B', b"\0\0"),
        (b'D', b""),
        (b'E', b"\0\x00"),
        (b'?', b""),
    ] {
        assert!(decode(Phase::Session, &mut message(kind, body)).is_err(), "{} {body:?}", char::from(kind));
    }
    for length in [0_u32, 3, 300_000, u32::MAX] {
        let mut bytes = BytesMut::from(&b"Q"[..]);
        bytes.extend_from_slice(&length.to_be_bytes());
        assert!(decode(Phase::Session, &mut bytes).is_err(), "{length}");
    }
    // Whom nobody knows yet is believed less.
    assert!(decode(Phase::Password, &mut message(b'p', &[b'x'; 20_000])).is_err());
    assert!(decode(Phase::Greeting, &mut BytesMut::from(&b"GET / HTTP/1.1\r\n\r\n"[..])).is_err());
}

proptest! {
    #[test]
    fn no_bytes_break_it(kind in prop::sample::select(b"QPBDCEHSXpdcf".to_vec()), body in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..60)) {
        let _message = decode(Phase::Session, &mut message(kind, &body));
    }

    #[test]
    fn no_greeting_breaks_it(number in prop_oneof![Just(80_877_103_u32), Just(80_877_104), Just(80_877_102), Just(196_608), any::<u32>()],
        body in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..60)) {
        let mut bytes = BytesMut::new();
        bytes.extend_from_slice(&u32::try_from(body.len() + 8).unwrap().to_be_bytes());
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(&body);
        let _message = decode(Phase::Greeting, &mut bytes);
    }
}
