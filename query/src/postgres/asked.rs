//! What a statement asks for: rows of the lake, or one of the things that clients say by themselves.
//!
//! Every client opens transactions, sets how values are shown, and asks who it is and what version this is. These are answered here;
//! everything else goes to the engine, which reads and nothing more.

use super::text::{Kind, Word, words};

/// The most facts of one statement: what a client asks by itself has a few. A statement with more is the engine's to refuse.
const MOST_FACTS: usize = 100;

/// The version that clients go by in what they ask and how. The catalog of Postgres is not here, whatever the version.
pub(super) const SERVER_VERSION: &str = concat!("16.0 (Alluvium ", env!("CARGO_PKG_VERSION"), ")");

/// What statements begin with that change something.
const CHANGES: [&str; 22] = [
    "alter",
    "analyze",
    "call",
    "checkpoint",
    "cluster",
    "comment",
    "create",
    "delete",
    "do",
    "drop",
    "grant",
    "import",
    "insert",
    "lock",
    "merge",
    "reassign",
    "refresh",
    "reindex",
    "revoke",
    "truncate",
    "update",
    "vacuum",
];

/// What one statement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Rows, from the engine.
    Rows,
    Begin,
    Commit,
    Rollback,
    /// A savepoint is set, released or returned to: nothing is written that one could lose.
    Savepoint(&'static str),
    /// A setting of the connection gets a value.
    Set(String, String),
    /// All settings, or one of them, get back the value from the beginning.
    Reset,
    /// The value of a setting.
    Show(String),
    /// What is known without the lake, each under the name of its column.
    Facts(Vec<(String, Fact)>),
    /// A prepared statement is forgotten; `None`: all.
    Deallocate(Option<String>),
    /// Everything that a connection remembers is forgotten.
    Discard,
    /// A cursor over the rows of the statement that begins so many bytes later.
    Declare {
        cursor: String,
        from: usize,
    },
    /// So many rows more of a cursor; `None`: all.
    Fetch {
        cursor: String,
        rows: Option<usize>,
    },
    /// A cursor is closed; `None`: all.
    Close(Option<String>),
    /// Something is changed, by a statement that begins with this word.
    Change(String),
    /// What Postgres has and this has not; the sentence says what to do instead.
    Unknown(&'static str),
}

/// Something known of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    Version,
    Schema,
    Database,
    User,
    Process,
    /// `false`.
    No,
    /// The value of a setting.
    Setting(String),
}

/// What a statement asks for; there is at least one word in it.
pub(super) fn asked(statement: &str) -> Asked {
    let words = words(statement);
    let word = |at: usize| words.get(at).map(|word| word.text.to_ascii_lowercase()).unwrap_or_default();
    let value = |at: usize| words.get(at).map(Word::value).unwrap_or_default();
    let all = |value: String| (value != "all").then_some(value);
    match word(0).as_str() {
        "begin" => Asked::Begin,
        "start" if word(1) == "transaction" => Asked::Begin,
        "commit" | "end" => Asked::Commit,
        "rollback" | "abort" if words.iter().any(|word| word.is("to")) => Asked::Savepoint("ROLLBACK"),
        "rollback" | "abort" => Asked::Rollback,
        "savepoint" => Asked::Savepoint("SAVEPOINT"),
        "release" => Asked::Savepoint("RELEASE"),
        "set" => set(&words),
        "reset" => Asked::Reset,
        "show" if !["tables", "columns", "functions"].contains(&word(1).as_str()) => {
            Asked::Show(words[1..].iter().map(Word::value).collect::<Vec<_>>().join(" "))
        }
        "deallocate" => Asked::Deallocate(all(value(if word(1) == "prepare" { 2 } else { 1 }))),
        "discard" => Asked::Discard,
        "close" => Asked::Close(all(value(1))),
        "declare" => declare(&words),
        "fetch" => fetch(&words),
        "copy" => Asked::Unknown("COPY is not taken; select the rows, or read them from GET /v1/queries/{id}/results"),
        "listen" | "unlisten" | "notify" => {
            Asked::Unknown("there are no notifications; GET /v1/{dataset}/live tells what arrives")
        }
        word if CHANGES.contains(&word) => Asked::Change(word.to_ascii_uppercase()),
        "select" => facts(&words[1..]).map_or(Asked::Rows, Asked::Facts),
        _ => Asked::Rows,
    }
}

