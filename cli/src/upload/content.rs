//! What is put, and putting it: from a file or a stream into the body of one request.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use alluvium_core::Problem;
use anyhow::Context as _;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use futures::Stream;
use http_body::{Body, Frame, SizeHint};
use indicatif::ProgressBar;
use reqwest::redirect::Policy;
use serde_json::{Map, Value};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::client::{self, Link, Refused};
use crate::output;

/// How much is read at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// The most of an answer that is read: it comes from whoever the link leads to.
const ANSWER_BYTES: usize = 64 * 1024;
/// The most of an answer that is shown where it is no problem document.
const SHOWN_CHARS: usize = 300;
/// How long a host may take nothing of what it is sent and say nothing, and how long its answer may take from its status to its end.
const SILENT: Duration = Duration::from_secs(120);

/// Nobody here knows whether what was put was taken: no answer came, or one that says that the host is at fault.
#[derive(Debug)]
pub struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lost {}

/// Whether a put that ended like this may have been taken all the same, so that somebody has to be asked. A conflict is one with another
/// put, such as an earlier one whose answer was lost.
pub fn may_be_taken(error: &anyhow::Error) -> bool {
    error.is::<Lost>()
        || error.downcast_ref().is_some_and(|Refused(problem)| problem.status >= 500 || problem.status == 409)
}

/// What one upload is to hold.
#[derive(Debug)]
pub enum Content {
    /// A file, which can be read again, and has this many bytes.
    File(PathBuf, u64),
    /// Standard input, a pipe, or whatever else is read once.
    Stream(PathBuf),
    /// What a stream held, kept for as long as this is, and how many bytes that is.
    Kept(File, u64),
}

impl Content {
    /// The content that `file` names; `-` is standard input.
    ///
    /// # Errors
    ///
    /// When there is no such file, it is a folder, it is empty, or it may not be read.
    pub fn of(file: &Path) -> anyhow::Result<Self> {
        if file == Path::new("-") {
            return Ok(Self::Stream(file.to_owned()));
        }
        let what = || format!("{} cannot be read", file.display());
        let found = std::fs::metadata(file).with_context(what)?;
        anyhow::ensure!(!found.is_dir(), "{} is a folder; name the files in it", file.display());
        if !found.is_file() {
            return Ok(Self::Stream(file.to_owned()));
        }
        anyhow::ensure!(found.len() > 0, "{} is empty; expected events, one a line", file.display());
        std::fs::File::open(file).with_context(what)?;
        Ok(Self::File(file.to_owned(), found.len()))
    }

    /// What people are shown.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Stream(path) if path == Path::new("-") => "standard input".to_owned(),
            Self::Stream(path) => path.display().to_string(),
            Self::Kept(..) => "standard input".to_owned(),
        }
    }

    /// What the file is called, without the folders that it lies in.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::File(path, _) => Some(path.file_name()?.to_string_lossy().into_owned()),
            Self::Stream(_) | Self::Kept(..) => None,
        }
    }

    /// How many bytes it has, if that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::File(_, length) | Self::Kept(_, length) => Some(*length),
            Self::Stream(_) => None,
        }
    }

    /// Whether it can be sent again when it was not taken.
    pub fn can_be_read_again(&self) -> bool {
        self.length().is_some()
    }

    /// Reads it from its beginning.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is a file that has another length by now.
    async fn open(&self) -> Result<Opened, Unsent> {
        let (read, file): (Box<dyn AsyncRead + Send + Sync + Unpin>, _) = match self {
            Self::File(path, length) => {
                let file = File::open(path).await?;
                let held = file.try_clone().await?.into_std().await;
                has_kept_its_length(&held, *length)?;
                (Box::new(file.take(*length)), Some((held, *length)))
            }
            Self::Stream(path) => (Box::new(StreamReader::new(piped(path.clone()))), None),
            Self::Kept(file, length) => {
                let mut file = file.try_clone().await?;
                file.rewind().await?;
                (Box::new(file.take(*length)), None)
            }
        };
        Ok(Opened { read, file })
    }
}

