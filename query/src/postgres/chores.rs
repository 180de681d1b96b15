//! What is answered without the lake: transactions, settings, cursors, and what a connection knows of itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use futures::SinkExt as _;
use pgwire::messages::PgWireBackendMessage as Reply;
use pgwire::messages::response::TransactionStatus as Transaction;
use pgwire::messages::startup::ParameterStatus;

use super::answer::Answer;
use super::asked::{Asked, Fact, SERVER_VERSION};
use super::extended::Portal;
use super::parameters::Parameter;
use super::refusal::Refusal;
use super::session::{Session, no_cursor};

/// What a statement came to, apart from the engine's rows.
pub(super) enum Done {
    /// Nothing but its tag.
    Tag(&'static str),
    /// These rows, under this tag.
    Rows(Answer, &'static str),
    /// Rows of a cursor.
    Cursor { cursor: String, rows: Option<usize> },
}

impl Session {
    /// Does what a statement asks for; the engine is asked for rows alone.
    pub(super) async fn chore(&mut self, asked: Asked, sql: &str, parameters: &[Parameter]) -> Result<Done, Refusal> {
        Ok(Done::Tag(match asked {
            Asked::Rows => return Ok(Done::Rows(self.rows(sql, parameters).await?, "SELECT")),
            Asked::Begin => {
                self.transaction = Transaction::Transaction;
                "BEGIN"
            }
            Asked::Commit | Asked::Rollback => {
                let failed = self.transaction == Transaction::Error;
                self.transaction = Transaction::Idle;
                self.portals.clear();
                if failed || asked == Asked::Rollback { "ROLLBACK" } else { "COMMIT" }
            }
            Asked::Savepoint(tag) => {
                if self.transaction == Transaction::Error {
                    self.transaction = Transaction::Transaction;
                }
                tag
            }
            Asked::Set(name, value) => {
                if let Some((name, value)) = self.shown.set(&name, &value)? {
                    self.to.feed(Reply::ParameterStatus(ParameterStatus::new(name.to_owned(), value))).await?;
                }
                "SET"
            }
            Asked::Reset => "RESET",
            Asked::Show(name) => {
                let value = self.shown.show(&name)?.to_owned();
                return Ok(Done::Rows(row(vec![(name, text_value(&value))]), "SHOW"));
            }
            Asked::Facts(facts) => {
                let fact = |(name, fact)| Ok((name, self.fact(&fact)?));
                let facts = facts.into_iter().map(fact).collect::<Result<Vec<_>, Refusal>>()?;
                return Ok(Done::Rows(row(facts), "SELECT"));
            }
            Asked::Deallocate(name) => {
                match name {
                    None => self.prepared.clear(),
                    Some(name) => {
                        let known = self.prepared.remove(&name);
                        known.ok_or_else(|| Refusal::statement("26000", format!("there is no statement {name:?}")))?;
                    }
                }
                "DEALLOCATE"
            }
            Asked::Discard => {
                self.prepared.clear();
                self.portals.clear();
                "DISCARD ALL"
            }
            Asked::Declare { cursor, from } => {
                if self.transaction != Transaction::Transaction {
                    let message = "a cursor lives in a transaction; BEGIN one before DECLARE";
                    return Err(Refusal::statement("25P01", message));
                }
                self.check_room_for_portal(&cursor)?;
                let answer = self.rows(&sql[from..], parameters).await?;
                self.portals.insert(cursor, Portal::cursor(answer));
                "DECLARE CURSOR"
            }
            Asked::Fetch { cursor, rows } => return Ok(Done::Cursor { cursor, rows }),
            Asked::Close(cursor) => {
                match cursor {
                    None => self.portals.clear(),
                    Some(cursor) => drop(self.portals.remove(&cursor).ok_or_else(|| no_cursor(&cursor))?),
                }
                "CLOSE CURSOR"
            }
            Asked::Change(word) => return Err(Refusal::change(&word)),
            Asked::Unknown(instead) => return Err(Refusal::statement("0A000", instead)),
        }))
    }

    fn fact(&self, fact: &Fact) -> Result<ArrayRef, Refusal> {
        Ok(match fact {
            Fact::Version => text_value(&format!("PostgreSQL {SERVER_VERSION}")),
            Fact::Schema => text_value("lake"),
            Fact::Database => text_value(&self.shown.database),
            Fact::User => text_value(self.user()),
            Fact::Process => Arc::new(Int32Array::from(vec![self.cancellable.number])),
            Fact::No => Arc::new(BooleanArray::from(vec![false])),
            Fact::Setting(name) => text_value(self.shown.show(name)?),
        })
    }
}

fn text_value(text: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![text]))
}

/// An answer of one row.
fn row(values: Vec<(String, ArrayRef)>) -> Answer {
    let fields = values.iter().map(|(name, value)| Field::new(name, value.data_type().clone(), false));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let values = values.into_iter().map(|(_, value)| value).collect();
    Answer::known(vec![RecordBatch::try_new(schema, values).expect("each column has one value of its type")])
}
