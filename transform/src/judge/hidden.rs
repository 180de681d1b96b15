//! A value as it is kept in the column `extra` when it is pseudonymised or holds what is.

use crate::plan::{KindPlan, Meaning, ValuePlan};
use crate::scan::unescape;
use crate::tape::{At, Kind, Tape};

/// Appends a value as JSON, each one in it that is pseudonymised replaced by its pseudonym as it was sent. Where something else
/// stands than an object that would hold such a value, its whole text is replaced, since nobody can tell what it holds.
pub(super) fn write(values: &ValuePlan, event: &str, tape: &Tape, at: At, out: &mut String) {
    let token = tape.token(at);
    let Some(pseudonyms) = &values.hidden_by else { return out.push_str(token.raw(event)) };
    match (&values.kind, token.kind) {
        (_, Kind::Null) => out.push_str("null"),
        (KindPlan::Object(object), Kind::Object) => {
            out.push('{');
            for (index, (key, value)) in tape.members(at).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(key.raw(event));
                out.push(':');
                let mut name = String::new();
                unescape(key.text(event), &mut name);
                match object.names.meaning(&name) {
                    Meaning::Field(field) => write(&object.fields[field as usize].values, event, tape, value, out),
                    _ => out.push_str(tape.token(value).raw(event)),
                }
            }
            out.push('}');
        }
        (KindPlan::List(items, _), Kind::Array) => {
            out.push('[');
            for (index, item) in tape.items(at).enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(items, event, tape, item, out);
            }
            out.push(']');
        }
        (_, kind) => {
            let mut text = String::new();
            match kind {
                Kind::Text | Kind::EscapedText => unescape(token.text(event), &mut text),
                _ => text.push_str(token.raw(event)),
            }
            out.push('"');
            pseudonyms.write(&text, out);
            out.push('"');
        }
    }
}
