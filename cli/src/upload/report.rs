//! What has become of uploads, for people and for machines.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Common, output};

/// What the API tells of one upload, and which file it was.
#[derive(Debug, Deserialize, Serialize)]
pub struct Loaded {
    /// The file, as it was named.
    #[serde(skip_deserializing)]
    pub file: String,
    id: String,
    state: String,
    #[serde(default)]
    lines: u64,
    #[serde(default)]
    accepted: u64,
    #[serde(default)]
    odd: u64,
    #[serde(default)]
    odd_lines: Vec<OddLine>,
    #[serde(default)]
    error: Option<String>,
    /// Whatever else it tells.
    #[serde(flatten)]
    further: Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
struct OddLine {
    line: u64,
    problem: String,
}

impl Loaded {
    /// The last line that was dealt with.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Whether its file is not there yet.
    pub fn is_waiting(&self) -> bool {
        self.state == "waiting"
    }

    /// Whether nothing comes of it any more.
    pub fn has_ended(&self) -> bool {
        self.state == "done" || self.has_failed()
    }

    /// Whether it ended before its end.
    pub fn has_failed(&self) -> bool {
        self.state == "failed"
    }
}

/// Prints the sum and each upload.
pub fn report(common: &Common, loaded: &[Loaded]) {
    if common.json {
        let sum = |of: fn(&Loaded) -> u64| loaded.iter().map(of).sum::<u64>();
        output::json(&json!({
            "accepted": sum(|upload| upload.accepted),
            "odd": sum(|upload| upload.odd),
            "failed": sum(|upload| upload.has_failed().into()),
            "uploads": loaded,
        }));
        return;
    }
    loaded.iter().for_each(print);
}

fn print(upload: &Loaded) {
    let Loaded { file, id, lines, accepted, odd, .. } = upload;
    let file = output::printable(file);
    if !upload.has_ended() {
        output::line(format!("{file}: {}, as upload {id}", upload.state));
        return;
    }
    let (events, lines) = (output::counted(*accepted, "event", "events"), output::counted(*lines, "line", "lines"));
    output::line(format!("{file}: {events} of {lines}, as upload {id}"));
    for OddLine { line, problem } in &upload.odd_lines {
        output::line(format!("  line {line}: {}", output::printable(problem)));
    }
    let untold = odd.saturating_sub(upload.odd_lines.len() as u64);
    if untold > 0 {
        output::line(format!("  {} that were no event", output::counted(untold, "more line", "more lines")));
    }
    if let Some(error) = &upload.error {
        output::line(format!("  failed: {}", output::printable(error)));
    }
}
