#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alluvium_core::ports::{
    Dialect, PortError, ResultPage, Statement, StatementFault, StatementId, StatementShape, StatementState,
    StatementStatus,
};
use alluvium_core::{Caller, Problem, Roles};
use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// The rows of `select n`, on pages of 1,000.
const ROWS: i64 = 2_500;
const PAGE: i64 = 1_000;

/// An engine that does what a statement's text says, and remembers who asked.
#[derive(Default)]
struct Obedient {
    started: Mutex<HashMap<String, Statement>>,
    cancelled: Mutex<Vec<String>>,
    pages: AtomicUsize,
}

impl Obedient {
    fn last(&self) -> Statement {
        let started = self.started.lock().unwrap();
        started[&(started.len() - 1).to_string()].clone()
    }
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]))
}

#[async_trait]
impl SqlEngine for Obedient {
    async fn start(&self, statement: Statement) -> Result<StatementId, PortError> {
        if statement.sql.contains("nothing") {
            return Err(PortError::faulty(StatementFault::NoTable, "there is no table `nothing`; there are some"));
        }
        let mut started = self.started.lock().unwrap();
        let id = started.len().to_string();
        started.insert(id.clone(), statement);
        Ok(StatementId(id))
    }

    async fn status(&self, _: &StatementId) -> Result<StatementStatus, PortError> {
        let state = StatementState::Running;
        Ok(StatementStatus { state, reader: None, owner: None, scanned_bytes: None, elapsed: None })
    }

    async fn results(&self, statement: &StatementId, page: Option<&str>) -> Result<ResultPage, PortError> {
        let sql = self.started.lock().unwrap()[&statement.0].sql.clone();
        if sql.contains("for ever") {
            std::future::pending::<()>().await;
        }
        self.pages.fetch_add(1, Ordering::Relaxed);
        if sql.contains("words") {
            let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
            let batch = RecordBatch::try_from_iter([("w", words)]).unwrap();
            return Ok(ResultPage { batches: vec![batch], next: None });
        }
        if sql.contains("without end") {
            let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(0..PAGE));
            let batches = vec![RecordBatch::try_new(schema(), vec![rows]).unwrap()];
            return Ok(ResultPage { batches, next: Some("1".to_owned()) });
        }
        let page: i64 = page.map_or(0, |page| page.parse().unwrap());
        let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(page * PAGE..ROWS.min((page + 1) * PAGE)));
        let batches = vec![RecordBatch::try_new(schema(), vec![rows]).unwrap()];
        Ok(ResultPage { batches, next: ((page + 1) * PAGE < ROWS).then(|| (page + 1).to_string()) })
    }

    async fn cancel(&self, statement: &StatementId) -> Result<(), PortError> {
        self.cancelled.lock().unwrap().push(statement.0.clone());
        Ok(())
    }
}

#[async_trait]
impl SqlPlanner for Obedient {
    async fn shape(&self, statement: &Statement) -> Result<StatementShape, PortError> {
        let places = statement.sql.matches('?').count();
        Ok(StatementShape { columns: schema(), parameters: vec![Some(DataType::Int64); places] })
    }
}

/// Takes the tokens `ann` and `admin`, until it does not any more.
#[derive(Debug, Default)]
struct Doorman {
    closed: AtomicBool,
}

#[async_trait]
impl Gate for Doorman {
    fn asks(&self) -> bool {
        true
    }

    async fn caller(&self, token: &str) -> Result<Caller, Problem> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Problem::new(401, "expired-token", "the token has expired; get a new one"));
        }
        let roles = match token {
            "ann" => "data.read",
            "admin" => "data.admin",
            _ => return Err(Problem::new(401, "wrong-signature", "the token's signature is wrong")),
        };
        Ok(Caller::new(token, Roles::of_text(roles)).unwrap())
    }

    fn admit(&self, _: &str) -> Result<(), Problem> {
        Ok(())
    }
}

