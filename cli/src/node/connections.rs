//! The connections of a node: each is served until its client or the node is done with it, and none is held open by a client that says and
//! takes nothing.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long the head of a request may take, and how long a connection is kept for the next one.
const HEAD: Duration = Duration::from_secs(75);

/// How long a client may take nothing of what it is sent.
#[cfg(target_os = "linux")]
const STALLED: Duration = Duration::from_secs(120);

/// How long it is waited before the next connection is taken when the system has no room for it.
const NO_ROOM: Duration = Duration::from_secs(1);

/// Serves these routes until it is stopped, and then what is under way to its end.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    serve_within(HEAD, listener, routes, stop).await;
}

async fn serve_within(head: Duration, listener: TcpListener, routes: Router, stop: CancellationToken) {
    // HTTP/2 is spoken over TLS, which ends before a node, if anywhere. What looks at which of the two it is has no limit of time.
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(head);
    // Nothing is ever sent: who waits for it learns that every connection is gone.
    let (open, mut all_closed) = mpsc::channel::<()>(1);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                bound(&stream);
                let (http, routes, stop, open) = (http.clone(), routes.clone(), stop.clone(), open.clone());
                tokio::spawn(async move {
                    serve_one(&http, stream, routes, stop).await;
                    drop(open);
                });
            }
            // Its client has gone already.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => {
                tracing::error!(%error, "a connection cannot be taken; it is tried again");
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
    drop((listener, open));
    all_closed.recv().await;
}

async fn serve_one(http: &Builder<TokioExecutor>, stream: TcpStream, routes: Router, stop: CancellationToken) {
    // With upgrades, which nobody needs, `http1_only` would count for nothing.
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::trace!(%error, "a connection broke off");
    }
}

/// Has the system break a connection off whose client takes nothing, so that files and answers are not held open for it.
fn bound(stream: &TcpStream) {
    // Linux, tcp(7), TCP_USER_TIMEOUT: a window that stays closed counts, a connection with nothing to send does not.
    #[cfg(target_os = "linux")]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(STALLED)) {
        tracing::debug!(%error, "a connection has no limit on how long its client takes nothing");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = stream;
}

#[cfg(test)]
mod tests;
