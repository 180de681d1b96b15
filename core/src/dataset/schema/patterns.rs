//! The patterns of one schema: each is compiled once, and together they keep within a memory limit.

use std::collections::BTreeMap;

use super::Result;
use super::cursor::At;
use crate::dataset::Pattern;
use crate::limits;

/// The patterns compiled so far.
#[derive(Default)]
pub(super) struct Patterns<'a> {
    by_source: BTreeMap<&'a str, Pattern>,
    memory_bytes: usize,
}

impl<'a> Patterns<'a> {
    pub(super) fn compile(&mut self, at: &At<'a>) -> Result<Pattern> {
        let source = at.text()?;
        if let Some(pattern) = self.by_source.get(source) {
            return Ok(pattern.clone());
        }
        if source.len() > limits::SCHEMA_PATTERN_BYTES {
            return at.refuse(format!(
                "a pattern of {} bytes; at most {} are taken",
                source.len(),
                limits::SCHEMA_PATTERN_BYTES
            ));
        }
        let pattern = Pattern::new(source).or_else(|problem| at.refuse(problem))?;
        self.memory_bytes += pattern.memory_bytes();
        if self.memory_bytes > limits::SCHEMA_PATTERNS_BYTES {
            return at.refuse(format!(
                "the patterns of this schema take more than {} bytes when compiled; shorten the repetitions in them",
                limits::SCHEMA_PATTERNS_BYTES
            ));
        }
        self.by_source.insert(source, pattern.clone());
        Ok(pattern)
    }
}
