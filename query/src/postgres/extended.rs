//! Extended queries: a statement is prepared, bound to values as a portal, described, and executed, all in messages of their own.

use std::sync::Arc;

use alluvium_core::ports::Statement;
use futures::SinkExt as _;
use pgwire::api::Type;
use pgwire::messages::PgWireBackendMessage as Reply;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, PortalSuspended,
    TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::EmptyQueryResponse;

use super::answer::{Answer, Left, Writer};
use super::asked::{Asked, Fact, asked};
use super::chores::Done;
use super::columns::{Column, Formats, Kind, columns, description};
use super::parameters::{self, Parameter, Place, TEXT, for_engine, numbers};
use super::refusal::Refusal;
use super::session::{Session, told_to_debug};
use super::text;

/// The most statements that a connection has prepared.
const PREPARED: usize = 256;
/// The most bytes of their texts together.
const PREPARED_BYTES: usize = 1024 * 1024;
/// The most types that one of them declares for its parameters.
const TYPES: usize = 1_000;
/// The most portals of a connection, cursors among them.
const PORTALS: usize = 32;
/// The longest name of one.
const NAME_BYTES: usize = 256;

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Prepared {
    sql: String,
    /// `None`: there is no word in it.
    asked: Option<Asked>,
    parameters: Vec<Type>,
    /// The columns of its rows; `None`: it answers without rows.
    columns: Option<Vec<Column>>,
}

/// A statement with its values, and how far it was executed.
pub(super) struct Portal {
    /// `None`: it was declared as a cursor.
    prepared: Option<Arc<Prepared>>,
    parameters: Vec<Parameter>,
    formats: Formats,
    state: State,
}

enum State {
    Bound,
    Open(Answer, &'static str),
    Ended,
}

impl Portal {
    /// A cursor over these rows.
    pub(super) fn cursor(answer: Answer) -> Self {
        Self {
            prepared: None,
            parameters: Vec::new(),
            formats: Formats::default(),
            state: State::Open(answer, "SELECT"),
        }
    }

    /// Its rows, if it was opened.
    pub(super) fn answer(&self) -> Option<&Answer> {
        match &self.state {
            State::Open(answer, _) => Some(answer),
            State::Bound | State::Ended => None,
        }
    }

    /// Sends rows of it.
    pub(super) async fn send(
        &mut self,
        formats: &Formats,
        rows: Option<usize>,
        to: &mut Writer,
    ) -> Result<(usize, Left), Refusal> {
        match &mut self.state {
            State::Open(answer, _) => answer.send(formats, rows, to).await,
            State::Bound | State::Ended => Ok((0, Left::Nothing)),
        }
    }

    fn columns(&self) -> Option<&[Column]> {
        match (&self.state, &self.prepared) {
            (State::Open(answer, _), _) => Some(&answer.columns),
            (_, Some(prepared)) => prepared.columns.as_deref(),
            _ => None,
        }
    }
}

impl Session {
    pub(super) async fn parse(&mut self, parse: Parse) -> Result<(), Refusal> {
        let name = parse.name.clone().unwrap_or_default();
        check_name(&name)?;
        if !self.prepared.contains_key(&name) && self.prepared.len() >= PREPARED {
            let message = format!("{PREPARED} statements are prepared, as many as may be; close some");
            return Err(Refusal::statement("53400", message));
        }
        let others = self.prepared.iter().filter(|(other, _)| **other != name);
        let held: usize = others.map(|(_, prepared)| prepared.sql.len()).sum();
        if held + parse.query.len() > PREPARED_BYTES {
            let message = format!("the prepared statements have more than {PREPARED_BYTES} bytes together; close some");
            return Err(Refusal::statement("53400", message));
        }
        if parse.type_oids.len() > TYPES {
            let message =
                format!("{} types of parameters are declared; at most {TYPES} are taken", parse.type_oids.len());
            return Err(Refusal::statement("54000", message));
        }
        let prepared = self.prepare(parse).await?;
        self.prepared.insert(name, Arc::new(prepared));
        Ok(self.to.feed(Reply::ParseComplete(ParseComplete::new())).await?)
    }