struct World {
    address: SocketAddr,
    engine: Arc<Obedient>,
    doorman: Arc<Doorman>,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

async fn world(settings: PostgresSettings) -> World {
    let (engine, doorman) = (Arc::<Obedient>::default(), Arc::<Doorman>::default());
    let postgres = Postgres::new(doorman.clone(), engine.clone(), engine.clone(), settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let serving = tokio::spawn(postgres.serve(listener, stop.clone()));
    World { address, engine, doorman, stop, serving }
}

/// A client that knows bytes alone.
struct Client {
    stream: TcpStream,
    /// Its number and secret.
    name: Vec<u8>,
}

impl Client {
    async fn greet(world: &World, token: &str) -> (Self, Vec<String>) {
        let mut client = Self { stream: TcpStream::connect(world.address).await.unwrap(), name: Vec::new() };
        let mut greeting = 196_608_u32.to_be_bytes().to_vec();
        greeting.extend(b"user\0somebody\0application_name\0test\0\0");
        client.write(None, &greeting).await;
        assert_eq!(client.read().await.unwrap(), (b'R', 3_u32.to_be_bytes().to_vec()));
        client.write(Some(b'p'), format!("{token}\0").as_bytes()).await;
        let told = client.told().await;
        (client, told)
    }

    async fn of(world: &World, token: &str) -> Self {
        let (client, told) = Self::greet(world, token).await;
        assert_eq!(told.last().unwrap(), "Z I", "{told:?}");
        client
    }

    async fn write(&mut self, kind: Option<u8>, body: &[u8]) {
        let mut bytes = Vec::from_iter(kind);
        bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
        bytes.extend(body);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// The next message; `None`: there will be none.
    async fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let kind = self.stream.read_u8().await.ok()?;
        let mut body = vec![0; self.stream.read_u32().await.ok()? as usize - 4];
        self.stream.read_exact(&mut body).await.ok()?;
        Some((kind, body))
    }

    /// What comes up to when the next question may, in short: rows are counted, of an error the code is told.
    async fn told(&mut self) -> Vec<String> {
        let (mut told, mut rows) = (Vec::new(), 0);
        while let Some((kind, body)) = self.read().await {
            if kind == b'D' {
                rows += 1;
                continue;
            }
            if rows > 0 {
                told.push(format!("{rows} rows"));
                rows = 0;
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
            match kind {
                b'S' => {}
                b'K' => self.name = body,
                b'Z' => {
                    told.push(format!("Z {}", text(&body)));
                    return told;
                }
                b'C' => told.push(format!("C {}", text(&body))),
                b'E' => {
                    let field = |name| body.split(|byte| *byte == 0).find(|field| field.first() == Some(&name));
                    told.push(format!("E {} {}", text(&field(b'S').unwrap()[1..]), text(&field(b'C').unwrap()[1..])));
                }
                other => told.push(char::from(other).to_string()),
            }
        }
        told.push("end".to_owned());
        told
    }

    async fn query(&mut self, sql: &str) -> Vec<String> {
        self.write(Some(b'Q'), format!("{sql}\0").as_bytes()).await;
        self.told().await
    }

    /// Parses, binds without values, describes and executes for so many rows.
    async fn ask(&mut self, sql: &str, rows: i32) {
        self.write(Some(b'P'), format!("\0{sql}\0\0\0").as_bytes()).await;
        self.write(Some(b'B'), b"\0\0\0\0\0\0\0\0").await;
        self.write(Some(b'D'), b"P\0").await;
        self.execute(rows).await;
    }

    async fn execute(&mut self, rows: i32) {
        self.write(Some(b'E'), &[&b"\0"[..], &rows.to_be_bytes()].concat()).await;
    }

    async fn sync(&mut self) -> Vec<String> {
        self.write(Some(b'S'), b"").await;
        self.told().await
    }
}

async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..500 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}

#[tokio::test]
async fn statements_are_answered_and_their_reader_is_the_tokens() {
    let world = world(PostgresSettings::default()).await;
    let mut ann = Client::of(&world, "ann").await;
    assert_eq!(ann.query("select n").await, ["T", "2500 rows", "C SELECT 2500", "Z I"]);
    assert_eq!(world.engine.last().reader.as_deref(), Some("ann"));
    let mut admin = Client::of(&world, "admin").await;
    assert_eq!(admin.query("select n; select version(); ;").await.last().unwrap(), "Z I");
    assert_eq!(world.engine.last().reader, None);
    assert_eq!(admin.query("").await, ["I", "Z I"]);
    assert_eq!(
        admin.query("select n; select nothing; select n").await[2..],
        ["C SELECT 2500", "E ERROR 42P01", "Z I"][..]
    );
    assert_eq!(world.engine.last().owner.as_deref(), Some("admin"), "callers take turns by their names");
    assert_eq!(admin.query("copy x from stdin").await, ["E ERROR 0A000", "Z I"]);
    // The engine is not asked of what it would say of their columns.
    for change in ["create temp table nothing (n int)", "insert into nothing values (1)", "vacuum nothing"] {
        assert_eq!(admin.query(change).await, ["E ERROR 25006", "Z I"], "{change}");
    }
}

#[tokio::test]
async fn a_portal_is_read_in_parts_and_an_error_passes_over_the_rest() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client::of(&world, "ann").await;
    assert_eq!(client.query("begin").await, ["C BEGIN", "Z T"]);
    client.ask("select n", 1_200).await;
    assert_eq!(client.sync().await, ["1", "2", "T", "1200 rows", "s", "Z T"]);
    client.execute(1_300).await;
    assert_eq!(client.sync().await, ["1300 rows", "C SELECT 1300", "Z T"]);
    client.execute(-5).await;
    assert_eq!(client.sync().await, ["C SELECT 0", "Z T"]);
    client.ask("select nothing", 0).await;
    client.ask("select n", 0).await;
    assert_eq!(client.sync().await, ["1", "2", "T", "E ERROR 42P01", "Z E"]);
    assert_eq!(client.query("select n").await, ["E ERROR 25P02", "Z E"]);
    assert_eq!(client.query("commit").await, ["C ROLLBACK", "Z I"]);
    client.execute(0).await;
    assert_eq!(client.sync().await, ["E ERROR 34000", "Z I"]);
}

#[tokio::test]
async fn the_engine_is_given_casts_for_parameters() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client::of(&world, "ann").await;
    // $1 is of the type that its place asks for, $2 of the one that the client says: 25, a text.
    client.write(Some(b'P'), b"\0select n where n > $1 and s = $2 and n < $1\0\0\x02\0\0\0\0\0\0\0\x19").await;
    client.write(Some(b'D'), b"S\0").await;
    client.write(Some(b'B'), b"\0\0\0\0\0\x02\0\0\0\x019\0\0\0\x02it\0\0").await;
    client.execute(0).await;
    assert_eq!(client.sync().await, ["1", "t", "T", "2", "2500 rows", "C SELECT 2500", "Z I"]);
    let Statement { sql, parameters, .. } = world.engine.last();
    assert_eq!(sql, "select n where n > cast(? as bigint) and s = ? and n < cast(? as bigint)");
    assert_eq!(parameters, ["9", "it", "9"]);
    client.write(Some(b'P'), b"\0select n where n > $1\0\0\0").await;
    client.write(Some(b'B'), b"\0\0\0\0\0\0\0\0").await;
    assert_eq!(client.sync().await, ["1", "E ERROR 08P01", "Z I"]);
}