/// Content that is read.
struct Opened {
    read: Box<dyn AsyncRead + Send + Sync + Unpin>,
    /// The file that it is read from, and its length at the beginning.
    file: Option<(std::fs::File, u64)>,
}

/// Why content could not be sent whole. Nobody can have taken it then.
#[derive(Debug)]
struct Unsent(String);

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unsent {}

impl From<io::Error> for Unsent {
    fn from(error: io::Error) -> Self {
        Self(format!("it cannot be read: {error}"))
    }
}

/// A file that somebody writes to would arrive cut off, maybe within a line, and look whole.
fn has_kept_its_length(file: &std::fs::File, length: u64) -> Result<(), Unsent> {
    let now = file.metadata()?.len();
    if now == length {
        return Ok(());
    }
    Err(Unsent(format!(
        "the file had {length} bytes at the beginning and has {now} now; send it when nobody writes to it any more"
    )))
}

/// The pieces of what can be read once. A thread of its own reads them, so that one that waits for ever for the next holds up nobody.
fn piped(path: PathBuf) -> impl Stream<Item = io::Result<Bytes>> + Send + Sync + Unpin {
    let (give, mut take) = mpsc::channel(2);
    std::thread::spawn(move || {
        let mut read = match open_pipe(&path) {
            Ok(read) => read,
            Err(error) => return drop(give.blocking_send(Err(error))),
        };
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            match read.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => piece.truncate(length),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return drop(give.blocking_send(Err(error))),
            }
            if give.blocking_send(Ok(Bytes::from(piece))).is_err() {
                return;
            }
        }
    });
    futures::stream::poll_fn(move |context| take.poll_recv(context))
}

fn open_pipe(path: &Path) -> io::Result<Box<dyn io::Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(std::fs::File::open(path)?))
}

/// Puts content where a link points.
pub struct Put {
    link: Link,
    http: reqwest::Client,
    max_bytes: u64,
    silent: Duration,
}

impl Put {
    /// The way to a link. Nothing but what the answer says is sent along: the link lets it through, and nobody else is shown the token.
    ///
    /// # Errors
    ///
    /// When these cannot be headers.
    pub fn new(link: Link, along: &Map<String, Value>, max_bytes: u64) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        for (name, value) in along {
            let known = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value.as_str().unwrap_or("\0")).ok());
            let (known, value) = known.with_context(|| format!("the answer's header {name:?} cannot be sent"))?;
            headers.insert(known, value);
        }
        let http = client::http(Some(&link.url)).redirect(Policy::none()).default_headers(headers).build()?;
        Ok(Self { link, http, max_bytes, silent: SILENT })
    }

    /// The content in a form that can be put there: elsewhere than on a node, a request has to say how long it is (Amazon S3 API
    /// Reference, PutObject: `MissingContentLength`), so that a stream is kept first.
    ///
    /// # Errors
    ///
    /// When it is too long, or cannot be kept.
    pub async fn prepare(&self, content: Content) -> anyhow::Result<Content> {
        let most = self.max_bytes;
        let too_long = || {
            anyhow::anyhow!(
                "the file is longer than {most} bytes, the most that an upload may have; compress it with gzip or zstd, or split it"
            )
        };
        if content.length().is_some_and(|length| length > most) {
            return Err(too_long());
        }
        if content.can_be_read_again() || self.link.is_of_this_node {
            return Ok(content);
        }
        let unkept = "what was read cannot be kept until it is sent";
        let mut kept = File::from_std(tempfile::tempfile().context(unkept)?);
        let mut read = content.open().await?.read.take(most.saturating_add(1));
        let length = tokio::io::copy(&mut read, &mut kept).await.context(unkept)?;
        kept.flush().await.context(unkept)?;
        anyhow::ensure!(length > 0, "it is empty; expected events, one a line");
        if length > most {
            return Err(too_long());
        }
        Ok(Content::Kept(kept, length))
    }

    /// Sends the content.
    ///
    /// # Errors
    ///
    /// When it cannot be read, its length is another one at its end, nobody can be reached, or it is not taken. [`may_be_taken`] tells whether
    /// the error leaves that open.
    pub async fn send(&self, content: &Content, bar: &ProgressBar) -> anyhow::Result<()> {
        bar.reset();
        let Opened { read, file } = content.open().await?;
        let read = ReaderStream::with_capacity(read, PIECE_BYTES);
        let (turn, turns) = watch::channel(Turn::Theirs);
        let body = Pieces { read, file, left: content.length(), bar: bar.clone(), turn };
        let host = self.link.url.origin().ascii_serialization();
        let asked = self.http.put(self.link.url.clone()).body(reqwest::Body::wrap(body)).send();
        let answer = tokio::select! {
            answer = asked => answer.map_err(|error| unanswered(error, &host))?,
            () = silence(turns, self.silent) => {
                let seconds = self.silent.as_secs();
                return Err(Lost(format!("{host} took nothing and said nothing for {seconds} s")).into());
            }
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let read = read_beginning(answer, &mut bytes);
        // What has come by then says enough.
        let _ = tokio::time::timeout(self.silent, read).await;
        if let Ok(problem) = serde_json::from_slice::<Problem>(&bytes) {
            return Err(Refused(problem).into());
        }
        let said: String = String::from_utf8_lossy(&bytes).trim().chars().take(SHOWN_CHARS).collect();
        let told = format!("{host} did not take it and answered {status} {}", output::printable(&said));
        Err(if status.is_server_error() { Lost(told).into() } else { anyhow::Error::msg(told) })
    }
}