    async fn prepare(&mut self, parse: Parse) -> Result<Prepared, Refusal> {
        let sql = match text::statements(&parse.query).as_slice() {
            [] => return Ok(Prepared { sql: String::new(), asked: None, parameters: Vec::new(), columns: None }),
            [statement] => (*statement).to_owned(),
            _ => return Err(Refusal::statement("42601", "one statement at a time can be prepared")),
        };
        let asked = asked(&sql);
        self.check_transaction(&asked)?;
        let declared = parse.type_oids.iter().map(|oid| match Type::from_oid(*oid) {
            Some(Type::UNKNOWN) => None,
            // A type that is not built in is a text here.
            None => (*oid != 0).then_some(TEXT),
            known => known,
        });
        let mut declared: Vec<Option<Type>> = declared.collect();
        let count = parameters::count(&sql)?;
        declared.resize(declared.len().max(count), None);
        let columns = match &asked {
            Asked::Rows => Some(self.shape(&sql, &mut declared).await?),
            Asked::Declare { from, .. } => {
                self.shape(&sql[*from..], &mut declared).await?;
                None
            }
            Asked::Fetch { cursor, .. } => self.portals.get(cursor).and_then(Portal::columns).map(<[_]>::to_vec),
            Asked::Show(name) => Some(vec![Column::text(name)]),
            // Its client need not wait for the execution to hear of it.
            Asked::Change(word) => return Err(Refusal::change(word)),
            Asked::Facts(facts) => Some(facts.iter().map(fact_column).collect()),
            _ => None,
        };
        let parameters = declared.into_iter().map(|kind| kind.unwrap_or(TEXT)).collect();
        Ok(Prepared { sql, asked: Some(asked), parameters, columns })
    }

    /// The columns of a statement's rows. Parameters of which nothing was declared get the types that their places ask for.
    async fn shape(&mut self, sql: &str, declared: &mut [Option<Type>]) -> Result<Vec<Column>, Refusal> {
        let open = declared.iter().any(Option::is_none);
        let mut columns = self.planned(sql, declared).await?;
        if open {
            declared.iter_mut().for_each(|kind| _ = kind.get_or_insert(TEXT));
            columns = self.planned(sql, declared).await?;
        }
        Ok(columns)
    }

    async fn planned(&mut self, sql: &str, declared: &mut [Option<Type>]) -> Result<Vec<Column>, Refusal> {
        let place = |at: usize| declared.get(at).map(|kind| kind.as_ref().map_or(Place::Open, Place::Typed));
        let (planned, _) = for_engine(sql, place)?;
        let shape = self.watch().over(async {
            self.who.check(self.postgres.gate.as_ref()).await?;
            let reader = self.who.reader().map(str::to_owned);
            let statement = Statement { sql: planned, reader, dialect: self.dialect(), ..Statement::default() };
            let shape = self.postgres.planner.shape(&statement).await;
            shape.map_err(|error| Refusal::engine(&error, sql))
        });
        let shape = shape.await;
        if let Err(Refusal::Statement(info)) = &shape {
            told_to_debug(info, sql);
        }
        let shape = shape?;
        for (number, found) in numbers(sql).zip(&shape.parameters) {
            if let Some(kind @ None) = declared.get_mut(number - 1) {
                *kind = found.as_ref().and_then(parameters::of_place);
            }
        }
        Ok(columns(&shape.columns))
    }

    pub(super) async fn bind(&mut self, bind: Bind) -> Result<(), Refusal> {
        let name = bind.portal_name.unwrap_or_default();
        check_name(&name)?;
        self.check_room_for_portal(&name)?;
        let statement = bind.statement_name.unwrap_or_default();
        let prepared = self.prepared.get(&statement).cloned();
        let prepared = prepared.ok_or_else(|| no_statement(&statement))?;
        let formats = Formats(bind.parameter_format_codes);
        let (given, wanted) = (bind.parameters.len(), prepared.parameters.len());
        if given != wanted || !formats.fit(given) {
            let message = format!("{given} parameters were bound to a statement that has {wanted}");
            return Err(Refusal::statement("08P01", message));
        }
        let bound = prepared
            .parameters
            .iter()
            .zip(&bind.parameters)
            .enumerate()
            .map(|(at, (kind, value))| Parameter::bound(at + 1, kind, formats.of(at), value.as_deref()));
        let parameters = bound.collect::<Result<Vec<_>, _>>()?;
        let formats = Formats(bind.result_column_format_codes);
        let columns = prepared.columns.as_ref().map_or(0, Vec::len);
        if !formats.fit(columns) {
            let message = format!("{} formats were given for {columns} columns", formats.0.len());
            return Err(Refusal::statement("08P01", message));
        }
        let portal = Portal { prepared: Some(prepared), parameters, formats, state: State::Bound };
        self.portals.insert(name, portal);
        Ok(self.to.feed(Reply::BindComplete(BindComplete::new())).await?)
    }

    pub(super) fn check_room_for_portal(&self, name: &str) -> Result<(), Refusal> {
        if !self.portals.contains_key(name) && self.portals.len() >= PORTALS {
            let message = format!("{PORTALS} portals are open, as many as may be; close some, or end the transaction");
            return Err(Refusal::statement("53400", message));
        }
        Ok(())
    }

