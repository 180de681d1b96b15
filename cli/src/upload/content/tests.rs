#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Long enough for a busy machine, and short enough to wait for.
const BRIEF: Duration = Duration::from_millis(400);

/// A host, and the way to it.
async fn host(silent: Duration) -> (TcpListener, Put) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/key?X-Amz-Signature=c0ffee", listener.local_addr().unwrap());
    let link = Link { url: url.parse().unwrap(), is_of_this_node: true };
    (listener, Put { silent, ..Put::new(link, &Map::new(), u64::MAX).unwrap() })
}

fn file(bytes: usize) -> (NamedTempFile, Content) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&vec![b' '; bytes]).unwrap();
    let content = Content::of(file.path()).unwrap();
    (file, content)
}

async fn send(put: &Put, content: &Content) -> anyhow::Error {
    let bar = ProgressBar::hidden();
    let sent = put.send(content, &bar);
    tokio::time::timeout(BRIEF * 40, sent).await.expect("it ends").unwrap_err()
}

/// Reads to the end of the head.
async fn head(stream: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
}

#[tokio::test]
async fn a_host_that_takes_nothing_or_says_nothing_is_not_waited_for() {
    for bytes in [1, 64 << 20] {
        let (listener, put) = host(BRIEF).await;
        let (_file, content) = file(bytes);
        let silent = tokio::spawn(async move {
            let _open = listener.accept().await.unwrap();
            std::future::pending::<()>().await;
        });
        let error = send(&put, &content).await;
        assert!(may_be_taken(&error), "{error:#}");
        assert!(error.to_string().contains("said nothing for"), "{error:#}");
        silent.abort();
    }
}

#[tokio::test]
async fn a_pipe_that_has_nothing_for_a_while_is_waited_for() {
    let (listener, put) = host(BRIEF).await;
    let pipe = tempfile::tempdir().unwrap();
    let pipe = pipe.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let content = Content::of(&pipe).unwrap();
    std::thread::spawn(move || {
        let mut pipe = std::fs::File::create(pipe).unwrap();
        for _ in 0..2 {
            std::thread::sleep(BRIEF * 2);
            pipe.write_all(b"{}\n").unwrap();
        }
    });
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"0\r\n\r\n") {
            read.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    });
    put.send(&content, &ProgressBar::hidden()).await.unwrap();
}

#[tokio::test]
async fn an_answer_is_read_only_as_far_as_it_is_looked_at() {
    let (listener, put) = host(SILENT).await;
    let (_file, content) = file(1);
    let endless = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
        let _ = stream.write_all(&vec![b'x'; 2 * ANSWER_BYTES]).await;
        std::future::pending::<()>().await;
    });
    let error = send(&put, &content).await;
    assert!(!may_be_taken(&error) && error.to_string().contains("403 Forbidden xxx"), "{error:#}");
    endless.abort();
}

#[tokio::test]
async fn a_file_that_somebody_writes_to_is_not_sent_cut_off() {
    let (listener, put) = host(SILENT).await;
    let (mut grown, content) = file(10);
    grown.write_all(b"more").unwrap();
    let (cut, shorter) = file(10);
    cut.as_file().set_len(7).unwrap();
    for (content, words) in [(content, "had 10 bytes at the beginning and has 14 now"), (shorter, "has 7 now")] {
        let error = send(&put, &content).await;
        assert!(!may_be_taken(&error) && error.to_string().contains(words), "{error:#}");
    }

    let bytes = 32 << 20;
    for length in [bytes + 4, bytes - 4] {
        let (file, content) = file(bytes);
        let taken = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            file.as_file().set_len(length as u64).unwrap();
            let mut taken = Vec::new();
            let _ = stream.read_to_end(&mut taken).await;
            taken.len()
        };
        let (error, taken) = tokio::join!(send(&put, &content), taken);
        assert!(!may_be_taken(&error) && error.to_string().contains(&format!("has {length} now")), "{error:#}");
        assert!(taken < bytes, "what has come is no whole request");
    }
}
