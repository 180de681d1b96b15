//! Where the time of a conversion goes, told from outside: by when it reads and when it writes.

use std::io::{Read, Result, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What was seen of a conversion's input and output.
#[derive(Debug, Clone, Default)]
pub struct Phases(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    reading: Duration,
    writing: Duration,
    input_ended: Option<Instant>,
    output_began: Option<Instant>,
}

impl Phases {
    /// Seconds in the system's calls to read and to write; and, where all input is read before anything is written, until the
    /// input's end (reading, scanning, judging), from there to the first bytes of output (sorting, and encoding what fills the
    /// first buffer), and from there on (encoding).
    pub fn report(&self, started: Instant, ended: Instant) -> Value {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = json!({"reading": seen.reading.as_secs_f64(), "writing": seen.writing.as_secs_f64()});
        if let (Some(input_ended), Some(output_began)) = (seen.input_ended, seen.output_began)
            && input_ended <= output_began
        {
            report["to_end_of_input"] = (input_ended - started).as_secs_f64().into();
            report["to_first_output"] = (output_began - input_ended).as_secs_f64().into();
            report["to_end"] = (ended - output_began).as_secs_f64().into();
        }
        report
    }

    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// An input that notes how long it is read, and when it ends.
#[derive(Debug)]
pub struct Source<R> {
    input: R,
    phases: Phases,
}

impl<R: Read> Source<R> {
    /// Watches `input`.
    pub fn new(input: R, phases: &Phases) -> Self {
        Self { input, phases: phases.clone() }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let before = Instant::now();
        let bytes = self.input.read(buffer)?;
        let after = Instant::now();
        self.phases.note(|seen| {
            seen.reading += after - before;
            if bytes == 0 {
                seen.input_ended.get_or_insert(after);
            }
        });
        Ok(bytes)
    }
}

/// An output that notes how long it is written, and when that begins.
#[derive(Debug)]
pub struct Sink<W> {
    output: W,
    phases: Phases,
}

impl<W: Write> Sink<W> {
    /// Watches `output`.
    pub fn new(output: W, phases: &Phases) -> Self {
        Self { output, phases: phases.clone() }
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let before = Instant::now();
        let written = self.output.write(bytes)?;
        let after = Instant::now();
        self.phases.note(|seen| {
            seen.writing += after - before;
            seen.output_began.get_or_insert(before);
        });
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.output.flush()
    }
}
