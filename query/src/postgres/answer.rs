//! The rows of an answer, on their way to a client: a page at a time, however many there are.

use std::collections::VecDeque;
use std::sync::Arc;

use alluvium_core::ports::{Advice, PortError, SqlEngine, Statement, StatementId};
use arrow::record_batch::RecordBatch;
use bytes::BytesMut;
use futures::SinkExt as _;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::DataRow;
use tokio::io::WriteHalf;
use tokio_util::codec::FramedWrite;

use super::columns::{Column, Formats, columns};
use super::messages::Messages;
use super::refusal::Refusal;
use super::tls::Wire;
use super::values::Values;

/// What a client is written to.
pub(super) type Writer = FramedWrite<WriteHalf<Wire>, Messages>;

/// The most columns of an answer. PostgreSQL Documentation, appendix "PostgreSQL Limits".
const COLUMNS: usize = 1_664;

/// How many rows become values at a time.
const ROWS: usize = 1_024;

/// An answer, as far as it was not sent yet.
pub(super) struct Answer {
    pub(super) columns: Vec<Column>,
    batches: VecDeque<RecordBatch>,
    next: Option<String>,
    started: Option<Started>,
}

/// A statement that was started. Dropping it stops it, and its results are forgotten.
struct Started {
    engine: Arc<dyn SqlEngine>,
    id: StatementId,
}

impl Drop for Started {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (engine, id) = (self.engine.clone(), self.id.clone());
        runtime.spawn(async move {
            if let Err(error) = engine.cancel(&id).await {
                tracing::debug!(%error, "a statement could not be stopped");
            }
        });
    }
}

impl Answer {
    /// Starts a statement and waits for its first rows.
    pub(super) async fn of(engine: &Arc<dyn SqlEngine>, statement: Statement) -> Result<Self, PortError> {
        let id = engine.start(statement).await?;
        let started = Started { engine: engine.clone(), id };
        let page = engine.results(&started.id, None).await?;
        let mut answer = Self { started: page.next.is_some().then_some(started), ..Self::known(page.batches) };
        answer.next = page.next;
        if answer.columns.len() > COLUMNS {
            let message = format!("the answer has {} columns; at most {COLUMNS} can be sent", answer.columns.len());
            return Err(PortError::new(Advice::Stop, message));
        }
        Ok(answer)
    }

    /// An answer of which all is known.
    pub(super) fn known(batches: Vec<RecordBatch>) -> Self {
        let columns = batches.first().map(|batch| columns(batch.schema_ref())).unwrap_or_default();
        Self { columns, batches: batches.into(), next: None, started: None }
    }

    /// The next rows, at most so many; `None`: there are no more.
    async fn rows(&mut self, most: usize) -> Result<Option<RecordBatch>, PortError> {
        loop {
            while let Some(mut batch) = self.batches.pop_front() {
                if batch.num_rows() > most {
                    self.batches.push_front(batch.slice(most, batch.num_rows() - most));
                    batch = batch.slice(0, most);
                }
                if batch.num_rows() > 0 {
                    return Ok(Some(batch));
                }
            }
            let (Some(next), Some(started)) = (self.next.take(), &self.started) else { return Ok(None) };
            let page = started.engine.results(&started.id, Some(&next)).await?;
            self.batches.extend(page.batches);
            self.next = page.next;
        }
    }

    /// Sends rows, all of them or at most so many; says how many, and whether that was all there are.
    pub(super) async fn send(
        &mut self,
        formats: &Formats,
        most: Option<usize>,
        to: &mut Writer,
    ) -> Result<(usize, Left), Refusal> {
        let mut sent = 0;
        while most.is_none_or(|most| sent < most) {
            let room = most.map_or(ROWS, |most| ROWS.min(most - sent));
            let Some(rows) = self.rows(room).await.map_err(|error| Refusal::engine(&error, ""))? else {
                return Ok((sent, Left::Nothing));
            };
            let values = self.columns.iter().zip(rows.columns());
            let values = values.map(|(column, values)| Values::new(column.kind, values)).collect::<Result<Vec<_>, _>>();
            let values = values.map_err(|error| Refusal::statement("XX000", error.to_string()))?;
            for row in 0..rows.num_rows() {
                let mut data = BytesMut::new();
                values.iter().enumerate().for_each(|(at, values)| values.write(row, formats.of(at), &mut data));
                let count = i16::try_from(values.len()).expect("there are at most 1,664 columns");
                to.feed(PgWireBackendMessage::DataRow(DataRow::new(data, count))).await?;
            }
            sent += rows.num_rows();
        }
        let nothing = self.batches.iter().all(|batch| batch.num_rows() == 0) && self.next.is_none();
        Ok((sent, if nothing { Left::Nothing } else { Left::Rows }))
    }
}

/// What is left of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Rows,
}
