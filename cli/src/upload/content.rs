//! What is put, and putting it: from a file or a stream into the body of one request.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

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
use tokio::sync::mpsc;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::client::{self, Link, Refused};
use crate::output;

/// How much is read at a time.
const PIECE_BYTES: usize = 256 * 1024;
/// The most of an answer that is shown where it is no problem document.
const SHOWN_CHARS: usize = 300;

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
    async fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Sync + Unpin>> {
        Ok(match self {
            Self::File(path, length) => Box::new(File::open(path).await?.take(*length)),
            Self::Stream(path) => Box::new(StreamReader::new(piped(path.clone()))),
            Self::Kept(file, length) => {
                let mut file = file.try_clone().await?;
                file.rewind().await?;
                Box::new(file.take(*length))
            }
        })
    }
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
        Ok(Self { link, http, max_bytes })
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
        let mut read = content.open().await?.take(most.saturating_add(1));
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
    /// When it cannot be read, nobody can be reached, or it is not taken.
    pub async fn send(&self, content: &Content, bar: &ProgressBar) -> anyhow::Result<()> {
        bar.reset();
        let read = content.open().await.context("it cannot be read")?;
        let read = ReaderStream::with_capacity(read, PIECE_BYTES);
        let body = Pieces { read, left: content.length(), bar: bar.clone() };
        let host = self.link.url.origin().ascii_serialization();
        let sent = self.http.put(self.link.url.clone()).body(reqwest::Body::wrap(body)).send().await;
        // The link lets through whoever has it, so it is not told.
        let answer = sent.map_err(reqwest::Error::without_url).with_context(|| format!("{host} did not take it"))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let bytes = answer.bytes().await.map_err(reqwest::Error::without_url)?;
        if let Ok(problem) = serde_json::from_slice::<Problem>(&bytes) {
            return Err(Refused(problem).into());
        }
        let said: String = String::from_utf8_lossy(&bytes).trim().chars().take(SHOWN_CHARS).collect();
        anyhow::bail!("{host} did not take it and answered {status} {}", output::printable(&said))
    }
}

/// Content as a body that says how long it is, where that is known.
struct Pieces {
    read: ReaderStream<Box<dyn AsyncRead + Send + Sync + Unpin>>,
    left: Option<u64>,
    bar: ProgressBar,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = std::task::ready!(Pin::new(&mut self.read).poll_next(context)).transpose()?;
        Poll::Ready(match (piece, &mut self.left) {
            (Some(piece), left) => {
                if let Some(left) = left {
                    *left = left.saturating_sub(piece.len() as u64);
                }
                self.bar.inc(piece.len() as u64);
                Some(Ok(Frame::data(piece)))
            }
            (None, None | Some(0)) => None,
            (None, Some(left)) => {
                let problem = format!("the file became {left} bytes shorter while it was sent");
                *left = 0;
                Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem)))
            }
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
