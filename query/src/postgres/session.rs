//! A connection once it has begun: messages come in, are answered in order, and say when the next may come.
//!
//! Its bytes are read by a task of their own, so that it is noticed while a statement runs that its client has gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use alluvium_core::ports::{Dialect, PostgresSession, Statement};
use futures::{SinkExt as _, StreamExt as _};
use pgwire::error::ErrorInfo;
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ReadyForQuery, TransactionStatus as Transaction,
};
use pgwire::messages::startup::{Authentication, BackendKeyData, ParameterStatus, SecretKey};
use pgwire::messages::{PgWireBackendMessage as Reply, PgWireFrontendMessage as Message};
use tokio::io::ReadHalf;
use tokio::sync::mpsc;
use tokio_util::codec::{Framed, FramedParts, FramedWrite};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Postgres;
use super::answer::{Answer, Writer};
use super::asked::{Asked, asked};
use super::cancel::Cancellable;
use super::chores::Done;
use super::columns::{Formats, description};
use super::extended::{Portal, Prepared};
use super::messages::{Messages, Phase};
use super::parameters::{Parameter, Place, for_engine};
use super::refusal::Refusal;
use super::shown::Shown;
use super::startup::{Greeting, Who};
use super::text;
use super::tls::Wire;

/// How many messages may wait to be answered. A client that sends more ahead and then goes is missed when it is written to.
const WAITING: usize = 8;

/// How many bytes of rows are gathered before they are sent.
const GATHERED: usize = 64 * 1024;

/// One connection.
pub(super) struct Session {
    pub(super) postgres: Arc<Postgres>,
    pub(super) who: Who,
    pub(super) shown: Shown,
    pub(super) transaction: Transaction,
    pub(super) prepared: HashMap<String, Arc<Prepared>>,
    pub(super) portals: HashMap<String, Portal>,
    pub(super) to: Writer,
    pub(super) cancellable: Cancellable,
    messages: mpsc::Receiver<std::io::Result<Message>>,
    /// The client has gone.
    gone: CancellationToken,
    stop: CancellationToken,
    /// After an error in an extended query everything is passed over until a `Sync`.
    passing_over: bool,
    /// Ends the reading of messages with the connection.
    _reading: DropGuard,
}

impl Session {
    /// Tells the client that it is in.
    pub(super) async fn new(
        postgres: Arc<Postgres>,
        client: Greeting,
        who: Who,
        shown: Shown,
        cancellable: Cancellable,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let parts = client.into_parts();
        let (read, write) = tokio::io::split(parts.io);
        // What came with the password is there already, and nothing need come after it.
        let mut reading = FramedParts::new::<Reply>(read, Messages { phase: Phase::Session });
        reading.read_buf = parts.read_buf;
        let from = Framed::from_parts(reading);
        let mut to = FramedWrite::new(write, Messages { phase: Phase::Session });
        to.set_backpressure_boundary(GATHERED);
        to.feed(Reply::Authentication(Authentication::Ok)).await?;
        for (name, value) in shown.told() {
            to.feed(Reply::ParameterStatus(ParameterStatus::new(name.to_owned(), value.to_owned()))).await?;
        }
        let secret = SecretKey::I32(cancellable.secret);
        to.feed(Reply::BackendKeyData(BackendKeyData::new(cancellable.number, secret))).await?;
        to.send(Reply::ReadyForQuery(ReadyForQuery::new(Transaction::Idle))).await?;
        let (gone, ended) = (CancellationToken::new(), CancellationToken::new());
        let (sender, messages) = mpsc::channel(WAITING);
        tokio::spawn(read_messages(from, sender, gone.clone(), ended.clone()));
        Ok(Self {
            postgres,
            who,
            shown,
            transaction: Transaction::Idle,
            prepared: HashMap::new(),
            portals: HashMap::new(),
            to,
            cancellable,
            messages,
            gone,
            stop,
            passing_over: false,
            _reading: ended.drop_guard(),
        })
    }

    /// Answers messages until the client goes or is sent away.
    pub(super) async fn run(mut self) -> std::io::Result<()> {
        loop {
            let idle = self.postgres.settings.idle;
            let message = tokio::select! {
                () = self.stop.cancelled() => Err(stopping()),
                message = tokio::time::timeout(idle, self.messages.recv()) => match message {
                    Ok(Some(Ok(Message::Terminate(_)))) | Ok(None) => return Ok(()),
                    Ok(Some(Ok(message))) => Ok(message),
                    Ok(Some(Err(error))) => Err(Refusal::connection("08P01", error.to_string())),
                    Err(_) => Err(Refusal::connection("57P05", format!("nothing was asked for {idle:?}"))),
                },
            };
            let answered = match message {
                Ok(message) => self.answer(message).await,
                Err(refusal) => Err(refusal),
            };
            match answered {
                Ok(()) => {}
                Err(Refusal::Gone(error)) => return Err(error),
                Err(Refusal::Connection(info)) => {
                    self.refuse(*info).await?;
                    return self.to.close().await;
                }
                Err(Refusal::Statement(info)) => {
                    self.refuse(*info).await?;
                    self.passing_over = true;
                }
            }
        }
    }

