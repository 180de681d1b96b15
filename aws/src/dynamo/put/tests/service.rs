//! A DynamoDB that answers as told: a listener that speaks as much HTTP as the SDK needs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of one request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// An error with this status and code.
    Error(u16, &'static str),
    /// So many of its items are taken; the rest come back.
    Takes(usize),
}

/// The requests that were made: how many items each had.
pub(super) type Requests = Arc<Mutex<Vec<usize>>>;

/// A client of a service that gives these answers, and then takes everything.
pub(super) async fn answering(answers: impl IntoIterator<Item = Answer>) -> (Client, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (answers, requests) = (Arc::new(Mutex::new(answers.into_iter().collect())), Requests::default());
    let noted = requests.clone();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection, Arc::clone(&answers), noted.clone()));
        }
    });
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
        .endpoint_url(endpoint);
    (Client::from_conf(config.build()), requests)
}

async fn serve(mut connection: TcpStream, answers: Arc<Mutex<VecDeque<Answer>>>, requests: Requests) {
    while let Some(body) = request(&mut connection).await {
        let tables = body["RequestItems"].as_object().unwrap();
        let (table, items) = tables.iter().next().unwrap();
        let items = items.as_array().unwrap();
        requests.lock().unwrap().push(items.len());
        let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::Takes(items.len()));
        let (status, body) = match answer {
            Answer::Error(status, code) => {
                (status, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "too fast"}))
            }
            Answer::Takes(all) if all >= items.len() => (200, json!({"UnprocessedItems": {}})),
            Answer::Takes(some) => (200, json!({"UnprocessedItems": {table: items[some..].to_vec()}})),
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if connection.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The body of the next request; `None`: there is none.
async fn request(connection: &mut TcpStream) -> Option<Value> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if read.len() >= end + 4 + length.parse::<usize>().unwrap() {
                return Some(serde_json::from_slice(&read[end + 4..]).unwrap());
            }
        }
        if connection.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}
