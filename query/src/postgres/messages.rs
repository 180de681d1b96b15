//! The messages of a connection, cut out of its bytes.
//!
//! A message has a byte for its kind and four for its length, and those before the greeting's end only the length ("PostgreSQL
//! Documentation", section "Message Formats"). What is too long or cut short is refused here, before the library reads it: it would take
//! up to a gigabyte, and would panic where a message ends before what it says it holds.

use std::io;

use bytes::BytesMut;
use pgwire::messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion};
use tokio_util::codec::{Decoder, Encoder};

/// The longest message of a caller: a statement, or its parameters. The engine takes less of a statement.
pub(super) const MESSAGE_BYTES: usize = 256 * 1024;

/// The longest message of somebody whom nobody knows yet. A token has at most 8 KiB.
const GREETING_BYTES: usize = 10_000;

/// How far a connection is, as far as that says how its bytes are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A greeting, a request for encryption or a cancellation: it has no kind.
    Greeting,
    /// The password.
    Password,
    /// Whatever a caller asks for.
    Session,
}

/// The connection's codec.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) phase: Phase,
}

impl Messages {
    fn most(&self) -> usize {
        if self.phase == Phase::Session { MESSAGE_BYTES } else { GREETING_BYTES }
    }
}

impl Decoder for Messages {
    type Item = PgWireFrontendMessage;
    type Error = io::Error;

    fn decode(&mut self, from: &mut BytesMut) -> io::Result<Option<PgWireFrontendMessage>> {
        let kind_bytes = usize::from(self.phase != Phase::Greeting);
        let Some(length) = from.get(kind_bytes..kind_bytes + 4) else { return Ok(None) };
        let length = u32::from_be_bytes(length.try_into().expect("the slice has four bytes")) as usize;
        if length < 4 || length > self.most() {
            return Err(wrong(format!("a message has {length} bytes; expected 4 to {}", self.most())));
        }
        if from.len() < kind_bytes + length {
            return Ok(None);
        }
        let mut message = from.split_to(kind_bytes + length);
        let whole = match self.phase {
            Phase::Greeting => message.len() >= 8,
            Phase::Password | Phase::Session => is_whole(message[0], &message[5..]),
        };
        if !whole {
            return Err(wrong("a message ends before what it says it holds, or its text is not UTF-8".to_owned()));
        }
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
        context.awaiting_frontend_startup = self.phase == Phase::Greeting;
        // What asks for encryption is told by its number; anything else there is answered with nothing, and read as a greeting.
        context.awaiting_frontend_ssl = self.phase == Phase::Greeting && asks_for_encryption(&message);
        PgWireFrontendMessage::decode(&mut message, &context).map_err(|error| wrong(error.to_string()))
    }
}

impl Encoder<PgWireBackendMessage> for Messages {
    type Error = io::Error;

    fn encode(&mut self, message: PgWireBackendMessage, to: &mut BytesMut) -> io::Result<()> {
        message.encode(to).map_err(|error| io::Error::other(error.to_string()))
    }
}

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn asks_for_encryption(message: &[u8]) -> bool {
    use pgwire::messages::startup::{GssEncRequest, SslRequest};
    let number = message.get(4..8).map(|number| number.try_into().map(i32::from_be_bytes));
    matches!(number, Some(Ok(SslRequest::BODY_MAGIC_NUMBER | GssEncRequest::BODY_MAGIC_NUMBER)))
}

/// Whether the body of a message of this kind holds all that it says it does, and no more.
fn is_whole(kind: u8, body: &[u8]) -> bool {
    let mut rest = Rest(body);
    let read = match kind {
        b'Q' => rest.text(),
        b'P' => rest.text().and_then(|()| rest.text()).and_then(|()| rest.list(4)),
        b'B' => rest
            .text()
            .and_then(|()| rest.text())
            .and_then(|()| rest.list(2))
            .and_then(|()| rest.values())
            .and_then(|()| rest.list(2)),
        b'D' | b'C' => rest.bytes(1).and_then(|_| rest.text()),
        b'E' => rest.text().and_then(|()| rest.bytes(4).map(drop)),
        // The library takes these as they are.
        _ => return true,
    };
    read.is_some() && rest.0.is_empty()
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<()> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = self.bytes(end + 1)?;
        std::str::from_utf8(text).ok().map(drop)
    }

    fn count(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?)))
    }

    fn list(&mut self, item_bytes: usize) -> Option<()> {
        let count = self.count()?;
        self.bytes(count * item_bytes).map(drop)
    }

    fn values(&mut self) -> Option<()> {
        for _ in 0..self.count()? {
            let length = i32::from_be_bytes(self.bytes(4)?.try_into().ok()?);
            // -1: null.
            self.bytes(usize::try_from(length).unwrap_or_default())?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