    async fn answer(&mut self, message: Message) -> Result<(), Refusal> {
        if self.passing_over && !matches!(message, Message::Sync(_)) {
            return Ok(());
        }
        match message {
            Message::Query(query) => self.simple(&query.query).await,
            Message::Parse(parse) => self.parse(parse).await,
            Message::Bind(bind) => self.bind(bind).await,
            Message::Describe(describe) => self.describe(&describe).await,
            Message::Execute(execute) => self.execute(&execute).await,
            Message::Close(close) => self.close(&close).await,
            Message::Flush(_) => Ok(self.to.flush().await?),
            Message::Sync(_) => {
                self.passing_over = false;
                if self.transaction == Transaction::Idle {
                    self.portals.clear();
                }
                self.ready().await
            }
            // Left over from a copy that was refused.
            Message::CopyData(_) | Message::CopyDone(_) | Message::CopyFail(_) => Ok(()),
            _ => Err(Refusal::connection("08P01", "this message comes at the wrong time")),
        }
    }

    pub(super) async fn ready(&mut self) -> Result<(), Refusal> {
        Ok(self.to.send(Reply::ReadyForQuery(ReadyForQuery::new(self.transaction))).await?)
    }

    /// A text of statements, which are answered one after the other up to the first that fails.
    async fn simple(&mut self, text: &str) -> Result<(), Refusal> {
        self.prepared.remove("");
        self.portals.remove("");
        let statements = text::statements(text);
        if statements.is_empty() {
            self.to.feed(Reply::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
        }
        for statement in statements {
            match self.simple_statement(statement).await {
                Ok(()) => {}
                Err(Refusal::Statement(info)) => {
                    self.refuse(*info).await?;
                    break;
                }
                Err(refusal) => return Err(refusal),
            }
        }
        if self.transaction == Transaction::Idle {
            self.portals.clear();
        }
        self.ready().await
    }

    async fn simple_statement(&mut self, sql: &str) -> Result<(), Refusal> {
        let asked = asked(sql);
        self.check_transaction(&asked)?;
        let done = match asked {
            Asked::Rows => Done::Rows(self.rows(sql, &[]).await?, "SELECT"),
            asked => self.chore(asked, sql, &[]).await?,
        };
        let text = Formats::default();
        match done {
            Done::Tag(tag) => self.complete(tag.to_owned()).await,
            Done::Rows(mut answer, tag) => {
                self.to.feed(Reply::RowDescription(description(&answer.columns, &text))).await?;
                let (sent, _) = self.watch().over(answer.send(&text, None, &mut self.to)).await?;
                self.complete(if tag == "SHOW" { tag.to_owned() } else { format!("{tag} {sent}") }).await
            }
            Done::Cursor { cursor, rows } => {
                let columns = description(&self.cursor(&cursor)?.columns, &text);
                self.to.feed(Reply::RowDescription(columns)).await?;
                self.fetch(&cursor, rows, &text).await
            }
        }
    }

    /// Sends rows of a cursor.
    pub(super) async fn fetch(&mut self, cursor: &str, rows: Option<usize>, formats: &Formats) -> Result<(), Refusal> {
        self.cursor(cursor)?;
        self.who.check(self.postgres.gate.as_ref()).await?;
        let watch = self.watch();
        let portal = self.portals.get_mut(cursor).ok_or_else(|| no_cursor(cursor))?;
        let sent = watch.over(portal.send(formats, rows, &mut self.to)).await;
        if sent.is_err() {
            // Rows that were taken out and not sent are gone: nobody goes on behind them.
            self.portals.remove(cursor);
        }
        let (sent, _) = sent?;
        self.complete(format!("FETCH {sent}")).await
    }

    pub(super) fn cursor(&self, cursor: &str) -> Result<&Answer, Refusal> {
        self.portals.get(cursor).and_then(Portal::answer).ok_or_else(|| no_cursor(cursor))
    }

    pub(super) async fn complete(&mut self, tag: String) -> Result<(), Refusal> {
        Ok(self.to.feed(Reply::CommandComplete(CommandComplete::new(tag))).await?)
    }

    /// After an error in a transaction nothing is answered before its end.
    pub(super) fn check_transaction(&self, asked: &Asked) -> Result<(), Refusal> {
        let ends = matches!(asked, Asked::Commit | Asked::Rollback | Asked::Savepoint("ROLLBACK"));
        if self.transaction == Transaction::Error && !ends {
            let message = "the transaction failed before; nothing is answered until ROLLBACK";
            return Err(Refusal::statement("25P02", message));
        }
        Ok(())
    }

    /// The engine's answer to a statement.
    pub(super) async fn rows(&mut self, sql: &str, parameters: &[Parameter]) -> Result<Answer, Refusal> {
        let (text, values) = for_engine(sql, |at| parameters.get(at).map(Place::Value))?;
        let began = Instant::now();
        let answered = self.watch().over(async {
            self.who.check(self.postgres.gate.as_ref()).await?;
            let reader = self.who.reader().map(str::to_owned);
            let (owner, dialect) = (self.who.owner().map(str::to_owned), self.dialect());
            let statement = Statement { sql: text, parameters: values, reader, owner, dialect, token: None };
            let answer = Answer::of(&self.postgres.engine, statement).await;
            answer.map_err(|error| Refusal::engine(&error, sql))
        });
        let answered = answered.await;
        let took_ms = began.elapsed().as_secs_f64() * 1e3;
        match &answered {
            Ok(_) => tracing::debug!(target: "access", took_ms, "a statement over the Postgres protocol"),
            Err(Refusal::Statement(info) | Refusal::Connection(info)) => {
                tracing::info!(target: "access", took_ms, code = info.code, "a statement over the Postgres protocol was refused");
                told_to_debug(info, sql);
            }
            Err(Refusal::Gone(_)) => {}
        }
        answered
    }

    /// In whose words statements are written, and what this connection knows of itself.
    pub(super) fn dialect(&self) -> Dialect {
        Dialect::Postgres(Arc::new(PostgresSession {
            user: self.user().to_owned(),
            database: self.shown.database.clone(),
            process: self.cancellable.number,
            settings: self.shown.all(),
        }))
    }

    /// As whom the client is known.
    pub(super) fn user(&self) -> &str {
        self.who.owner().unwrap_or("anonymous")
    }

    /// What ends a piece of work that may take long and begins now.
    pub(super) fn watch(&self) -> Watch {
        Watch { cancelled: self.cancellable.next(), gone: self.gone.clone(), stop: self.stop.clone() }
    }

    async fn refuse(&mut self, info: ErrorInfo) -> std::io::Result<()> {
        self.transaction = self.transaction.to_error_state();
        self.to.send(Reply::ErrorResponse(info.into())).await
    }
}

/// What ends a piece of work before it is done.
pub(super) struct Watch {
    cancelled: CancellationToken,
    gone: CancellationToken,
    stop: CancellationToken,
}

impl Watch {
    /// Does it, and leaves it when it is cancelled, or nobody waits for it any more.
    pub(super) async fn over<T>(self, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => {
                Err(Refusal::statement("57014", "the statement was cancelled, as its client asked"))
            }
            () = self.gone.cancelled() => Err(Refusal::Gone(std::io::ErrorKind::UnexpectedEof.into())),
            () = self.stop.cancelled() => Err(stopping()),
            done = work => done,
        }
    }
}

