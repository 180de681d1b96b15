//! The lines of a file or of standard input, as they are.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use alluvium_core::limits;

use crate::{EventSource, IngestError, Written};

/// Lines as events: blanks around each cut off, blank ones skipped, nothing else looked at. An event source without times.
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<R>,
    name: PathBuf,
    line: u64,
    buffer: Vec<u8>,
    /// Whether the reader stands within a line that was too long.
    within_long: bool,
}

/// What one line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// It holds this, without the blanks around it.
    Event(&'a [u8]),
    /// It is blank, or a further part of one that was too long.
    Blank,
    /// It is longer than an event may be ([`limits::EVENT_BYTES`]); the next call goes on behind it.
    TooLong,
    /// There is none.
    End,
}

impl Lines<std::fs::File> {
    /// The lines of a file.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(file: &Path) -> Result<Self, IngestError> {
        let opened = super::open_file(file)?;
        Ok(Self::of(opened, file))
    }
}

impl<R: Read> Lines<R> {
    /// The lines of anything that can be read; `name` is what error messages call it.
    pub fn of(reader: R, name: impl Into<PathBuf>) -> Self {
        let reader = BufReader::with_capacity(256 * 1024, reader);
        Self { reader, name: name.into(), line: 0, buffer: Vec::new(), within_long: false }
    }

    /// Reads on to the end of one line, or as much of it as an event may have.
    pub(crate) fn read(&mut self) -> std::io::Result<Line<'_>> {
        /// Room for blanks and line ends around the longest event.
        const AROUND: usize = 64;
        self.buffer.clear();
        let mut limited = self.reader.by_ref().take((limits::EVENT_BYTES + AROUND) as u64);
        let read = limited.read_until(b'\n', &mut self.buffer)?;
        let cut = read == limits::EVENT_BYTES + AROUND && !self.buffer.ends_with(b"\n");
        if std::mem::replace(&mut self.within_long, cut) {
            return Ok(if read == 0 { Line::End } else { Line::Blank });
        }
        self.line += 1;
        let line = self.buffer.trim_ascii();
        Ok(match line {
            _ if cut || line.len() > limits::EVENT_BYTES => Line::TooLong,
            [] if read == 0 => Line::End,
            [] => Line::Blank,
            line => Line::Event(line),
        })
    }

    /// The number of the line that was read last, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// The next line that is not blank, and its number from 1.
    ///
    /// # Errors
    ///
    /// When the file cannot be read on, or a line is longer than an event may be ([`limits::EVENT_BYTES`]).
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>, IngestError> {
        loop {
            match self.read() {
                Ok(Line::Event(_)) => break,
                Ok(Line::Blank) => {}
                Ok(Line::End) => return Ok(None),
                Ok(Line::TooLong) => {
                    return Err(IngestError::Input {
                        file: self.name.clone(),
                        line: self.line,
                        column: limits::EVENT_BYTES as u64 + 1,
                        problem: format!(
                            "the line is longer than {} bytes, the most that an event may have",
                            limits::EVENT_BYTES
                        ),
                    });
                }
                Err(source) => return Err(IngestError::Unreadable { file: self.name.clone(), source }),
            }
        }
        // Trimmed again outside the loop, because the borrow checker does not see that this loop ends here.
        Ok(Some((self.line, self.buffer.trim_ascii())))
    }

    pub(super) fn name(&self) -> &Path {
        &self.name
    }
}

impl<R: Read + Send> EventSource for Lines<R> {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        let Some((_, line)) = self.next_line()? else { return Ok(None) };
        out.extend_from_slice(line);
        Ok(Some(Written::default()))
    }
}
