//! What the comment lines at a report's top declare.

use std::time::Duration;

use super::window::Windows;
use super::{DELAY, FILE_BYTES, MOST_DELAY};
use crate::duration;

/// The longest title, in characters. Our own.
const TITLE_CHARS: usize = 120;

/// What is wrong with a report's file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ReportError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there, and what would be right.
    pub problem: String,
}

impl ReportError {
    pub(super) fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }
}

pub(super) struct Declared {
    pub(super) title: String,
    pub(super) windows: Windows,
    pub(super) delay: Duration,
}

/// A value and the line that it stands in.
type Found<'a> = Option<(usize, &'a str)>;

pub(super) fn declared(text: &str) -> Result<Declared, ReportError> {
    if text.len() as u64 > FILE_BYTES {
        return Err(ReportError::new(
            1,
            format!("the file has {} bytes, more than the {FILE_BYTES} allowed", text.len()),
        ));
    }
    let (mut title, mut window, mut delay): (Found<'_>, Found<'_>, Found<'_>) = (None, None, None);
    for (line, key, value) in declarations(text) {
        let place = match key {
            "title" => &mut title,
            "window" => &mut window,
            "delay" => &mut delay,
            _ => {
                let problem = format!(
                    "a report declares no `{key}`; known: title, window, delay. A comment has no colon behind its first word"
                );
                return Err(ReportError::new(line, problem));
            }
        };
        if let Some((first, _)) = place.replace((line, value)) {
            return Err(ReportError::new(line, format!("`{key}` is declared a second time; line {first} has it too")));
        }
    }
    let missing = |key: &str, example: &str| {
        ReportError::new(1, format!("`{key}` is not declared; begin with a line such as `-- {key}: {example}`"))
    };
    let (title_line, title) = title.ok_or_else(|| missing("title", "Events by hour"))?;
    if title.is_empty() || title.chars().count() > TITLE_CHARS {
        return Err(ReportError::new(title_line, format!("`title`: expected 1 to {TITLE_CHARS} characters")));
    }
    let (line, window) = window.ok_or_else(|| missing("window", "1h"))?;
    let windows = duration::parse(window)
        .map_err(|error| error.to_string())
        .and_then(|every| Windows::every(every).map_err(|error| error.to_string()))
        .map_err(|problem| ReportError::new(line, format!("`window`: {problem}")))?;
    let delay = match delay {
        None => DELAY,
        Some((line, text)) => duration::parse(text)
            .map_err(|error| error.to_string())
            .and_then(checked_delay)
            .map_err(|problem| ReportError::new(line, format!("`delay`: {problem}")))?,
    };
    Ok(Declared { title: title.to_owned(), windows, delay })
}

fn checked_delay(delay: Duration) -> Result<Duration, String> {
    if delay > MOST_DELAY {
        return Err(format!("{} is longer than the {} allowed", duration::format(delay), duration::format(MOST_DELAY)));
    }
    Ok(delay)
}

/// The lines `-- word: value` before the statement, as their number, word and value.
fn declarations(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let head = text.lines().map(str::trim).take_while(|line| line.is_empty() || line.starts_with("--"));
    head.enumerate().filter_map(|(before, line)| {
        let (word, value) = line.trim_start_matches('-').trim().split_once(':')?;
        let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_word.then(|| (before + 1, word, value.trim()))
    })
}
