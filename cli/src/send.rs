//! `alluvium send`: records as they are.

use std::path::{Path, PathBuf};

use alluvium_ingest::replay::Lines;
use alluvium_ingest::{Bodies, BodySettings, EventSource, IngestError, Pace, Written};

use crate::sending::{self, Destination};
use crate::{Common, Outcome};

/// Send files or standard input to a node, one event per line, as they are.
///
/// Nothing is added: an event without an id gets one from the request that carried it, so sending a file twice makes every such
/// event twice. `replay` derives ids from file and line instead.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: Destination,
    /// Files of one event per line; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Several files, one after the other.
struct Files {
    waiting: std::vec::IntoIter<PathBuf>,
    open: Option<Box<dyn EventSource>>,
}

impl EventSource for Files {
    fn next_into(&mut self, out: &mut Vec<u8>) -> Result<Option<Written>, IngestError> {
        loop {
            if let Some(open) = &mut self.open
                && let Some(written) = open.next_into(out)?
            {
                return Ok(Some(written));
            }
            let Some(file) = self.waiting.next() else { return Ok(None) };
            self.open = Some(if file == Path::new("-") {
                Box::new(Lines::of(std::io::stdin(), "standard input"))
            } else {
                Box::new(Lines::open(&file)?)
            });
        }
    }
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let files = Files { waiting: args.files.into_iter(), open: None };
    let bodies = Bodies::of(files, BodySettings::default(), Pace::Unlimited);
    sending::send(common, &args.to, bodies, None).await
}
