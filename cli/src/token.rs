//! `alluvium token`: tokens and access keys for development.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alluvium_core::{Caller, Roles, SystemClock};
use alluvium_local::folder;
use serde_json::json;

use crate::settings::{self, Flags};
use crate::{Common, Outcome, auth, output};

/// Make a token for the node of a data folder, signed with its secret.
///
/// The token says whose data its bearer reads and writes, and what they may do. It cannot be taken back before it expires, but with all
/// others, by deleting the folder's `secret` while no node runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Whose data it is about: the owner of what is written, and of what is read.
    #[arg(long, value_name = "OWNER")]
    sub: String,
    /// What its bearer may do; several times for several. `data.admin` reads and writes everybody's data and does all that commands do.
    #[arg(long = "role", value_enum, required = true)]
    roles: Vec<Role>,
    /// How long it is good for.
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = lifetime)]
    expires_in: Duration,
    /// Make an access key for clients of the Kinesis API instead, and print the variables that hand it to an AWS SDK.
    #[arg(long)]
    access_key: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Role {
    #[value(name = "data.read")]
    Read,
    #[value(name = "data.write")]
    Write,
    #[value(name = "data.admin")]
    Admin,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Read => alluvium_core::Role::Read.name(),
            Self::Write => alluvium_core::Role::Write.name(),
            Self::Admin => alluvium_core::Role::Admin.name(),
        }
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = alluvium_core::duration::parse(text).map_err(|error| error.to_string())?;
    if lifetime < Duration::from_secs(1) { Err("expected 1s or more".to_owned()) } else { Ok(lifetime) }
}

pub fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    let flags = Flags { data: args.data, ..Flags::default() };
    let settings = settings::load(common.config.as_deref(), &flags)?.settings;
    let caller = Caller::new(&args.sub, Roles::of_names(args.roles.into_iter().map(Role::name)));
    let caller = caller.ok_or_else(|| anyhow::anyhow!("--sub: an owner has 1 to 1,024 bytes"))?;
    let of_folder = || {
        let folder = settings.data.display();
        folder::secret_of(&settings.data)?
            .ok_or_else(|| anyhow::anyhow!("{folder} has no secret yet; `alluvium up --data {folder}` makes one"))
    };
    let authorizer = auth::authorizer(&settings, of_folder, Arc::new(SystemClock))?;
    if args.access_key {
        let key = authorizer.issue_access_key(&caller, args.expires_in)?;
        if common.json {
            output::json(&json!({"access_key_id": key.id, "secret_access_key": key.secret}));
        } else {
            output::line(format!("AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}", key.id, key.secret));
        }
        return Ok(Outcome::Done);
    }
    let token = authorizer.issue(&caller, args.expires_in)?;
    if common.json {
        output::json(&json!({"token": token}));
    } else {
        output::line(token);
    }
    Ok(Outcome::Done)
}
