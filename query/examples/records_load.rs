//! Load for the routes that read records: requests one after the other on each of several connections, or live tails, and what
//! became of them.
//!
//! `benches/records/run.py` starts it. One JSON object on standard input says what to do ([`Asked`]); one line of JSON on standard
//! output says what it came to. One thread does everything, so that it never takes more than one core from who is measured.

use std::io::Read as _;
use std::time::{Duration, Instant};

use alluvium_core::clock::Micros;
use alluvium_core::{Clock as _, SystemClock};
use anyhow::{Context as _, ensure};
use reqwest::{Client, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How long all connections may take to be open.
const OPENING: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Asked {
    /// Requests on `connections` connections, one after the other on each. Each goes through `paths` from a place of its own on.
    Get { url: String, token: String, paths: Vec<String>, connections: usize, seconds: f64 },
    /// Live tails, all at once.
    Follow { url: String, tails: Vec<Tailed>, seconds: f64 },
}

/// A live tail to follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tailed {
    path: String,
    token: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut asked = String::new();
    std::io::stdin().read_to_string(&mut asked)?;
    let said = match serde_json::from_str(&asked).context("standard input is not what is to be done")? {
        Asked::Get { url, token, paths, connections, seconds } => {
            get(&url, &token, paths, connections, seconds).await?
        }
        Asked::Follow { url, tails, seconds } => follow(&url, tails, seconds).await?,
    };
    println!("{said}");
    Ok(())
}

/// A client that keeps one connection.
fn client() -> reqwest::Result<Client> {
    Client::builder().no_proxy().http1_only().tcp_nodelay(true).pool_max_idle_per_host(1).build()
}

async fn get(url: &str, token: &str, paths: Vec<String>, connections: usize, seconds: f64) -> anyhow::Result<Value> {
    ensure!(!paths.is_empty() && connections > 0, "expected a path and a connection at least");
    let urls: std::sync::Arc<[String]> = paths.iter().map(|path| format!("{url}{path}")).collect();
    let (started, cpu_before) = (Instant::now(), cpu()?);
    let until = started + Duration::from_secs_f64(seconds);
    let mut running = JoinSet::new();
    for connection in 0..connections {
        let (client, urls, token) = (client()?, urls.clone(), token.to_owned());
        let first = connection * urls.len() / connections;
        running.spawn(async move {
            let mut got = Got::default();
            for at in first.. {
                if Instant::now() >= until {
                    break;
                }
                got.one(&client, &urls[at % urls.len()], &token).await;
            }
            got
        });
    }
    let mut all = Got::default();
    for got in running.join_all().await {
        all.took.extend(got.took);
        all.bytes += got.bytes;
        all.failed += got.failed;
        all.failure = all.failure.or(got.failure);
    }
    let took = started.elapsed().as_secs_f64();
    Ok(json!({
        "requests": all.took.len(),
        "failed": all.failed,
        "failure": all.failure,
        "seconds": took,
        "per_second": all.took.len() as f64 / took,
        "took_us": all.took.iter().map(Duration::as_micros).collect::<Vec<_>>(),
        "body_bytes": all.bytes / (all.took.len() as u64).max(1),
        "cpu_seconds": cpu()? - cpu_before,
    }))
}

/// What the requests of a connection came to.
#[derive(Debug, Default)]
struct Got {
    /// Of those that were answered 200: from sending to the body's last byte.
    took: Vec<Duration>,
    bytes: u64,
    failed: u64,
    failure: Option<String>,
}

impl Got {
    async fn one(&mut self, client: &Client, url: &str, token: &str) {
        let started = Instant::now();
        let answer = async {
            let response = client.get(url).bearer_auth(token).send().await?;
            let status = response.status();
            anyhow::Ok((status, response.bytes().await?))
        };
        match answer.await {
            Ok((status, body)) if status == 200 => {
                self.took.push(started.elapsed());
                self.bytes += body.len() as u64;
            }
            Ok((status, body)) => self.failed(format!("{url}: {status}: {}", String::from_utf8_lossy(&body))),
            Err(error) => self.failed(format!("{url}: {error:#}")),
        }
    }

    fn failed(&mut self, why: String) {
        self.failed += 1;
        self.failure.get_or_insert(why);
    }
}

