//! What a command line asks for that this program was built without.

use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::Cli;

/// What is wrong then, and what would be right.
pub const WITHOUT_AWS: &str = "this program was built without AWS; `make build-aws` builds one with it";

/// The commands that are there with AWS alone.
const COMMANDS: [&str; 2] = ["deliver", "drain"];

/// The flags that are there with AWS alone, and the commands that have them then.
const FLAGS: [(&str, &[&str]); 8] = [
    (
        "--stage",
        &[
            "audit",
            "compact",
            "dead-letters",
            "erase",
            "generate",
            "records",
            "recover",
            "redrive",
            "replay",
            "send",
            "sql",
            "upload",
            "vacuum",
        ],
    ),
    ("--lake", &["audit", "recover", "sql"]),
    ("--athena", &["sql"]),
    ("--commit-within", &["audit"]),
    ("--deep", &["audit"]),
    ("--queue", &["audit", "recover"]),
    ("--repair", &["audit"]),
    ("--stream", &["audit"]),
];

/// The same error, or what it is that the program lacks.
pub fn explain(error: clap::Error, args: impl IntoIterator<Item = OsString>) -> clap::Error {
    let named = |kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.clone()),
        _ => None,
    };
    let lacking = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            named(ContextKind::InvalidSubcommand).filter(|name| COMMANDS.contains(&name.as_str()))
        }
        ErrorKind::UnknownArgument => named(ContextKind::InvalidArg).filter(|name| {
            let commands = FLAGS.iter().find(|(flag, _)| flag == name).map_or(&[][..], |(_, commands)| commands);
            commands.contains(&command_of(args).as_str())
        }),
        _ => None,
    };
    match lacking {
        Some(what) => Cli::command().error(error.kind(), format!("`{what}`: {WITHOUT_AWS}")),
        None => error,
    }
}

/// The command among the words of a command line; empty: there is none.
fn command_of(args: impl IntoIterator<Item = OsString>) -> String {
    let cli = Cli::command();
    let mut words = args.into_iter().skip(1).map(|word| word.to_string_lossy().into_owned());
    words.find(|word| cli.find_subcommand(word).is_some()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
