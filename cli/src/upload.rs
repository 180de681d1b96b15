//! `alluvium upload`: whole files, loaded in the background.

mod content;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::client::{Client, Refused};
use crate::target::Target;
use crate::{Common, Outcome, output};
use content::{Content, Put, may_be_taken};
use report::{Loaded, report};

/// How soon it is asked first how far an upload is, and how often at the most after that.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_secs(2);

/// How often the same thing is asked for, at the most, that is refused for now.
const TRIES: u32 = 20;
/// The most that is waited before it is asked again, whatever the answer says.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long it is waited after a put of which nobody knows whether it was taken, before that is asked for and the content is put again.
const UNKNOWN: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// How long that question, or a taking back, may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Put whole files where a node loads them from, and wait until it has.
///
/// For files that are too large for a request. Each becomes an upload of its own (docs/uploads.md): the node gives a link, the file goes there as
/// it is (compress it with gzip or zstd if you like), and its lines are loaded in the background. An event without an id gets one from the
/// file's bytes and its line, so giving the same file again makes nothing twice.
///
/// The exit code is 1 when a file was not taken or could not be loaded to its end. Lines that are no event are no failure: they are
/// dead letters.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Files; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Whose schema the events follow.
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// How the lines are read; without it, what the file's name ends in says.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What one file is called, instead of its own name: in CSV without a column `source`, that of every event.
    #[arg(long)]
    name: Option<String>,
    /// Whose the events are, with the role `data.admin`; without it, the token's owner.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Wait until each file is loaded; so it is unless --no-wait is given.
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// End as soon as the files are there whole.
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
}

/// How lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An event a line.
    Ndjson,
    /// A header line that names the fields, then an event a row (RFC 4180, commas).
    Csv,
}

/// What an upload is asked for with.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    dataset: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// What an upload is answered with.
#[derive(Debug, Deserialize)]
struct Place {
    id: String,
    url: String,
    max_bytes: u64,
    /// What is to be sent along, where the link was signed for it.
    #[serde(default)]
    headers: Map<String, serde_json::Value>,
}

pub async fn run(common: &Common, args: Args) -> anyhow::Result<Outcome> {
    // What is wrong with the last file is said before the first is sent.
    let contents = contents(&args)?;
    let client = args.target.api(common).await?;
    let sender = Sender { client, args, bars: !common.json && output::interactive() };
    let mut loaded = Vec::new();
    let mut failure = None;
    for content in contents {
        let name = content.shown();
        match sender.upload(content).await {
            Ok(status) => loaded.push(status),
            Err(error) => {
                failure = Some(error.context(name));
                break;
            }
        }
    }
    report(common, &loaded);
    match failure {
        Some(failure) => Err(failure),
        None if loaded.iter().any(Loaded::has_failed) => Ok(Outcome::Failed),
        None => Ok(Outcome::Done),
    }
}

fn contents(args: &Args) -> anyhow::Result<Vec<Content>> {
    anyhow::ensure!(
        args.files.iter().filter(|file| *file == Path::new("-")).count() <= 1,
        "`-` is given more than once; standard input is one file"
    );
    anyhow::ensure!(args.name.is_none() || args.files.len() == 1, "--name: it is one file's, and there are several");
    let contents: Vec<_> = args.files.iter().map(|file| Content::of(file)).collect::<anyhow::Result<_>>()?;
    let nameless = contents.iter().any(|content| content.name().is_none());
    anyhow::ensure!(
        !nameless || args.format.is_some() || args.name.is_some(),
        "standard input has no name that tells its format; give --format ndjson or --format csv"
    );
    Ok(contents)
}

/// Takes one file after the other to the API.
struct Sender {
    client: Client,
    args: Args,
    bars: bool,
}

