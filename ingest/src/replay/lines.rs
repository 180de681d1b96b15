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
        Self { reader: BufReader::with_capacity(256 * 1024, reader), name: name.into(), line: 0, buffer: Vec::new() }
    }

    /// The next line that is not blank, and its number from 1.
    ///
    /// # Errors
    ///
    /// When the file cannot be read on, or a line is longer than an event may be ([`limits::EVENT_BYTES`]).
    pub fn next_line(&mut self) -> Result<Option<(u64, &[u8])>, IngestError> {
        /// Room for blanks and line ends around the longest event.
        const AROUND: usize = 64;
        loop {
            self.buffer.clear();
            self.line += 1;
            let mut limited = self.reader.by_ref().take((limits::EVENT_BYTES + AROUND) as u64);
            let read = limited.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| IngestError::Unreadable { file: self.name.clone(), source })?;
            let line = self.buffer.trim_ascii();
            if line.len() > limits::EVENT_BYTES
                || (read == limits::EVENT_BYTES + AROUND && !self.buffer.ends_with(b"\n"))
            {
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
            if read == 0 {
                return Ok(None);
            }
            if !line.is_empty() {
                // Trimmed again outside the loop, because the borrow checker does not see that this loop ends here.
                break;
            }
        }
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
