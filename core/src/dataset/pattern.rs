//! The keyword `pattern`.

use regex_automata::meta::Regex;

/// A regular expression, compiled by an engine whose time grows only with the length of the text.
///
/// Back references and look-around, which ECMA-262 has, need more than that and are refused.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

/// The most memory that one compiled pattern may take.
const COMPILED_BYTES: usize = 1024 * 1024;

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// A sentence that says what the engine does not take.
    pub fn new(source: &str) -> Result<Self, String> {
        let config = Regex::config().nfa_size_limit(Some(COMPILED_BYTES));
        let regex = Regex::builder().configure(config).build(source).map_err(|error| match error.syntax_error() {
            Some(syntax) => format!("no pattern that is implemented: {syntax}"),
            None => format!("no pattern that is implemented: {error}"),
        })?;
        Ok(Self { source: source.to_owned(), regex })
    }

    /// Whether a text contains a match.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        self.regex.memory_usage()
    }

    /// The pattern as the schema has it.
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}
