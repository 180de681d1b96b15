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
//! Nothing is written. What programs ask Postgres about itself goes to the engine, which is told for whom it answers
//! ([`Dialect`](alluvium_core::ports::Dialect)). With an [`Encryption`] every connection is encrypted, without one none is.

mod answer;
mod asked;
mod cancel;
mod chores;
mod columns;
mod extended;
mod gate;
mod messages;
mod numeric;
mod parameters;
mod places;
mod refusal;
mod session;
mod shown;
mod startup;
mod text;
mod tls;
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
pub use tls::{Encryption, EncryptionError, Io};

use cancel::Cancels;
use messages::{Messages, Phase};
use places::Places;
use refusal::Refusal;
use startup::{GREETING, Greeting, greet};
use tls::{Said, Wire};

/// The most connections at a time that have not said yet who they are; further ones are closed.
const GREETINGS: usize = 64;

/// How long to wait when the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a client has to take what it is told at the end: one that reads nothing is not waited for.
const FAREWELL: Duration = Duration::from_secs(2);

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
    encryption: Option<Encryption>,
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
        Self { gate, engine, planner, settings, encryption: None, cancels: Arc::default(), places }
    }

    /// The same, with every connection encrypted: whoever asks for none is refused before they say their token.
    #[must_use]
    pub fn with_encryption(self, encryption: Option<Encryption>) -> Self {
        Self { encryption, ..self }
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
        let opened = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            opened = tokio::time::timeout(GREETING, tls::open(client, self.encryption.as_ref())) => opened,
        };
        // One that says nothing does not speak this protocol, or does not know how to begin.
        let Ok(opened) = opened else { return Ok(()) };
        let (wire, said) = opened?;
        self.converse(wire, said, greeting, stop).await
    }

    /// Serves one client over bytes from anywhere, as [`serve`](Self::serve) does those of a listener: for tests.
    ///
    /// # Errors
    ///
    /// When the connection breaks off.
    pub async fn serve_one(self: Arc<Self>, client: impl Io + 'static, stop: CancellationToken) -> std::io::Result<()> {
        let nobody_waits = Arc::new(Semaphore::new(1)).try_acquire_owned();
        self.converse(Box::new(client), Said::Openly, nobody_waits.expect("it is the only one"), stop).await
    }

    async fn converse(
        self: Arc<Self>,
        wire: Wire,
        said: Said,
        greeting: impl Drop,
        stop: CancellationToken,
    ) -> std::io::Result<()> {
        let mut client = Framed::new(wire, Messages { phase: Phase::Greeting });
        let greeted = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            greeted = tokio::time::timeout(GREETING, greet(&self, &mut client, said)) => greeted,
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
        let (who, shown, cancellable, _place) = match come_in {
            // Said in TLS too: a client that cancels waits for the end, and takes one without a word for an attack.
            Ok(None) => return client.close().await,
            Ok(Some(come_in)) => come_in,
            Err(refusal) => return turn_away(client, refusal).await,
        };
        let session = async {
            session::Session::new(self.clone(), client, who, shown, cancellable, stop.clone()).await?.run().await
        };
        tokio::select! {
            ended = session => ended,
            () = async { stop.cancelled().await; tokio::time::sleep(FAREWELL).await } => Ok(()),
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
