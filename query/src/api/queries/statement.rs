//! The statement in a request's body.
//!
//! It is one statement, and begins with a word that begins one that reads. That is for the sake of a clear answer, not of safety:
//! the engine's role can read the lake and nothing more, so a statement that passes here and would write is refused there.

use alluvium_core::ports::Statement;
use alluvium_core::{Problem, body};
use axum::extract::rejection::BytesRejection;
use bytes::Bytes;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::sql::SQL_BYTES;

/// The longest token. Our own.
const TOKEN_BYTES: usize = 256;

/// The most parameters. Our own.
const PARAMETERS: usize = 1_000;

/// What statements that read begin with.
const READING: [&str; 6] = ["select", "with", "values", "show", "describe", "explain"];

/// A statement to start.
#[derive(Deserialize, ToSchema)]
#[schema(as = StatementRequest)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct Request {
    /// One statement that reads.
    #[schema(example = "select count(*) as n from telemetry where source = ?")]
    sql: String,
    /// A value for each `?` of the statement.
    #[serde(default)]
    #[schema(max_items = 1000, example = json!(["kitchen"]))]
    parameters: Vec<String>,
    /// Starts with the same token are one statement.
    #[schema(min_length = 1, max_length = 256)]
    token: Option<String>,
}

/// Reads and checks a request's statement.
pub(super) fn read(body: Result<Bytes, BytesRejection>) -> Result<Statement, Problem> {
    let body =
        body.map_err(|rejection| Problem::new(rejection.status().as_u16(), "unreadable-body", rejection.body_text()))?;
    let Request { sql, parameters, token } = body::object(&body).map_err(|error| {
        let detail = format!(
            "expected {{\"sql\": \"select …\"}}, and with it \"parameters\": [texts] and \"token\": text if needed: {error}"
        );
        Problem::new(400, "bad-request", detail)
    })?;
    if sql.len() > SQL_BYTES {
        let detail = format!("the statement has {} bytes, more than the {SQL_BYTES} allowed", sql.len());
        return Err(Problem::new(413, "statement-too-long", detail));
    }
    if parameters.len() > PARAMETERS {
        let detail = format!("`parameters`: there are {}, more than the {PARAMETERS} allowed", parameters.len());
        return Err(Problem::new(400, "bad-request", detail));
    }
    if token.as_ref().is_some_and(|token| token.is_empty() || token.len() > TOKEN_BYTES) {
        return Err(Problem::new(400, "bad-request", format!("`token`: expected 1 to {TOKEN_BYTES} bytes")));
    }
    check(&sql)?;
    Ok(Statement { sql, parameters, token, ..Statement::default() })
}

fn check(sql: &str) -> Result<(), Problem> {
    let mut words = Words { rest: sql };
    let first = words.next();
    let Some(first) = first else {
        let detail = format!("there is no statement in `sql`; expected one that begins with {}", READING.join(", "));
        return Err(Problem::new(400, "statement-not-allowed", detail));
    };
    if !READING.iter().any(|reading| first.eq_ignore_ascii_case(reading)) {
        let detail = format!(
            "only statements that read are answered: one that begins with {}, not with `{}`",
            READING.join(", "),
            first.chars().take(40).collect::<String>()
        );
        return Err(Problem::new(400, "statement-not-allowed", detail));
    }
    let mut ended = false;
    for word in words {
        if ended && word != ";" {
            return Err(Problem::new(
                400,
                "statement-not-allowed",
                "there is more than one statement; send each by itself",
            ));
        }
        ended |= word == ";";
    }
    Ok(())
}

/// A statement's words, and each `;` between them. Comments, opening parentheses and what is between quotes are no words; other
/// signs belong to the word that they stand beside.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
            let first = self.rest.chars().next()?;
            if let Some(comment) = self.rest.strip_prefix("--") {
                self.rest = comment.find('\n').map_or("", |end| &comment[end..]);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.find("*/").map_or("", |end| &comment[end + 2..]);
            } else {
                let length = match first {
                    ';' => 1,
                    '\'' | '"' | '`' => self.rest[1..].find(first).map_or(self.rest.len(), |end| end + 2),
                    _ => word_length(self.rest),
                };
                let (word, rest) = self.rest.split_at(length);
                self.rest = rest;
                return Some(word);
            }
        }
    }
}

/// Up to where a word goes that begins here: to white space, a quote, a parenthesis, a `;` or a comment.
fn word_length(text: &str) -> usize {
    let ends = |(at, c): (usize, char)| {
        let comment = text[at..].starts_with("--") || text[at..].starts_with("/*");
        (at > 0 && (c.is_whitespace() || "'\"`(;".contains(c) || comment)).then_some(at)
    };
    text.char_indices().find_map(ends).unwrap_or(text.len())
}

#[cfg(test)]
mod tests;