async fn follow(url: &str, tails: Vec<Tailed>, seconds: f64) -> anyhow::Result<Value> {
    let mut opening = JoinSet::new();
    for (at, tail) in tails.into_iter().enumerate() {
        let (client, url) = (client()?, format!("{url}{}", tail.path));
        opening.spawn(async move {
            let response = client.get(&url).bearer_auth(&tail.token).send().await?;
            let status = response.status();
            ensure!(status == 200, "{url}: {status}: {}", response.text().await.unwrap_or_default());
            Ok((at, response))
        });
    }
    let mut open = tokio::time::timeout(OPENING, opening.join_all()).await.context("the tails do not open")?;
    open.sort_by_key(|opened| opened.as_ref().map_or(0, |(at, _)| *at));
    let (started, cpu_before) = (Instant::now(), cpu()?);
    let until = tokio::time::Instant::from_std(started + Duration::from_secs_f64(seconds));
    let mut running = JoinSet::new();
    for opened in open {
        let (at, response) = opened?;
        running.spawn(async move { (at, Told::follow(response, until).await) });
    }
    let mut told = running.join_all().await;
    let took = started.elapsed().as_secs_f64();
    told.sort_by_key(|(at, _)| *at);
    let lags: Vec<Micros> = told.iter().flat_map(|(_, told)| told.events.iter().map(|event| event.lag)).collect();
    let ended = told.iter().find_map(|(_, told)| told.ended.as_deref());
    Ok(json!({
        "events": lags.len(),
        "seconds": took,
        "per_second": lags.len() as f64 / took,
        "took_us": lags,
        "cpu_seconds": cpu()? - cpu_before,
        "ended": ended,
        "tails": told.iter().map(|(_, told)| told.span()).collect::<Vec<_>>(),
    }))
}

/// What a tail was told.
#[derive(Debug, Default)]
struct Told {
    events: Vec<Seen>,
    /// Why it ended before it should, or was told of a gap.
    ended: Option<String>,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    arrival: Micros,
    /// From the arrival to here.
    lag: Micros,
}

#[derive(Deserialize)]
struct Record<'a> {
    ingest_time: &'a str,
}

impl Told {
    async fn follow(mut response: Response, until: tokio::time::Instant) -> Self {
        let mut told = Self::default();
        let mut text = Vec::new();
        loop {
            match tokio::time::timeout_at(until, response.chunk()).await {
                Err(_) => return told,
                Ok(Ok(Some(chunk))) => text.extend_from_slice(&chunk),
                Ok(Ok(None)) => told.ended = Some("the node ended it".to_owned()),
                Ok(Err(error)) => told.ended = Some(error.to_string()),
            }
            if told.ended.is_some() {
                return told;
            }
            let whole = text.windows(2).rposition(|end| end == b"\n\n").map_or(0, |at| at + 2);
            told.take(&text[..whole]);
            text.drain(..whole);
        }
    }

    /// Takes in whole server-sent events.
    fn take(&mut self, events: &[u8]) {
        let now = SystemClock.now_micros();
        for line in events.split(|byte| *byte == b'\n') {
            if line == b"event: reset" {
                self.ended.get_or_insert_with(|| "it was told of a gap".to_owned());
            } else if let Some(data) = line.strip_prefix(b"data: ")
                && let Ok(Record { ingest_time }) = serde_json::from_slice(data)
                && let Ok(arrival) = ingest_time.parse::<jiff::Timestamp>()
            {
                let arrival = arrival.as_microsecond();
                self.events.push(Seen { arrival, lag: now - arrival });
            }
        }
    }

    /// How many it was told of between the first and the last arrival that it was told of. Of those two themselves it may have seen
    /// a part only.
    fn span(&self) -> Value {
        let arrivals = || self.events.iter().map(|event| event.arrival);
        let (first, last) = (arrivals().min(), arrivals().max());
        let between = arrivals().filter(|arrival| Some(*arrival) > first && Some(*arrival) < last).count();
        json!({"first": first, "last": last, "between": between})
    }
}

/// The seconds that this process's one thread has spent on a core.
fn cpu() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").context("only Linux tells CPU times this way")?;
    let nanos: u64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanos as f64 / 1e9)
}