#[tokio::test]
async fn a_cursor_gives_rows_until_its_transaction_ends() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client::of(&world, "ann").await;
    assert_eq!(client.query("declare c cursor for select n").await, ["E ERROR 25P01", "Z I"]);
    assert_eq!(client.query("begin; declare c cursor for select n").await, ["C BEGIN", "C DECLARE CURSOR", "Z T"]);
    assert_eq!(client.query("fetch 10 from c").await, ["T", "10 rows", "C FETCH 10", "Z T"]);
    client.ask("fetch all from c", 0).await;
    assert_eq!(client.sync().await, ["1", "2", "T", "2490 rows", "C FETCH 2490", "Z T"]);
    assert_eq!(client.query("fetch c").await, ["T", "C FETCH 0", "Z T"]);
    assert_eq!(client.query("end; begin; fetch c").await, ["C COMMIT", "C BEGIN", "E ERROR 34000", "Z E"]);
}

#[tokio::test]
async fn nobody_comes_in_with_a_wrong_token_or_stays_with_an_old_one() {
    let world = world(PostgresSettings::default()).await;
    for (token, code) in [("bob", "E FATAL 28P01"), ("", "E FATAL 28P01")] {
        assert_eq!(Client::greet(&world, token).await.1, [code, "end"], "{token}");
    }
    let mut client = Client::of(&world, "ann").await;
    world.doorman.closed.store(true, Ordering::Relaxed);
    assert_eq!(client.query("select n").await, ["E FATAL 28P01", "end"]);
}