/// Why no answer came: of ourselves, or nobody knows.
fn unanswered(error: reqwest::Error, host: &str) -> anyhow::Error {
    // The link lets through whoever has it, so it is not told.
    let error = anyhow::Error::new(error.without_url());
    let unsent = error.chain().find_map(|cause| cause.downcast_ref()).map(|Unsent(problem)| problem.clone());
    match unsent {
        Some(problem) => anyhow::Error::msg(problem),
        None => error.context(Lost(format!("{host} did not say that it took it"))),
    }
}

/// Reads an answer as far as it is looked at.
async fn read_beginning(mut answer: reqwest::Response, bytes: &mut Vec<u8>) {
    while bytes.len() < ANSWER_BYTES {
        let Ok(Some(piece)) = answer.chunk().await else { return };
        bytes.extend_from_slice(&piece[..piece.len().min(ANSWER_BYTES - bytes.len())]);
    }
}

/// Whom the next piece waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// What is read, which may be a pipe that has nothing for an hour.
    Ours,
    /// The host, which has to take what there is, or to answer.
    Theirs,
}

/// Waits until it was the host's turn for this long.
async fn silence(mut turns: watch::Receiver<Turn>, limit: Duration) {
    loop {
        let theirs = *turns.borrow_and_update() == Turn::Theirs;
        let next = turns.changed();
        let next = if theirs { tokio::time::timeout(limit, next).await } else { Ok(next.await) };
        match next {
            Ok(Ok(())) => {}
            // It has the last piece: the answer is due.
            Ok(Err(_)) => return tokio::time::sleep(limit).await,
            Err(_) => return,
        }
    }
}

/// Content as a body that says how long it is, where that is known.
struct Pieces {
    read: ReaderStream<Box<dyn AsyncRead + Send + Sync + Unpin>>,
    file: Option<(std::fs::File, u64)>,
    left: Option<u64>,
    bar: ProgressBar,
    turn: watch::Sender<Turn>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Unsent;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Unsent>>> {
        self.turn.send_replace(Turn::Ours);
        let piece = std::task::ready!(Pin::new(&mut self.read).poll_next(context)).transpose()?;
        self.turn.send_replace(Turn::Theirs);
        let bytes = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        self.bar.inc(bytes);
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(bytes);
        }
        // Nothing is asked for after the last piece, and without it a request is not whole.
        if let Some((file, length)) = &self.file
            && (piece.is_none() || self.left == Some(0))
        {
            has_kept_its_length(file, *length)?;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests;
