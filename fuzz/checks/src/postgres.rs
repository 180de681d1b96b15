//! What clients of Postgres say: any bytes from the first one on, any messages behind a greeting, and statements with their parameters
//! (AU-1: whatever is said, nothing is asked of the engine before somebody is known).

use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll};

use alluvium_core::ports::{
    PortError, ResultPage, SqlEngine, SqlPlanner, Statement, StatementFault, StatementId, StatementShape,
    StatementState, StatementStatus,
};
use alluvium_core::{Caller, Problem, Roles};
use alluvium_query::postgres::{Gate, Postgres, PostgresSettings};
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::pick::Pick;

/// The most that is ever said to a client for what it says here.
const HEARD_BYTES: usize = 1 << 20;

/// How often a client is asked for more after it has said everything, before it goes: enough for all to be answered.
const SILENCES: usize = 5_000;

/// Any bytes of a client. The first byte says how they are used.
pub fn postgres(bytes: &[u8]) {
    let mut pick = Pick(bytes);
    match pick.byte() % 4 {
        0 => drop(conversation(pick.rest(), Known::No)),
        1 => drop(conversation(&[greeting(), pick.rest().to_vec()].concat(), Known::Yes)),
        2 => {
            let mut said = greeting();
            message(&mut said, b'Q', &[pick.rest(), b"\0"].concat());
            message(&mut said, b'X', b"");
            conversation(&said, Known::Yes);
        }
        _ => bound(pick),
    }
}

/// A statement with parameters of any types and values: what the engine is given is what was bound.
fn bound(mut pick: Pick<'_>) {
    const BOOL: u32 = 16;
    const INT8: u32 = 20;
    const INT4: u32 = 23;
    const TEXT: u32 = 25;
    const FLOAT8: u32 = 701;
    const KINDS: [u32; 14] = [BOOL, 17, INT8, 21, INT4, TEXT, 114, 700, FLOAT8, 1082, 1114, 1184, 1700, 2950];
    let (kind, is_binary) = (KINDS[usize::from(pick.byte()) % KINDS.len()], pick.byte() % 2 == 1);
    let value = pick.rest();
    let value = &value[..value.len().min(1_000)];
    let mut said = greeting();
    message(&mut said, b'P', &[b"\0select $1\0\0\x01", &kind.to_be_bytes()[..]].concat());
    let length = i32::try_from(value.len()).unwrap().to_be_bytes();
    let format = u16::from(is_binary).to_be_bytes();
    let bind = [b"\0\0\0\x01", &format[..], b"\0\x01", &length, value, b"\0\0"].concat();
    message(&mut said, b'B', &bind);
    message(&mut said, b'E', b"\0\0\0\0\0");
    message(&mut said, b'S', b"");
    message(&mut said, b'X', b"");
    let asked = conversation(&said, Known::Yes);
    let given = asked.first().map(|statement| statement.parameters[0].as_str());
    let text = std::str::from_utf8(value).ok();
    match (kind, is_binary) {
        (TEXT, _) => assert_eq!(given, text, "a text stays what it is"),
        (INT8, true) => {
            assert_eq!(given, value.try_into().ok().map(|eight| i64::from_be_bytes(eight).to_string()).as_deref())
        }
        (INT4, true) => {
            assert_eq!(given, value.try_into().ok().map(|four| i32::from_be_bytes(four).to_string()).as_deref())
        }
        (BOOL, true) => assert_eq!(given.is_some(), value.len() == 1),
        (FLOAT8, true) => {
            let float = value.try_into().ok().map(f64::from_be_bytes);
            assert_eq!(given.is_some(), float.is_some());
            if let (Some(float), Some(given)) = (float, given) {
                let back: f64 = given.parse().unwrap();
                assert!(back.to_bits() == float.to_bits() || back.is_nan() && float.is_nan(), "{float} became {given}");
            }
        }
        (_, false) => assert_eq!(given.is_some(), text.is_some() && kind != 17, "a value's text is taken as it is"),
        _ => {}
    }
}

/// Whether the client says a good token before anything else.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    No,
    Yes,
}

/// A greeting with the password.
fn greeting() -> Vec<u8> {
    let body = [&196_608_u32.to_be_bytes()[..], b"user\0a\0\0"].concat();
    let mut said = u32::try_from(body.len() + 4).unwrap().to_be_bytes().to_vec();
    said.extend(body);
    message(&mut said, b'p', b"good\0");
    said
}

fn message(said: &mut Vec<u8>, kind: u8, body: &[u8]) {
    said.push(kind);
    said.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    said.extend(body);
}

