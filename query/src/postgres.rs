//! The Postgres protocol: SQL over the lake for `psql`, for drivers of every language, and for the tools that are built on them.
//!
//! Protocol 3.0 ("PostgreSQL Documentation", chapter "Frontend/Backend Protocol"), simple and extended queries. The password is a token,
//! and a caller sees what they would over HTTP: their own rows, with `data.admin` everybody's (AU-1). The token is looked at again before
//! each statement.
//!
//! `pgwire` knows the messages and their bytes. What is done with them is decided here, because its own loop keeps all rows of an
//! answer in memory, takes messages of a gigabyte, and does not notice while a statement runs that its client has gone:
//!
//! - an answer is sent a page at a time ([`answer`]), and one of any length takes little memory;
//! - a message has at most 256 KiB, and what a client may have the connection remember is counted ([`session`]);
//! - a statement stops when its client cancels it or goes away.
//!
//! There is no catalog of Postgres (`pg_catalog`), nothing is written, and nothing is encrypted.

mod answer;
mod asked;
mod cancel;
mod chores;
mod columns;
mod extended;
mod gate;
mod messages;
mod nested;
mod numeric;
mod parameters;
mod places;
mod refusal;
mod session;
mod shown;
mod startup;
mod text;
mod values;

use std::sync::Arc;
use std::time::Duration;

use alluvium_core::ports::{SqlEngine, SqlPlanner};
use futures::SinkExt as _;
use pgwire::messages::PgWireBackendMessage;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;

pub use gate::Gate;

use cancel::Cancels;
use messages::{Messages, Phase};
use places::Places;
use refusal::Refusal;
use startup::{GREETING, Greeting, greet};

/// The most connections at a time that have not said yet who they are; further ones are closed.
const GREETINGS: usize = 64;

/// How long to wait when the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections may use.
#[derive(Debug, Clone)]
pub struct PostgresSettings {
    /// The most at a time, half of them of one owner; further ones are refused. Default 50.
    pub connections: usize,
    /// How long one may ask for nothing before it is ended. Default 1 h.
    pub idle: Duration,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self { connections: 50, idle: Duration::from_secs(3600) }
    }
}

/// Answers clients of the Postgres protocol.
pub struct Postgres {
    gate: Arc<dyn Gate>,
    engine: Arc<dyn SqlEngine>,
    planner: Arc<dyn SqlPlanner>,
    settings: PostgresSettings,
    cancels: Arc<Cancels>,
    places: Arc<Places>,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Postgres {
    /// One that lets in whom `gate` lets in, has `engine` answer, and `planner` tell what it would answer.
    pub fn new(
        gate: Arc<dyn Gate>,
        engine: Arc<dyn SqlEngine>,
        planner: Arc<dyn SqlPlanner>,
        settings: PostgresSettings,
    ) -> Self {
        let places = Arc::new(Places::new(settings.connections));
        Self { gate, engine, planner, settings, cancels: Arc::default(), places }
    }

    /// Serves connections until `stop`, then ends those that there are.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let postgres = Arc::new(self);
        let greetings = Arc::new(Semaphore::new(GREETINGS));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
                Some(_ended) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let client = match accepted {
                Ok((client, _)) => client,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(greeting) = greetings.clone().try_acquire_owned() else { continue };
            let (postgres, stop) = (postgres.clone(), stop.clone());
            connections.spawn(async move {
                let outcome = postgres.connection(client, greeting, stop).await;
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a connection broke off");
                }
            });
        }
        while connections.join_next().await.is_some() {}
    }

    /// One connection, from its greeting to its end.
    async fn connection(
        self: Arc<Self>,
        client: TcpStream,
        greeting: impl Drop,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        client.set_nodelay(true)?;
        let mut client = Framed::new(client, Messages { phase: Phase::Greeting });
        let greeted = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            greeted = tokio::time::timeout(GREETING, greet(&self, &mut client)) => greeted,
        };
        drop(greeting);
        let late = || Err(Refusal::connection("08006", format!("nothing was said for {GREETING:?}; greet anew")));
        let come_in = greeted.unwrap_or_else(|_| late()).and_then(|greeted| {
            let Some((who, shown)) = greeted else { return Ok(None) };
            let place = self.places.take(who.owner())?;
            let cancellable = self.cancels.register();
            let cancellable =
                cancellable.ok_or_else(|| Refusal::connection("58000", "the system gives no random bytes"))?;
            Ok(Some((who, shown, cancellable, place)))
        });
        match come_in {
            Ok(None) => Ok(()),
            Ok(Some((who, shown, cancellable, _place))) => {
                session::Session::new(self.clone(), client, who, shown, cancellable, stop).await?.run().await
            }
            Err(refusal) => turn_away(client, refusal).await,
        }
    }
}

/// Says why nobody comes in.
async fn turn_away(mut client: Greeting, refusal: Refusal) -> std::io::Result<()> {
    match refusal {
        Refusal::Gone(error) => Err(error),
        Refusal::Statement(info) | Refusal::Connection(info) => {
            tracing::info!(target: "access", code = info.code, "a connection was refused");
            client.send(PgWireBackendMessage::ErrorResponse((*info).into())).await?;
            client.close().await
        }
    }
}

#[cfg(test)]
mod tests;
