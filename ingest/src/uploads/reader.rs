//! Reading content: from a file to events with their lines, as much at a time as is put into the stream at once.

use std::io::{self, BufRead as _, BufReader, Read};

use alluvium_core::Dataset;
use alluvium_core::envelope::EnvelopeHeader;
use alluvium_core::upload::{ODD_LINES, OddLine, Upload, UploadFormat};

use super::settings::UploadSettings;
use crate::gateway::body::Encoding;
use crate::gateway::frame::{Framed, Framing};
use crate::replay::table::{Broken, Row, Table};
use crate::replay::{Line, Lines};

/// About how many bytes of events are read at a time.
const CHUNK_BYTES: usize = 2 * 1024 * 1024;

/// How many lines are read at a time, so that a file of nothing but line ends does not hold its reader up.
const CHUNK_LINES: u64 = 100_000;

/// How many records are made at a time: a line that is left out ends one.
const CHUNK_RECORDS: usize = 500;

/// It is no part of the text that it stands before (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The most lines of a file: their numbers have 32 bits in an envelope.
const MOST_LINES: u64 = u32::MAX as u64;

/// The content of one upload, being read.
#[derive(Debug)]
pub(super) struct Reader {
    source: Source,
    header: EnvelopeHeader,
    event_bytes: usize,
    record_bytes: usize,
    /// The most lines: [`MOST_LINES`].
    most_lines: u64,
    /// What was dealt with before, and is not to be put again.
    behind: u64,
    buffer: Vec<u8>,
}

enum Source {
    Lines(Lines<Box<dyn Read + Send>>, Begun),
    Table(Box<Table>),
}

/// Whether a line was read that is not blank: only the first tells what kind of text it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Lines(..)) { "Lines" } else { "Table" })
    }
}

/// What was read at once.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The events.
    pub(super) framed: Framed,
    /// The last line, or in CSV the last row, that is dealt with once they are in the stream.
    pub(super) position: u64,
    /// The last line.
    pub(super) line: u64,
    /// How many lines became no event.
    pub(super) odd: u64,
    /// The first of them.
    pub(super) odd_lines: Vec<OddLine>,
    /// That there is no more, and if it ended before its end, why.
    pub(super) end: Option<Result<(), String>>,
}

impl Chunk {
    fn odd(&mut self, line: u64, problem: String) {
        self.odd += 1;
        if self.odd_lines.len() < ODD_LINES {
            self.odd_lines.push(OddLine { line, problem });
        }
    }
}

impl Reader {
    /// Opens the content of an upload and reads its beginning. The error is a sentence for its sender.
    pub(super) fn open(
        content: Box<dyn Read + Send>,
        upload: &Upload,
        dataset: &Dataset,
        settings: &UploadSettings,
    ) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("the file cannot be read: {error}");
        let mut file = BufReader::with_capacity(256 * 1024, content);
        let beginning = file.fill_buf().map_err(unreadable)?;
        if let Some(kind) = other_kind(beginning) {
            return Err(format!(
                "the file is {kind}; expected NDJSON or CSV in UTF-8, plain or compressed with gzip or zstd"
            ));
        }
        let encoding = Encoding::of_magic(beginning);
        let plain: Box<dyn Read + Send> = match encoding {
            Some(encoding) => encoding.decoder(file).map_err(unreadable)?,
            None => Box::new(file),
        };
        let input =
            Box::new(Capped { input: plain, left: settings.expanded_bytes, limit: settings.expanded_bytes, encoding });
        let source = match upload.format {
            UploadFormat::Ndjson => Source::Lines(Lines::of(input as Box<dyn Read + Send>, ""), Begun::No),
            UploadFormat::Csv => {
                let table = Table::open(input, dataset, upload.source());
                Source::Table(Box::new(table.map_err(sentence)?))
            }
        };
        let header = EnvelopeHeader {
            owner: upload.owner.clone(),
            dataset: upload.dataset.clone(),
            idempotency_key: upload.content.as_ref().map(|hash| format!("file:{hash}")),
            first_index: 0,
        };
        let UploadSettings { event_bytes, record_bytes, .. } = *settings;
        let (most_lines, behind) = (MOST_LINES, upload.position);
        Ok(Self { source, header, event_bytes, record_bytes, most_lines, behind, buffer: Vec::new() })
    }

    /// Reads on.
    pub(super) fn next_chunk(&mut self) -> Chunk {
        let mut chunk = Chunk::default();
        let mut framing = Framing::new(self.header.clone(), self.record_bytes);
        let (mut bytes, mut lines) = (0, 0);
        while bytes < CHUNK_BYTES && lines < CHUNK_LINES && framing.records() < CHUNK_RECORDS && chunk.end.is_none() {
            lines += 1;
            self.buffer.clear();
            let event = match &mut self.source {
                Source::Lines(source, begun) => next_line(source, begun, &mut self.buffer, &mut chunk, self.behind),
                Source::Table(source) => next_row(source, &mut self.buffer, &mut chunk, self.behind),
            };
            // A row comes no later than its line.
            let (Ok(index), true) = (u32::try_from(chunk.position), chunk.line <= self.most_lines) else {
                chunk.end = Some(Err(format!(
                    "the file has more than {} lines, the most that an upload may have; split it",
                    self.most_lines
                )));
                break;
            };
            if !event {
                continue;
            }
            let size = self.buffer.len();
            if size > self.event_bytes {
                chunk.odd(
                    chunk.line,
                    format!(
                        "it makes an event of {size} bytes, and is left out; the most that one may have is {}",
                        self.event_bytes
                    ),
                );
                continue;
            }
            if matches!(self.source, Source::Lines(..)) && !looks_like_an_object(&self.buffer) {
                chunk.odd(
                    chunk.line,
                    "it is no JSON object, which an event is; look for it among the dead letters".to_owned(),
                );
            }
            framing.push(index, &self.buffer, CHUNK_BYTES - bytes);
            bytes += size;
        }
        chunk.framed = framing.finish();
        chunk
    }
}