#[tokio::test]
async fn a_statement_stops_when_it_is_cancelled_or_its_client_goes() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client::of(&world, "ann").await;
    for secret_is_right in [false, true] {
        client.write(Some(b'Q'), b"select for ever\0").await;
        eventually(|| !world.engine.started.lock().unwrap().is_empty()).await;
        let mut other = Client { stream: TcpStream::connect(world.address).await.unwrap(), name: Vec::new() };
        let mut request = 80_877_102_u32.to_be_bytes().to_vec();
        request.extend(&client.name);
        if !secret_is_right {
            *request.last_mut().unwrap() ^= 1;
        }
        other.write(None, &request).await;
        assert_eq!(other.read().await, None);
        if secret_is_right {
            assert_eq!(client.told().await, ["E ERROR 57014", "Z I"]);
        } else {
            // It runs on; the next round's statement waits behind it.
            let waited = tokio::time::timeout(Duration::from_millis(100), client.read()).await;
            assert!(waited.is_err());
            let mut right = 80_877_102_u32.to_be_bytes().to_vec();
            right.extend(&client.name);
            let mut other = Client { stream: TcpStream::connect(world.address).await.unwrap(), name: Vec::new() };
            other.write(None, &right).await;
            assert_eq!(client.told().await, ["E ERROR 57014", "Z I"]);
        }
    }
    assert_eq!(client.query("select n").await.len(), 4);
    client.write(Some(b'Q'), b"select for ever\0").await;
    let began = world.engine.started.lock().unwrap().len();
    eventually(|| world.engine.started.lock().unwrap().len() >= began.max(4)).await;
    drop(client);
    eventually(|| world.engine.cancelled.lock().unwrap().contains(&"3".to_owned())).await;
}

#[tokio::test]
async fn there_are_so_many_connections_and_an_idle_one_ends() {
    let settings = PostgresSettings { connections: 1, idle: Duration::from_millis(300) };
    let world = world(settings).await;
    let mut first = Client::of(&world, "ann").await;
    assert_eq!(Client::greet(&world, "ann").await.1, ["E FATAL 53300", "end"]);
    assert_eq!(first.told().await, ["E FATAL 57P05", "end"]);
    Client::of(&world, "ann").await;
}

#[tokio::test]
async fn what_a_connection_remembers_is_counted() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client::of(&world, "ann").await;
    for number in 0..300 {
        client.write(Some(b'P'), format!("s{number}\0select n\0\0\0").as_bytes()).await;
    }
    let told = client.sync().await;
    assert_eq!(told.iter().filter(|told| *told == "1").count(), 256);
    assert_eq!(told[256..], ["E ERROR 53400", "Z I"]);
    client.query("begin").await;
    for number in 0..40 {
        client.write(Some(b'B'), format!("p{number}\0s0\0\0\0\0\0\0\0").as_bytes()).await;
    }
    assert_eq!(client.sync().await[32..], ["E ERROR 53400", "Z E"]);
}

#[tokio::test]
async fn a_node_that_stops_says_so() {
    let world = world(PostgresSettings::default()).await;
    let mut idle = Client::of(&world, "ann").await;
    let mut busy = Client::of(&world, "ann").await;
    busy.write(Some(b'Q'), b"select for ever\0").await;
    eventually(|| !world.engine.started.lock().unwrap().is_empty()).await;
    world.stop.cancel();
    assert_eq!(idle.told().await, ["E FATAL 57P01", "end"]);
    assert_eq!(busy.told().await, ["E FATAL 57P01", "end"]);
    world.serving.await.unwrap();
}

