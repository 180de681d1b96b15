#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// Gives out its bytes in pieces of these sizes.
struct Pieces<'a>(&'a [u8], Vec<usize>);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let piece = self.1.pop().unwrap_or(usize::MAX).max(1).min(buffer.len()).min(self.0.len());
        buffer[..piece].copy_from_slice(&self.0[..piece]);
        self.0 = &self.0[piece..];
        Ok(piece)
    }
}

/// Each line as text, its bytes with its end, and whether it is too long.
fn cut(text: &[u8], limit: usize, pieces: Vec<usize>) -> Vec<(String, u64, bool)> {
    let mut lines = Lines::new(Pieces(text, pieces), limit);
    let mut found = Vec::new();
    while let Some(line) = lines.next().unwrap() {
        assert_eq!(line.number, found.len() as u64 + 1);
        found.push((String::from_utf8(line.text.to_vec()).unwrap(), line.bytes, line.is_too_long));
    }
    found
}

#[test]
fn lines_longer_than_what_is_read_at_a_time_are_whole() {
    let long = "x".repeat(3 * READ_BYTES + 5);
    let text = format!("a\n{long}\nb");
    let lines = cut(text.as_bytes(), 10 * READ_BYTES, Vec::new());
    assert_eq!(lines[1], (long.clone(), long.len() as u64 + 1, false));
    assert_eq!(lines[2], ("b".to_owned(), 1, false));
    let lines = cut(text.as_bytes(), 100, Vec::new());
    assert_eq!(lines[1], (String::new(), long.len() as u64 + 1, true));
    assert_eq!(lines[2], ("b".to_owned(), 1, false));
}

#[test]
fn memory_holds_no_more_of_a_long_line_than_shows_its_length() {
    let mut lines = Lines::new(std::io::repeat(b'x').take(64 * 1024 * 1024), 1000);
    assert!(lines.next().unwrap().unwrap().is_too_long);
    assert_eq!(lines.buffer.len(), READ_BYTES);
    assert!(lines.next().unwrap().is_none());
}

proptest! {
    #[test]
    fn lines_are_those_that_split_finds(text in "[ab\\n]{0,60}", pieces in prop::collection::vec(1_usize..9, 0..30)) {
        let mut expected: Vec<&str> = text.split('\n').collect();
        if expected.last() == Some(&"") {
            expected.pop();
        }
        let found = cut(text.as_bytes(), 1000, pieces);
        let texts: Vec<&str> = found.iter().map(|(line, ..)| line.as_str()).collect();
        prop_assert_eq!(texts, expected);
        prop_assert_eq!(found.iter().map(|(_, bytes, _)| bytes).sum::<u64>(), text.len() as u64);
    }
}
