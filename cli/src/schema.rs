//! `alluvium schema`: schemas from events, and whether a schema holds.

mod check;
mod columns;
mod events;
mod infer;

use crate::{Common, Outcome};

/// Make a schema from events, or check one.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Infer(infer::Args),
    Check(check::Args),
}

pub fn run(common: &Common, args: &Args) -> anyhow::Result<Outcome> {
    match &args.command {
        Command::Infer(args) => infer::run(common, args),
        Command::Check(args) => check::run(common, args),
    }
}
