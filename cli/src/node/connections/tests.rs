#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

/// Long enough for a busy machine to answer in, and short enough to wait for.
const BRIEF: Duration = Duration::from_millis(400);

/// A server of one slow route, and what stops it.
async fn server() -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let slow = get(|| async {
        tokio::time::sleep(BRIEF * 3).await;
        "slow"
    });
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_within(BRIEF, listener, Router::new().route("/slow", slow), stop.clone()));
    (address, stop, serving)
}

async fn ask(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is cut off may end with an error; what came before is there all the same.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn who_does_not_finish_the_head_of_a_request_is_let_go() {
    let (address, _stop, _serving) = server().await;
    for begun in ["", "P", "PRI * HTT", "GET /slow HTTP/1.1\r\nHost: "] {
        let began = Instant::now();
        let answer = rest(ask(address, begun).await);
        let answer = tokio::time::timeout(BRIEF * 20, answer).await.expect("it is let go");
        assert!(!answer.contains("200 OK"), "{answer}");
        assert!(began.elapsed() >= BRIEF, "{begun:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let (address, _stop, _serving) = server().await;
    // The preface and an empty SETTINGS frame (RFC 9113, 3.4 and 6.5), after which a connection of HTTP/2 may stay idle.
    let answer = rest(ask(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await);
    let answer = tokio::time::timeout(BRIEF * 20, answer).await.expect("it is let go");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:?}");
}

#[tokio::test]
async fn an_answer_may_take_longer_and_its_connection_is_kept_for_a_while_only() {
    let (address, _stop, _serving) = server().await;
    let began = Instant::now();
    let answer = rest(ask(address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("slow"), "{answer}");
    assert!(began.elapsed() >= BRIEF * 4, "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_under_way_is_answered_when_it_stops_and_nothing_more_is_taken() {
    let (address, stop, serving) = server().await;
    let asked = ask(address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let idle = ask(address, "").await;
    // Until the request was read.
    tokio::time::sleep(BRIEF / 2).await;
    stop.cancel();
    let answer = rest(asked).await;
    assert!(answer.ends_with("slow"), "{answer}");
    assert_eq!(rest(idle).await, "");
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
