//! The words of a statement's text, as far as they say what it asks for, where it ends, and where its parameters stand.

/// A piece of a text. White space and comments are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Where it begins, in bytes.
    pub(super) at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits and what else stands in a name or a number.
    Plain,
    /// A name between `"` or a backtick.
    Name,
    /// A text between `'`, or between `$$`.
    Text,
    /// `$1`: the number of a parameter.
    Parameter(usize),
    /// Any other character.
    Sign,
}

impl Word<'_> {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self.kind, Kind::Plain | Kind::Sign) && self.text.eq_ignore_ascii_case(keyword)
    }

    /// What it says: a text or name without its quotes, a plain name in small letters.
    pub(super) fn value(&self) -> String {
        let inside = |quote: char| {
            let inside = self.text.trim_start_matches(['e', 'E']);
            let inside = inside.strip_prefix(quote).unwrap_or(inside);
            let inside = inside.strip_suffix(quote).unwrap_or(inside);
            inside.replace(&format!("{quote}{quote}"), &quote.to_string())
        };
        match self.kind {
            Kind::Text => inside('\''),
            Kind::Name => inside('"'),
            _ => self.text.to_ascii_lowercase(),
        }
    }
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = match first {
            _ if first.is_whitespace() => (None, first.len_utf8()),
            _ if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            _ if rest.starts_with("/*") => (None, comment(rest)),
            '\'' => (Some(Kind::Text), quoted(rest, '\'', false)),
            'e' | 'E' if rest[1..].starts_with('\'') => (Some(Kind::Text), 1 + quoted(&rest[1..], '\'', true)),
            '"' | '`' => (Some(Kind::Name), quoted(rest, first, false)),
            '$' => dollar(rest),
            _ if in_name(first) => (Some(Kind::Plain), name(rest)),
            _ => (Some(Kind::Sign), first.len_utf8()),
        };
        if let Some(kind) = kind {
            words.push(Word { kind, text: &rest[..length], at });
        }
        at += length;
    }
    words
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Up to where a name goes; `$` may stand in it, but not at its beginning.
fn name(text: &str) -> usize {
    text.find(|c: char| !in_name(c) && c != '$').unwrap_or(text.len())
}

/// Up to where a comment goes: they nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(next) = text[at..].find(['/', '*']) {
        at += next;
        let rest = &text[at..];
        match rest {
            _ if rest.starts_with("/*") => (depth, at) = (depth + 1, at + 2),
            _ if rest.starts_with("*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Up to where a quoted text goes. Two quotes are one of the text, which then reads as two texts side by side here.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if escapes && c == '\\' {
            characters.next();
        } else if c == quote {
            match characters.peek() {
                Some((_, next)) if *next == quote => characters.next(),
                _ => return at + 1,
            };
        }
    }
    text.len()
}

/// A parameter, or a text between two `$tag$`.
fn dollar(text: &str) -> (Option<Kind>, usize) {
    let digits = text[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len() - 1);
    if let Ok(number) = text[1..=digits].parse() {
        return (Some(Kind::Parameter(number)), 1 + digits);
    }
    let tag = text[1..].find(|c: char| !in_name(c)).map(|end| &text[..end + 2]).filter(|tag| tag.ends_with('$'));
    match tag {
        Some(tag) => {
            let end = text[tag.len()..].find(tag).map_or(text.len(), |end| end + 2 * tag.len());
            (Some(Kind::Text), end)
        }
        None => (Some(Kind::Sign), 1),
    }
}

/// The statements of a text, cut where a `;` stands between them, without those that hold no word.
pub(super) fn statements(text: &str) -> Vec<&str> {
    let ends: Vec<usize> = words(text).iter().filter(|word| word.is(";")).map(|word| word.at).collect();
    let mut begin = 0;
    let mut statements = Vec::new();
    for end in ends.into_iter().chain([text.len()]) {
        statements.push(&text[begin..end]);
        begin = (end + 1).min(text.len());
    }
    statements.retain(|statement| !words(statement).is_empty());
    statements
}

#[cfg(test)]
mod tests;