/// Has a client say this, and looks at what it hears; says what the engine was asked.
fn conversation(said: &[u8], known: Known) -> Vec<Statement> {
    static PANICKED: LazyLock<Arc<Mutex<Option<String>>>> = LazyLock::new(|| {
        // Messages are read by a task of their own, whose panic would end the connection and nothing else.
        let panicked = Arc::<Mutex<Option<String>>>::default();
        let (before, tell) = (std::panic::take_hook(), panicked.clone());
        std::panic::set_hook(Box::new(move |panic| {
            *tell.lock().unwrap() = Some(panic.to_string());
            before(panic);
        }));
        panicked
    });
    let _hooked = LazyLock::force(&PANICKED);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (engine, heard) = (Arc::<Obedient>::default(), Arc::<Mutex<Vec<u8>>>::default());
    let client = Client { said: said.to_vec(), at: 0, silences: SILENCES, heard: heard.clone() };
    runtime.block_on(async {
        let postgres = Postgres::new(Arc::new(Door), engine.clone(), engine.clone(), PostgresSettings::default());
        // How it ends is up to what was said.
        let _ended = Arc::new(postgres).serve_one(client, CancellationToken::new()).await;
    });
    drop(runtime);
    let panicked = PANICKED.lock().unwrap().take();
    assert!(panicked.is_none(), "{panicked:?}");
    let heard = heard.lock().unwrap();
    assert!(heard.len() < HEARD_BYTES, "{} bytes were said for {}", heard.len(), said.len());
    let kinds = kinds(&heard);
    let asked = std::mem::take(&mut *engine.0.lock().unwrap());
    if known == Known::No && !said.windows(5).any(|window| window == b"good\0") {
        assert!(asked.is_empty(), "somebody unknown asked {asked:?}");
    }
    if kinds.contains(&b'D') {
        assert!(kinds.contains(&b'K'), "rows went to somebody who was not let in");
    }
    for statement in &asked {
        assert_eq!(statement.reader.as_deref(), Some("ann"), "a statement sees its reader's rows");
        let places = statement.sql.matches('?').count();
        assert!(statement.parameters.len() <= places, "{statement:?}");
    }
    asked
}

/// The kinds of the messages that were heard, which are whole, behind the single bytes that answer a request for encryption.
fn kinds(mut heard: &[u8]) -> Vec<u8> {
    while let [b'N', rest @ ..] = heard
        && (rest.is_empty() || matches!(rest, [b'N' | b'R' | b'E' | b'v', ..]))
    {
        heard = rest;
    }
    let mut kinds = Vec::new();
    while let [kind, a, b, c, d, ..] = *heard {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        assert!(length >= 4 && length < heard.len(), "a message of {length} bytes where {} are", heard.len());
        kinds.push(kind);
        heard = &heard[1 + length..];
    }
    assert!(heard.is_empty(), "{heard:?}");
    kinds
}

/// A client that says everything and then listens for a while.
struct Client {
    said: Vec<u8>,
    at: usize,
    silences: usize,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Client {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let left = self.said.len() - self.at;
        if left == 0 && self.silences > 0 {
            self.silences -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // In pieces, as a network has them.
        let piece = left.min(to.remaining()).min(self.at % 7 * 100 + 1);
        to.put_slice(&self.said[self.at..self.at + piece]);
        self.at += piece;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.heard.lock().unwrap().extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Knows one token.
#[derive(Debug)]
struct Door;

#[async_trait]
impl Gate for Door {
    fn asks(&self) -> bool {
        true
    }

    async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        match token {
            "good" => Ok(Caller::new("ann", Roles::of_text("data.read")).unwrap()),
            _ => Err(Problem::new(401, "malformed-token", "no")),
        }
    }

    fn admit(&self, _: &str) -> Result<(), Problem> {
        Ok(())
    }
}

/// Answers everything with one row, and remembers what it was asked.
#[derive(Default)]
struct Obedient(Mutex<Vec<Statement>>);

fn columns() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8, true)]))
}

#[async_trait]
impl SqlEngine for Obedient {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        self.0.lock().unwrap().push(statement);
        Ok(StatementId(String::new()))
    }

    async fn status(&self, _: &StatementId) -> Result<StatementStatus, PortError> {
        let state = StatementState::Succeeded;
        Ok(StatementStatus { state, reader: None, owner: None, scanned_bytes: None, elapsed: None })
    }

    async fn results(&self, _: &StatementId, _: Option<&str>) -> Result<ResultPage, PortError> {
        let row = RecordBatch::try_new(columns(), vec![Arc::new(StringArray::from(vec!["a"]))]).unwrap();
        Ok(ResultPage { batches: vec![row], next: None })
    }

    async fn cancel(&self, _: &StatementId) -> Result<(), PortError> {
        Ok(())
    }
}

#[async_trait]
impl SqlPlanner for Obedient {
    async fn shape(&self, statement: &Statement) -> Result<StatementShape, PortError> {
        if statement.sql.contains("no_such") {
            return Err(PortError::faulty(StatementFault::NoTable, "there is no such table"));
        }
        let parameters = vec![None; statement.sql.matches('?').count()];
        Ok(StatementShape { columns: columns(), parameters })
    }
}
