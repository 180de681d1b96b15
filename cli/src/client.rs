//! The program as a client of a running node.

mod sql;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use alluvium_core::Problem;
use anyhow::Context as _;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{ClientBuilder, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How soon it is asked again for what is under way.
const AGAIN: Duration = Duration::from_secs(1);

/// Where a link of an answer leads.
pub struct Link {
    /// There.
    pub url: Url,
    /// Whether that is the node that answered, or somebody else who must not see what only the node may.
    pub is_of_this_node: bool,
}

/// The answer that a read takes longer than a request may.
#[derive(Deserialize)]
struct UnderWay {
    location: String,
}

/// What was answered to what was not refused.
struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    body: bytes::Bytes,
}

/// What was asked for was refused, with a problem document.
#[derive(Debug)]
pub struct Refused(pub Problem);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)?;
        if self.0.status == 401 {
            f.write_str("; `alluvium token` makes one, ALLUVIUM_TOKEN or --data DIR hands it over")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// Talks to one node.
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// What every HTTP client of the program is made with, to talk to the host of `url`.
pub fn http(url: Option<&Url>) -> ClientBuilder {
    let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5));
    // An emulator's API has such a name, and not every system's resolver knows that it is this machine (RFC 6761, 6.3).
    match url.and_then(Url::host_str).filter(|host| host.ends_with(".localhost")) {
        Some(host) => http.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        None => http,
    }
}

impl Client {
    /// A client of the node at `base`, such as `http://127.0.0.1:7171`, that shows this token.
    ///
    /// # Errors
    ///
    /// When the token is none, or the HTTP client cannot be set up.
    pub fn new(base: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            let mut value =
                HeaderValue::try_from(format!("Bearer {token}")).context("the token holds what no header can")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = http(Url::parse(base).ok().as_ref()).default_headers(headers).build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), http })
    }

    /// Reads a JSON document. Where the answer is that the read is under way, asks again until it is there.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, refuses, or answers something else.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<T> {
        let mut url = Url::parse_with_params(&self.url(path), query)?;
        let bytes = loop {
            let Answered { status, body, .. } = self.answer(self.http.get(url)).await?;
            if status != StatusCode::ACCEPTED {
                break body;
            }
            let UnderWay { location } = serde_json::from_slice(&body)
                .with_context(|| format!("{} does not say where to ask again", self.base))?;
            url = Url::parse(&self.url(&location))?;
            tokio::time::sleep(AGAIN).await;
        };
        serde_json::from_slice(&bytes).with_context(|| format!("{} answered something else than expected", self.base))
    }

    /// Asks for something to be done that answers with a JSON document.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached, refuses, or answers something else.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<T> {
        self.post_bytes(path, query, "").await
    }

    /// As [`post`](Self::post), with what is asked for in the body, where no log of addresses has it.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post).
    pub async fn post_json<T: DeserializeOwned>(&self, path: &str, asked: &impl Serialize) -> anyhow::Result<T> {
        self.post_bytes(path, &[], serde_json::to_vec(asked)?).await
    }

    /// As [`post`](Self::post), with a body.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post).
    pub async fn post_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        body: impl Into<reqwest::Body>,
    ) -> anyhow::Result<T> {
        let url = Url::parse_with_params(&self.url(path), query)?;
        let bytes = self.ask(self.http.post(url).body(body)).await?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} answered something else than expected", self.base))
    }

    /// Has what is at `path` taken away.
    ///
    /// # Errors
    ///
    /// When the node cannot be reached or refuses.
    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.ask(self.http.delete(self.url(path))).await.map(drop)
    }

    /// What a link in an answer points to: a path of this node, or anything anywhere.
    ///
    /// # Errors
    ///
    /// When it is no URL of HTTP, or leads from an encrypted connection to one that is not.
    pub fn follow(&self, link: &str) -> anyhow::Result<Link> {
        let base = Url::parse(&self.base).with_context(|| format!("{} is no URL", self.base))?;
        let url = if link.starts_with('/') { Url::parse(&self.url(link)) } else { Url::parse(link) };
        // The link itself is not told: whoever has it may do what it is for.
        let url = url.ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.with_context(|| format!("{} answered with a link that is none", self.base))?;
        anyhow::ensure!(
            url.scheme() == "https" || base.scheme() == "http",
            "{} answered with a link to {}, where nothing would be encrypted",
            self.base,
            url.host_str().unwrap_or_default()
        );
        Ok(Link { is_of_this_node: url.origin() == base.origin(), url })
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> anyhow::Result<bytes::Bytes> {
        self.answer(request).await.map(|answered| answered.body)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answered> {
        let answer = request
            .send()
            .await
            .with_context(|| format!("{} cannot be reached; `alluvium up` runs a node there", self.base))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?;
        if status.is_success() {
            return Ok(Answered { status, headers, body });
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(Refused(problem).into()),
            Err(_) => anyhow::bail!("{} answered {status}", self.base),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}
