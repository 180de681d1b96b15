//! X-Ray's daemon, which runs beside a function and takes documents by UDP.
//!
//! Source: AWS X-Ray Developer Guide, "Sending segment documents to the X-Ray daemon".

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::document::Document;

/// What stands before each document.
const HEADER: &[u8] = b"{\"format\": \"json\", \"version\": 1}\n";

/// The most bytes of a document with what stands before it. X-Ray takes 64 KB, and a datagram has no more.
const DATAGRAM_BYTES: usize = 63 * 1024;

/// Where documents go.
#[derive(Debug)]
pub struct Daemon {
    socket: UdpSocket,
    address: SocketAddr,
}

impl Daemon {
    /// The daemon at an address as `AWS_XRAY_DAEMON_ADDRESS` has it: `169.254.79.129:2000`, or `tcp:127.0.0.1:2000 udp:127.0.0.1:2000`.
    /// `None`: it is none, or this machine has no socket to spare; then nothing is traced.
    pub fn at(text: &str) -> Option<Self> {
        let of_udp = text.split_whitespace().find_map(|part| part.strip_prefix("udp:"));
        let address: SocketAddr = of_udp.unwrap_or(text).trim().parse().ok()?;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        // An invocation never waits for it.
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, address })
    }

    /// Sends a document, unless it is too large or the daemon does not take it.
    pub(super) fn send(&self, document: &Document) {
        let mut datagram = HEADER.to_vec();
        if serde_json::to_writer(&mut datagram, document).is_ok() && datagram.len() <= DATAGRAM_BYTES {
            let _ = self.socket.send_to(&datagram, self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_in_both_its_forms() {
        for (text, address) in [
            ("169.254.79.129:2000", Some("169.254.79.129:2000")),
            ("tcp:127.0.0.1:2000 udp:127.0.0.2:2001", Some("127.0.0.2:2001")),
            ("udp:127.0.0.2:2001 tcp:127.0.0.1:2000", Some("127.0.0.2:2001")),
            ("", None),
            ("localhost", None),
            ("tcp:127.0.0.1:2000", None),
        ] {
            let found = Daemon::at(text).map(|daemon| daemon.address.to_string());
            assert_eq!(found.as_deref(), address, "{text}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_sent_and_what_nobody_takes_does_no_harm() {
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        let daemon = Daemon::at(&listener.local_addr().unwrap().to_string()).unwrap();
        daemon.send(&Document { name: "x".repeat(DATAGRAM_BYTES), ..Document::default() });
        daemon.send(&Document { name: "small".to_owned(), ..Document::default() });
        let mut datagram = vec![0; 64 * 1024];
        let bytes = listener.recv(&mut datagram).unwrap();
        let (header, document) = datagram[..bytes].split_at(HEADER.len());
        assert_eq!(header, HEADER);
        assert_eq!(serde_json::from_slice::<serde_json::Value>(document).unwrap()["name"], "small");
        drop(listener);
        daemon.send(&Document::default());
    }
}