/// `set [session | local] name (= | to) value`, `set time zone value`, `set transaction …`.
fn set(words: &[Word<'_>]) -> Asked {
    let words = match words {
        [_, session, rest @ ..] if session.is("session") || session.is("local") => rest,
        [_, rest @ ..] => rest,
        [] => &[],
    };
    let values = |words: &[Word<'_>]| {
        let values: Vec<_> = words.iter().filter(|word| !word.is(",")).map(Word::value).collect();
        values.join(", ")
    };
    match words {
        [time, zone, rest @ ..] if time.is("time") && zone.is("zone") => {
            Asked::Set("timezone".to_owned(), values(rest))
        }
        // `set transaction isolation level …`, `set session characteristics as transaction …`: there is one kind of reading.
        [what, ..] if what.is("transaction") || what.is("characteristics") => {
            Asked::Set("transaction".to_owned(), String::new())
        }
        [name, to, rest @ ..] if to.is("=") || to.is("to") => Asked::Set(name.value(), values(rest)),
        _ => Asked::Unknown("this SET is not understood; expected SET name = value"),
    }
}

/// `declare name [binary] [insensitive] [[no] scroll] cursor [with hold | without hold] for select …`.
fn declare(words: &[Word<'_>]) -> Asked {
    let position =
        words.iter().position(|word| word.is("for")).filter(|at| words[..*at].iter().any(|word| word.is("cursor")));
    match (words.get(1), position.and_then(|at| words.get(at + 1))) {
        (Some(_), Some(_)) if words.iter().take(4).any(|word| word.is("binary")) => Asked::Unknown(
            "a cursor declared BINARY is not taken; leave the word out, and ask for the binary format in Bind",
        ),
        (Some(cursor), Some(first)) => Asked::Declare { cursor: cursor.value(), from: first.at },
        _ => Asked::Unknown("this DECLARE is not understood; expected DECLARE name CURSOR FOR SELECT …"),
    }
}

/// `fetch [next | forward] [count | all] [from | in] name`.
fn fetch(words: &[Word<'_>]) -> Asked {
    const WRONG: Asked =
        Asked::Unknown("this FETCH is not understood; a cursor goes forward only: FETCH FORWARD 100 FROM name");
    let mut rest: Vec<&Word<'_>> = words.iter().skip(1).collect();
    let Some(cursor) = rest.pop() else { return WRONG };
    rest.retain(|word| !["next", "forward", "from", "in"].iter().any(|keyword| word.is(keyword)));
    let rows = match rest.as_slice() {
        [] => Some(1),
        [all] if all.is("all") => None,
        [count] => match count.text.parse() {
            Ok(count) => Some(count),
            Err(_) => return WRONG,
        },
        _ => return WRONG,
    };
    Asked::Fetch { cursor: cursor.value(), rows }
}

/// A list of facts: what stands behind `select` when it asks for nothing of the lake.
fn facts(mut words: &[Word<'_>]) -> Option<Vec<(String, Fact)>> {
    let mut facts = Vec::new();
    loop {
        if let [schema, dot, rest @ ..] = words
            && schema.is("pg_catalog")
            && dot.is(".")
        {
            words = rest;
        }
        let (name, rest) = words.split_first()?;
        let name = name.value();
        let (argument, rest) = match rest {
            [open, close, rest @ ..] if open.is("(") && close.is(")") => (None, rest),
            [open, argument, close, rest @ ..] if open.is("(") && argument.kind == Kind::Text && close.is(")") => {
                (Some(argument.value()), rest)
            }
            rest => (None, rest),
        };
        let fact = match (name.as_str(), argument) {
            ("version", None) => Fact::Version,
            ("current_schema", None) => Fact::Schema,
            ("current_database" | "current_catalog", None) => Fact::Database,
            ("current_user" | "session_user" | "user" | "current_role", None) => Fact::User,
            ("pg_backend_pid", None) => Fact::Process,
            ("pg_is_in_recovery", None) => Fact::No,
            ("current_setting", Some(setting)) => Fact::Setting(setting),
            _ => return None,
        };
        let (column, rest) = match rest {
            [as_, alias, rest @ ..] if as_.is("as") => (alias.value(), rest),
            [alias, rest @ ..] if matches!(alias.kind, Kind::Plain | Kind::Name) => (alias.value(), rest),
            rest => (name, rest),
        };
        if facts.len() == MOST_FACTS {
            return None;
        }
        facts.push((column, fact));
        match rest {
            [] => return Some(facts),
            [comma, more @ ..] if comma.is(",") => words = more,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests;
