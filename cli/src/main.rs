//! The `alluvium` command: settings, wiring of stages and adapters, and what a person sees. One module per subcommand.
//!
//! Exit codes: 0 done; 1 failed, or what was checked does not hold; 2 the command line was wrong.

mod audit;
mod auth;
mod client;
mod compact;
mod config;
mod convert;
mod cost;
mod credentials;
mod dead_letters;
#[cfg(feature = "aws")]
mod deliver;
mod demo;
#[cfg(feature = "aws")]
mod drain;
mod erase;
mod generate;
#[cfg(target_os = "linux")]
mod memory;
mod node;
mod observe;
mod output;
mod records;
mod recover;
mod redrive;
mod replay;
mod reports;
mod schema;
mod send;
mod sending;
mod settings;
mod sql;
#[cfg(feature = "aws")]
mod stage;
mod target;
mod token;
mod up;
mod upload;
mod vacuum;
#[cfg(not(feature = "aws"))]
mod without_aws;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Streams of events in; a lake of Parquet that answers SQL, and the newest records in milliseconds, out.
///
/// Every event is accounted for: in the lake or set aside with the reason, never twice, never lost.
#[derive(Debug, Parser)]
#[command(name = "alluvium", version, max_term_width = 120)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command takes.
#[derive(Debug, clap::Args)]
pub struct Common {
    /// Read settings from this file instead of `alluvium.toml`.
    #[arg(long, global = true, value_name = "FILE", env = "ALLUVIUM_CONFIG")]
    config: Option<PathBuf>,
    /// Print what a machine reads: JSON on standard output, no progress.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Up(up::Args),
    Token(token::Args),
    Send(send::Args),
    Generate(generate::Args),
    Replay(replay::Args),
    Upload(upload::Args),
    Convert(convert::Args),
    Schema(schema::Args),
    Sql(sql::Args),
    Records(records::Args),
    Audit(audit::Args),
    Compact(compact::Args),
    Vacuum(vacuum::Args),
    Recover(recover::Args),
    DeadLetters(dead_letters::Args),
    Redrive(redrive::Args),
    Erase(erase::Args),
    Reports(reports::Args),
    Config(config::Args),
    Cost(cost::Args),
    #[cfg(feature = "aws")]
    Deliver(deliver::Args),
    #[cfg(feature = "aws")]
    Drain(drain::Args),
}

/// How a command that did its work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// What it checked does not hold, or part of its input was refused; it has said so.
    Failed,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { common, command } = Cli::try_parse().unwrap_or_else(|error| refused(error).exit());
    let outcome = match command {
        Command::Demo(args) => demo::run(&common, args).await,
        Command::Up(args) => up::run(&common, args).await,
        Command::Token(args) => token::run(&common, args),
        Command::Send(args) => send::run(&common, args).await,
        Command::Generate(args) => generate::run(&common, args).await,
        Command::Replay(args) => replay::run(&common, args).await,
        Command::Upload(args) => upload::run(&common, args).await,
        Command::Convert(args) => convert::run(&common, args),
        Command::Schema(args) => schema::run(&common, &args),
        Command::Sql(args) => sql::run(&common, args).await,
        Command::Records(args) => records::run(&common, args).await,
        Command::Audit(args) => Box::pin(audit::run(&common, args)).await,
        Command::Compact(args) => compact::run(&common, args).await,
        Command::Vacuum(args) => vacuum::run(&common, args).await,
        Command::Recover(args) => recover::run(&common, args).await,
        Command::DeadLetters(args) => dead_letters::run(&common, args).await,
        Command::Redrive(args) => Box::pin(redrive::run(&common, args)).await,
        Command::Erase(args) => erase::run(&common, args).await,
        Command::Reports(args) => reports::run(&common, args).await,
        Command::Config(args) => config::run(&common, &args),
        Command::Cost(args) => cost::run(&common, &args),
        #[cfg(feature = "aws")]
        Command::Deliver(args) => deliver::run(&common, args).await,
        #[cfg(feature = "aws")]
        Command::Drain(args) => drain::run(&common, args).await,
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("alluvium: {}", output::sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// The command line was wrong: of what it has that this program was built without, it says so.
fn refused(error: clap::Error) -> clap::Error {
    #[cfg(not(feature = "aws"))]
    let error = without_aws::explain(error, std::env::args_os());
    error
}