/// Which statement of a program was refused, and why: off unless it is asked for, because a text may hold whatever somebody looks for.
pub(super) fn told_to_debug(info: &ErrorInfo, sql: &str) {
    tracing::debug!(target: "postgres", code = info.code, message = info.message, sql, "this statement was refused");
}

fn stopping() -> Refusal {
    Refusal::connection("57P01", "the node stops; come back when it runs again")
}

pub(super) fn no_cursor(cursor: &str) -> Refusal {
    Refusal::statement("34000", format!("there is no cursor {cursor:?}"))
}

/// Reads messages ahead, and says when there will be no more.
async fn read_messages(
    mut from: Framed<ReadHalf<Wire>, Messages>,
    to: mpsc::Sender<std::io::Result<Message>>,
    gone: CancellationToken,
    ended: CancellationToken,
) {
    let reading = async {
        loop {
            match from.next().await {
                // What it says makes no sense; it is still there to be told.
                Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                    let _ended = to.send(Err(error)).await;
                    return;
                }
                Some(Ok(message)) => {
                    if to.send(Ok(message)).await.is_err() {
                        return;
                    }
                }
                Some(Err(_)) | None => break,
            }
        }
        gone.cancel();
    };
    tokio::select! {
        () = ended.cancelled() => {}
        () = reading => {}
    }
}