    pub(super) async fn describe(&mut self, describe: &Describe) -> Result<(), Refusal> {
        let name = describe.name.clone().unwrap_or_default();
        let columns = if describe.target_type == TARGET_TYPE_BYTE_STATEMENT {
            let prepared = self.prepared.get(&name).ok_or_else(|| no_statement(&name))?;
            let types = prepared.parameters.iter().map(Type::oid).collect();
            self.to.feed(Reply::ParameterDescription(ParameterDescription::new(types))).await?;
            prepared.columns.as_deref().map(|columns| description(columns, &Formats::default()))
        } else {
            let portal = self.portals.get(&name).ok_or_else(|| no_portal(&name))?;
            portal.columns().map(|columns| description(columns, &portal.formats))
        };
        let reply = columns.map_or(Reply::NoData(NoData::new()), Reply::RowDescription);
        Ok(self.to.feed(reply).await?)
    }

    pub(super) async fn execute(&mut self, execute: &Execute) -> Result<(), Refusal> {
        let name = execute.name.clone().unwrap_or_default();
        let portal = self.portals.get_mut(&name).ok_or_else(|| no_portal(&name))?;
        if matches!(portal.state, State::Bound) {
            let (parameters, prepared) = (portal.parameters.clone(), portal.prepared.clone());
            let formats = portal.formats.clone();
            let asked = prepared.as_ref().and_then(|prepared| Some((prepared.asked.clone()?, prepared.clone())));
            let Some((asked, prepared)) = asked else {
                return Ok(self.to.feed(Reply::EmptyQueryResponse(EmptyQueryResponse::new())).await?);
            };
            self.check_transaction(&asked)?;
            match self.chore(asked, &prepared.sql, &parameters).await? {
                Done::Tag(tag) => {
                    if let Some(portal) = self.portals.get_mut(&name) {
                        portal.state = State::Ended;
                    }
                    return self.complete(tag.to_owned()).await;
                }
                Done::Cursor { cursor, rows } => {
                    // The names are told too, and a cursor of this name may be another since.
                    let found = &self.cursor(&cursor)?.columns;
                    if prepared.columns.as_ref() != Some(found) {
                        return Err(other_columns());
                    }
                    return self.fetch(&cursor, rows, &formats).await;
                }
                Done::Rows(answer, tag) => {
                    check_columns(prepared.columns.as_deref(), &answer.columns)?;
                    let portal = self.portals.get_mut(&name).ok_or_else(|| no_portal(&name))?;
                    portal.state = State::Open(answer, tag);
                }
            }
        }
        // 0 stands for all, and so does what makes no sense.
        let most = usize::try_from(execute.max_rows).ok().filter(|most| *most > 0);
        let watch = self.watch();
        let portal = self.portals.get_mut(&name).ok_or_else(|| no_portal(&name))?;
        let tag = if let State::Open(_, tag) = &portal.state { *tag } else { "SELECT" };
        let formats = portal.formats.clone();
        let sent = watch.over(portal.send(&formats, most, &mut self.to)).await;
        if sent.is_err() {
            // Rows that were taken out and not sent are gone: nobody goes on behind them.
            portal.state = State::Ended;
        }
        let (sent, left) = sent?;
        if left == Left::Nothing {
            portal.state = State::Ended;
        }
        match (left, tag) {
            (Left::Rows, _) => Ok(self.to.feed(Reply::PortalSuspended(PortalSuspended::new())).await?),
            (Left::Nothing, "SHOW") => self.complete("SHOW".to_owned()).await,
            (Left::Nothing, tag) => self.complete(format!("{tag} {sent}")).await,
        }
    }

    pub(super) async fn close(&mut self, close: &Close) -> Result<(), Refusal> {
        let name = close.name.clone().unwrap_or_default();
        if close.target_type == TARGET_TYPE_BYTE_STATEMENT {
            self.prepared.remove(&name);
        } else {
            self.portals.remove(&name);
        }
        Ok(self.to.feed(Reply::CloseComplete(CloseComplete::new())).await?)
    }
}

/// Refuses an answer whose columns are of other types than the client was told. Their names may hold what was bound.
fn check_columns(told: Option<&[Column]>, found: &[Column]) -> Result<(), Refusal> {
    let kinds = |columns: &[Column]| columns.iter().map(|column| column.kind).collect::<Vec<Kind>>();
    if told.is_some_and(|told| kinds(told) == kinds(found)) {
        return Ok(());
    }
    Err(other_columns())
}

fn other_columns() -> Refusal {
    Refusal::statement("0A000", "the statement's columns have changed since it was prepared; prepare it again")
}

fn fact_column((name, fact): &(String, Fact)) -> Column {
    let kind = match fact {
        Fact::Process => Kind::Int4,
        Fact::No => Kind::Bool,
        _ => Kind::Text,
    };
    Column { name: name.clone(), kind }
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if name.len() > NAME_BYTES {
        let message = format!("a name has {} bytes; at most {NAME_BYTES} are taken", name.len());
        return Err(Refusal::statement("42622", message));
    }
    Ok(())
}

fn no_statement(name: &str) -> Refusal {
    Refusal::statement("26000", format!("there is no prepared statement {name:?}"))
}

fn no_portal(name: &str) -> Refusal {
    Refusal::statement("34000", format!("there is no portal {name:?}"))
}
