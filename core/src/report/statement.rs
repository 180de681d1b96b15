//! A report's statement, with places for the window's start and end.

use jiff::Timestamp;

use super::file::ReportError;
use super::window::Window;
use crate::clock::Micros;

/// What a statement of a report may begin with.
const READING: [&str; 3] = ["select", "with", "values"];

/// A statement with places for times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    From,
    To,
}

impl Template {
    /// Reads a statement. What stands in quotes or in a comment is left as it is.
    pub(super) fn parse(text: &str) -> Result<Self, ReportError> {
        let mut reading = Reading { text, at: 0, parts: Vec::new(), from: 0, began: false, ended: None };
        while reading.at < text.len() {
            reading.step()?;
        }
        reading.finish()
    }

    /// The statement of a window.
    pub(super) fn of(&self, window: Window) -> String {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::From => time(window.start),
                Part::To => time(window.end),
            })
            .collect()
    }
}

/// A time as every engine takes it. Not `timestamp '…'`: DataFusion reads that as nanoseconds, which end in 2262.
fn time(time: Micros) -> String {
    let time = Timestamp::from_microsecond(time).unwrap_or(Timestamp::MAX);
    format!("cast('{}' as timestamp(6) with time zone)", time.strftime("%Y-%m-%d %H:%M:%S.%6f UTC"))
}

struct Reading<'a> {
    text: &'a str,
    /// Up to where it was read.
    at: usize,
    parts: Vec<Part>,
    /// Where the text begins that no part has yet.
    from: usize,
    /// Whether the statement's first word was read.
    began: bool,
    /// Where the `;` stands that ends it.
    ended: Option<usize>,
}

impl Reading<'_> {
    /// Reads over one sign, quoted text, comment or word.
    fn step(&mut self) -> Result<(), ReportError> {
        let rest = &self.text[self.at..];
        let first = rest.chars().next().expect("there is more");
        if first.is_whitespace() {
            self.at += first.len_utf8();
            return Ok(());
        }
        if rest.starts_with("--") {
            self.at += rest.find('\n').unwrap_or(rest.len());
            return Ok(());
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").ok_or_else(|| self.wrong("a comment begins with `/*` and ends nowhere"))?;
            self.at += end + 4;
            return Ok(());
        }
        if self.ended.is_some() {
            return Err(self.wrong("there is more behind the `;`; a report is one statement"));
        }
        match first {
            '\'' | '"' | '`' => {
                let end = rest[1..].find(first).ok_or_else(|| self.wrong("what is quoted here ends nowhere"))?;
                self.begin(rest)?;
                self.at += end + 2;
            }
            ';' => {
                self.ended = Some(self.at);
                self.at += 1;
            }
            '?' => return Err(self.wrong("there is no value for `?`; a window's times are `$from` and `$to`")),
            '$' => self.place(rest)?,
            '(' => self.at += 1,
            _ => {
                self.begin(rest)?;
                self.at += word(rest).len().max(first.len_utf8());
            }
        }
        Ok(())
    }

    /// Sees that the first word is one that a statement that reads begins with.
    fn begin(&mut self, rest: &str) -> Result<(), ReportError> {
        let first = word(rest);
        if !self.began && !READING.iter().any(|reading| first.eq_ignore_ascii_case(reading)) {
            let first: String = rest.split_whitespace().next().unwrap_or_default().chars().take(40).collect();
            return Err(
                self.wrong(format!("a report reads: it begins with {}, not with `{first}`", READING.join(", ")))
            );
        }
        self.began = true;
        Ok(())
    }

    fn place(&mut self, rest: &str) -> Result<(), ReportError> {
        let name = word(&rest[1..]);
        let part = match name {
            "from" => Part::From,
            "to" => Part::To,
            _ => return Err(self.wrong(format!("there is no `${name}`; a window's times are `$from` and `$to`"))),
        };
        self.begin(rest)?;
        self.parts.extend([Part::Text(self.text[self.from..self.at].to_owned()), part]);
        self.at += 1 + name.len();
        self.from = self.at;
        Ok(())
    }

    fn finish(mut self) -> Result<Template, ReportError> {
        let last = self.text.trim_end().lines().count().max(1);
        if !self.began {
            return Err(ReportError::new(last, "there is no statement"));
        }
        for (part, name) in [(Part::From, "$from"), (Part::To, "$to")] {
            if !self.parts.contains(&part) {
                let problem = format!(
                    "the statement never names `{name}`, so it would not be of a window; \
                     narrow it down, such as `where event_time >= $from and event_time < $to`"
                );
                return Err(ReportError::new(last, problem));
            }
        }
        let end = self.ended.unwrap_or(self.text.len());
        self.parts.push(Part::Text(self.text[self.from..end].to_owned()));
        Ok(Template(self.parts))
    }

    fn wrong(&self, problem: impl Into<String>) -> ReportError {
        let line = self.text[..self.at].matches('\n').count() + 1;
        ReportError::new(line, problem)
    }
}

/// The letters, digits and underscores that a text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}
