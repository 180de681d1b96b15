//! The tracing header of X-Ray: `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
//!
//! Source: AWS X-Ray Developer Guide, "Tracing header".

use std::fmt;

use alluvium_core::TraceParent;

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeader {
    /// The trace, such as `1-5759e988-bd862e3fe1be46a994272793`: a version, the time of its first request in seconds and 96 bits, both
    /// hexadecimal.
    pub root: String,
    /// The segment to which what comes next belongs: 16 hexadecimal digits.
    pub parent: Option<String>,
    /// Whether X-Ray keeps this trace.
    pub sampled: bool,
}

impl TraceHeader {
    /// Reads the header; `None`: it names no trace. Other members than the three are passed over, as the guide asks.
    pub fn read(text: &str) -> Option<Self> {
        let (mut root, mut parent, mut sampled) = (None, None, false);
        for member in text.split(';') {
            match member.trim().split_once('=') {
                Some(("Root", trace)) => root = Some(trace).filter(|trace| digits_of(trace).is_some()),
                Some(("Parent", segment)) => parent = Some(segment).filter(|segment| is_hexadecimal(segment, 16)),
                Some(("Sampled", decision)) => sampled = decision == "1",
                _ => {}
            }
        }
        Some(Self { root: root?.to_owned(), parent: parent.map(str::to_owned), sampled })
    }

    /// The same for what travels through the stream; `None`: it is not sampled, or has no segment that something could belong to.
    pub fn parent(&self) -> Option<TraceParent> {
        let (time, random) = digits_of(&self.root).filter(|_| self.sampled)?;
        let trace = u128::from_str_radix(&format!("{time}{random}"), 16).ok()?;
        let span = u64::from_str_radix(self.parent.as_deref()?, 16).ok()?;
        TraceParent::new(trace, span).ok()
    }
}

/// X-Ray's name of a trace.
pub(super) fn root_of(parent: &TraceParent) -> String {
    let digits = format!("{:032x}", parent.trace());
    format!("1-{}-{}", &digits[..8], &digits[8..])
}

fn digits_of(root: &str) -> Option<(&str, &str)> {
    let (time, random) = root.strip_prefix("1-")?.split_once('-')?;
    (is_hexadecimal(time, 8) && is_hexadecimal(random, 24)).then_some((time, random))
}

fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Display for TraceHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root={}", self.root)?;
        if let Some(parent) = &self.parent {
            write!(f, ";Parent={parent}")?;
        }
        write!(f, ";Sampled={}", u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The guide's example.
    const TEXT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";

    #[test]
    fn a_header_is_read_and_written() {
        let header = TraceHeader::read(TEXT).unwrap();
        assert_eq!(header.to_string(), TEXT);
        let parent = header.parent().unwrap();
        assert_eq!(parent.to_string(), "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
        assert_eq!(root_of(&parent), header.root);
        let more = TraceHeader::read("Self=1-1-1; Root=1-5759e988-bd862e3fe1be46a994272793 ;Lineage=a:1|b:0;Sampled=0")
            .unwrap();
        assert_eq!(more, TraceHeader { root: header.root, parent: None, sampled: false });
    }

    #[test]
    fn what_names_no_trace_is_none_and_what_is_not_sampled_is_not_carried_on() {
        for text in [
            "",
            "Sampled=1",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a99427279x",
            "Root=1",
        ] {
            assert_eq!(TraceHeader::read(text), None, "{text}");
        }
        for text in [
            TEXT.replace("Sampled=1", "Sampled=0"),
            TEXT.replace("Sampled=1", "Sampled=?"),
            TEXT.replace(";Parent=53995c3f42cd8ad8", ""),
            TEXT.replace("53995c3f42cd8ad8", "0000000000000000"),
        ] {
            assert_eq!(TraceHeader::read(&text).unwrap().parent(), None, "{text}");
        }
    }
}