/// What a file is that begins so, where that is neither text in UTF-8 nor a compression that is read.
fn other_kind(beginning: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 5] = [
        (b"\xFD7zXZ\0", "compressed with xz"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"PAR1\x15", "Parquet"),
        (b"\xFF\xFE", "text in UTF-16"),
        (b"\xFE\xFF", "text in UTF-16"),
    ];
    // A digit says how large a block is, and its magic follows.
    if beginning.starts_with(b"BZh") && beginning.get(4..10) == Some(b"1AY&SY") {
        return Some("compressed with bzip2");
    }
    KINDS.into_iter().find(|(magic, _)| beginning.starts_with(magic)).map(|(_, kind)| kind)
}

/// Whether a line looks like a JSON object; what is within it the transform finds out.
fn looks_like_an_object(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b"{") && line.ends_with(b"}")
}

/// Appends the next line to `out` if it is an event that is to be put.
fn next_line(
    source: &mut Lines<Box<dyn Read + Send>>,
    begun: &mut Begun,
    out: &mut Vec<u8>,
    chunk: &mut Chunk,
    behind: u64,
) -> bool {
    let number = source.line() + 1;
    let too_long = match source.read() {
        Ok(Line::Event(event)) => {
            out.extend_from_slice(event);
            false
        }
        Ok(Line::Blank) => false,
        Ok(Line::TooLong) => true,
        Ok(Line::End) => {
            chunk.end = Some(Ok(()));
            return false;
        }
        Err(error) => {
            chunk.end = Some(Err(format!("line {number}: {error}")));
            return false;
        }
    };
    (chunk.position, chunk.line) = (source.line(), source.line());
    if *begun == Begun::No && out.starts_with(BYTE_ORDER_MARK) {
        out.drain(..BYTE_ORDER_MARK.len());
    }
    let is_first = *begun == Begun::No && (too_long || !out.is_empty());
    if is_first {
        *begun = Begun::Yes;
    }
    if source.line() <= behind {
        return false;
    }
    if too_long {
        let most = alluvium_core::limits::EVENT_BYTES;
        let problem = format!("it is longer than {most} bytes, the most that an event may have, and is left out");
        chunk.odd(chunk.line, problem);
        return false;
    }
    if is_first && out.starts_with(b"[") {
        let problem = "it begins with `[`; expected one event a line (NDJSON), and no JSON array. \
                       `jq -c '.[]' FILE` makes one of the other";
        chunk.end = Some(Err(format!("line {}: {problem}", chunk.line)));
        return false;
    }
    if out.is_empty() {
        return false;
    }
    true
}

/// Appends the next row to `out` if it is to be put.
fn next_row(source: &mut Table, out: &mut Vec<u8>, chunk: &mut Chunk, behind: u64) -> bool {
    let row = match source.next_into(out) {
        Ok(Some(row)) => row,
        Ok(None) => {
            chunk.end = Some(Ok(()));
            return false;
        }
        Err(broken) => {
            chunk.end = Some(Err(sentence(broken)));
            return false;
        }
    };
    (chunk.position, chunk.line) = (source.row(), source.line());
    if chunk.position <= behind {
        return false;
    }
    if let Row::Odd(problem) = row {
        chunk.odd(chunk.line, format!("{problem}. It is a dead letter"));
    }
    true
}

fn sentence(broken: Broken) -> String {
    match broken.line {
        Some(line) => format!("line {line}: {}", broken.problem),
        None => broken.problem,
    }
}

/// An input that ends with an error where it expands too far.
struct Capped {
    input: Box<dyn Read + Send>,
    left: u64,
    limit: u64,
    encoding: Option<Encoding>,
}

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer).map_err(|error| match self.encoding {
            Some(encoding) => {
                let name = encoding.name();
                io::Error::new(
                    error.kind(),
                    format!(
                        "the file cannot be decompressed as {name} from here on: {error}; expected whole {name} data"
                    ),
                )
            }
            None => error,
        })?;
        match self.left.checked_sub(read as u64) {
            Some(left) => self.left = left,
            None => {
                let problem = format!(
                    "the file expands to more than {} bytes, the most that an upload may have after decompression; split it",
                    self.limit
                );
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