#[tokio::test]
async fn other_protocols_are_turned_away() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client { stream: TcpStream::connect(world.address).await.unwrap(), name: Vec::new() };
    client.stream.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    assert_eq!(client.told().await, ["E FATAL 08P01", "end"]);
    let mut client = Client { stream: TcpStream::connect(world.address).await.unwrap(), name: Vec::new() };
    client.write(None, &80_877_103_u32.to_be_bytes()).await;
    assert_eq!(client.stream.read_u8().await.unwrap(), b'N');
    let mut greeting = 196_608_u32.to_be_bytes().to_vec();
    greeting.extend(b"user\0u\0replication\0database\0\0");
    client.write(None, &greeting).await;
    assert_eq!(client.told().await, ["E FATAL 0A000", "end"]);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_not_waited_for_when_the_node_stops() {
    let world = world(PostgresSettings::default()).await;
    let mut stalled = Client::of(&world, "ann").await;
    stalled.write(Some(b'Q'), b"select without end\0").await;
    // Until nothing more goes into what lies between the two.
    let (mut pages, mut before) = (1, 0);
    while pages > before {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (before, pages) = (pages, world.engine.pages.load(Ordering::Relaxed));
    }
    let mut listening = Client::of(&world, "ann").await;
    world.stop.cancel();
    assert_eq!(listening.told().await, ["E FATAL 57P01", "end"]);
    tokio::time::timeout(FAREWELL + Duration::from_secs(2), world.serving).await.unwrap().unwrap();
    drop(stalled);
}

#[tokio::test]
async fn a_fetch_that_was_prepared_is_refused_for_a_cursor_of_other_columns() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client::of(&world, "ann").await;
    client.query("begin; declare c cursor for select n").await;
    client.write(Some(b'P'), b"f\0fetch 2 from c\0\0\0").await;
    let fetch = async |client: &mut Client| {
        client.write(Some(b'B'), b"\0f\0\0\0\0\0\0\0").await;
        client.execute(0).await;
        client.sync().await
    };
    assert_eq!(fetch(&mut client).await, ["1", "2", "2 rows", "C FETCH 2", "Z T"]);
    // The same columns again, and then others.
    client.query("close c; declare c cursor for select n").await;
    assert_eq!(fetch(&mut client).await, ["2", "2 rows", "C FETCH 2", "Z T"]);
    client.query("close c; declare c cursor for select words").await;
    assert_eq!(fetch(&mut client).await, ["2", "E ERROR 0A000", "Z E"]);
    client.query("rollback; begin; declare c cursor for select words").await;
    assert_eq!(client.query("fetch 2 from c").await, ["T", "2 rows", "C FETCH 2", "Z T"]);
}

#[tokio::test]
async fn statements_say_which_connection_asks() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client::of(&world, "ann").await;
    client.query("set application_name = 'a test'; select n").await;
    let Dialect::Postgres(session) = world.engine.last().dialect else { panic!("it is for Postgres") };
    assert_eq!((session.user.as_str(), session.database.as_str()), ("ann", "somebody"));
    assert_eq!(session.process.to_be_bytes(), client.name[..4]);
    assert_eq!(session.setting("Application_Name"), Some("a test"));
    assert_eq!(session.setting("server_version_num"), Some("160000"));
}

#[tokio::test]
async fn what_comes_with_the_password_is_answered() {
    let world = world(PostgresSettings::default()).await;
    let mut client = Client { stream: TcpStream::connect(world.address).await.unwrap(), name: Vec::new() };
    let mut greeting = 196_608_u32.to_be_bytes().to_vec();
    greeting.extend(b"user\0somebody\0\0");
    let mut said = u32::try_from(greeting.len() + 4).unwrap().to_be_bytes().to_vec();
    said.extend(greeting);
    said.extend(b"p\0\0\0\x08ann\0Q\0\0\0\x0dselect n\0");
    client.stream.write_all(&said).await.unwrap();
    assert_eq!(client.told().await, ["R", "R", "Z I"]);
    let answered = tokio::time::timeout(Duration::from_secs(5), client.told()).await.unwrap();
    assert_eq!(answered, ["T", "2500 rows", "C SELECT 2500", "Z I"]);
}
