//! The conditions that the planner writes, read back: `and` binds closer than `or`.

use super::world::Event;

pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare { column: String, operator: String, value: String },
}

impl Condition {
    pub(super) fn parse(text: &str) -> Self {
        let tokens = tokens(text);
        let mut rest = tokens.as_slice();
        let condition = any(&mut rest);
        assert!(rest.is_empty(), "{text}: {rest:?}");
        condition
    }

    pub(super) fn holds(&self, row: &Event) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(row)),
            Self::Compare { column, operator, value } => {
                let order = match column.as_str() {
                    "owner" => row.owner.as_str().cmp(value),
                    "source" => row.source.as_str().cmp(value),
                    "event_id" => row.id.as_str().cmp(value),
                    "event_time" => row.time.cmp(&micros(value)),
                    other => panic!("{other}"),
                };
                match operator.as_str() {
                    "=" => order.is_eq(),
                    "<" => order.is_lt(),
                    ">" => order.is_gt(),
                    "<=" => order.is_le(),
                    ">=" => order.is_ge(),
                    other => panic!("{other}"),
                }
            }
        }
    }
}

fn micros(text: &str) -> i64 {
    text.replace(" UTC", "Z").parse::<jiff::Timestamp>().unwrap().as_microsecond()
}

fn any(rest: &mut &[String]) -> Condition {
    let mut parts = vec![all(rest)];
    while rest.first().is_some_and(|token| token == "or") {
        *rest = &rest[1..];
        parts.push(all(rest));
    }
    Condition::Any(parts)
}

fn all(rest: &mut &[String]) -> Condition {
    let mut parts = vec![one(rest)];
    while rest.first().is_some_and(|token| token == "and") {
        *rest = &rest[1..];
        parts.push(one(rest));
    }
    Condition::All(parts)
}

fn one(rest: &mut &[String]) -> Condition {
    let mut next = || {
        let (token, after) = rest.split_first().unwrap();
        *rest = after;
        token.clone()
    };
    let column = next();
    if column == "(" {
        let inside = any(rest);
        assert_eq!(rest[0], ")");
        *rest = &rest[1..];
        return inside;
    }
    let operator = next();
    let mut value = next();
    if value == "cast" {
        assert_eq!(next(), "(");
        value = next();
        // as timestamp ( 6 ) with time zone )
        for expected in ["as", "timestamp", "(", "6", ")", "with", "time", "zone", ")"] {
            assert_eq!(next(), expected);
        }
    }
    Condition::Compare { column, operator, value: value.strip_prefix('\'').unwrap().to_owned() }
}

/// Words, operators and parentheses; a text keeps its first quote.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        let mut token = String::new();
        match c {
            ' ' => {
                chars.next();
                continue;
            }
            '(' | ')' => token.extend(chars.next()),
            '\'' => {
                token.extend(chars.next());
                while let Some(c) = chars.next() {
                    if c == '\'' && chars.next_if_eq(&'\'').is_none() {
                        break;
                    }
                    token.push(c);
                }
            }
            '<' | '>' | '=' => {
                while let Some(c) = chars.next_if(|c| "<>=".contains(*c)) {
                    token.push(c);
                }
            }
            _ => {
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    token.push(c);
                }
                assert!(!token.is_empty(), "{text}: {c}");
            }
        }
        tokens.push(token);
    }
    tokens
}