impl Sender {
    /// Asks for an upload, puts the content, and waits until it is loaded if that is wanted.
    async fn upload(&self, content: Content) -> anyhow::Result<Loaded> {
        let Args { dataset, format, name, owner, .. } = &self.args;
        let name = name.clone().or_else(|| content.name());
        let asked = Asked { dataset, format: *format, name };
        let owner: Vec<_> = owner.iter().map(|owner| ("owner", owner.clone())).collect();
        let place: Place =
            patiently(async || self.client.post_bytes("/v1/uploads", &owner, serde_json::to_vec(&asked)?).await)
                .await?;
        let shown = content.shown();
        if let Err(error) = self.put(content, &place).await {
            let there = if may_be_taken(&error) { self.has_content(&place.id).await } else { Some(false) };
            match there {
                Some(true) => {}
                Some(false) => {
                    // So that it does not stand in the way of others until it expires. Should that fail too, it does expire.
                    let path = format!("/v1/uploads/{}", place.id);
                    let _ = tokio::time::timeout(ANSWER, self.client.delete(&path)).await;
                    return Err(error);
                }
                None => {
                    let id = &place.id;
                    return Err(error.context(format!("it may be there or not: GET /v1/uploads/{id} tells")));
                }
            }
        }
        let status = self.wait(&place.id, &shown).await;
        status.with_context(|| {
            format!(
                "the file is there, and is loaded whether it is waited for or not: GET /v1/uploads/{} tells",
                place.id
            )
        })
    }

    /// Puts the content, again if it has to be and can be.
    async fn put(&self, content: Content, place: &Place) -> anyhow::Result<()> {
        let link = self.client.follow(&place.url)?;
        let put = Put::new(link, &place.headers, place.max_bytes)?;
        let bar = self.bar(content.length());
        let content = put.prepare(content).await?;
        let again = content.can_be_read_again();
        let send =
            async || if again { patiently(|| put.send(&content, &bar)).await } else { put.send(&content, &bar).await };
        let mut sent = send().await;
        for pause in UNKNOWN {
            if !sent.as_ref().is_err_and(|error| may_be_taken(error) && retry_after(error).is_none()) {
                break;
            }
            tokio::time::sleep(pause).await;
            if self.has_content(&place.id).await == Some(true) {
                sent = Ok(());
            } else if again {
                sent = send().await;
            }
        }
        bar.finish_and_clear();
        sent
    }

    /// Whether the API has the content of an upload, or had it; `None` if it does not tell.
    async fn has_content(&self, id: &str) -> Option<bool> {
        let path = format!("/v1/uploads/{id}");
        let status = tokio::time::timeout(ANSWER, self.client.get::<Loaded>(&path, &[])).await;
        Some(!status.ok()?.ok()?.is_waiting())
    }

    /// Asks how far it is; until it has ended, if that is wanted.
    async fn wait(&self, id: &str, shown: &str) -> anyhow::Result<Loaded> {
        let bar = self.spinner();
        let mut pause = FIRST_LOOK;
        loop {
            let mut status: Loaded = self.client.get(&format!("/v1/uploads/{id}"), &[]).await?;
            if (self.args.no_wait && !self.args.wait) || status.has_ended() {
                bar.finish_and_clear();
                shown.clone_into(&mut status.file);
                return Ok(status);
            }
            bar.set_position(status.lines());
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK);
        }
    }

    fn bar(&self, length: Option<u64>) -> ProgressBar {
        let (bar, template) = match length {
            _ if !self.bars => return ProgressBar::hidden(),
            Some(length) => (ProgressBar::new(length), "{bar:32} {bytes} of {total_bytes}, {bytes_per_sec}"),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes}, {bytes_per_sec}"),
        };
        bar.with_style(ProgressStyle::with_template(template).expect("the template is ours and right"))
    }

    fn spinner(&self) -> ProgressBar {
        if !self.bars {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{spinner} {human_pos} lines loaded");
        ProgressBar::new_spinner().with_style(style.expect("the template is ours and right"))
    }
}

/// Asks until it is not refused for now any more.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut tries = 1;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let Some(seconds) = retry_after(&error).filter(|_| tries < TRIES) else { return Err(error) };
        tokio::time::sleep(Duration::from_secs(seconds).min(LONGEST_PAUSE)).await;
        tries += 1;
    }
}

/// After how many seconds it may be asked again, where a refusal says so.
fn retry_after(error: &anyhow::Error) -> Option<u64> {
    error.downcast_ref().and_then(|Refused(problem)| problem.retry_after_seconds)
}
