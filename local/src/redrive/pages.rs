//! The dead letters that are selected, page by page.

use alluvium_core::ports::{PortError, SqlEngine as _, Statement, StatementId};
use arrow::array::RecordBatch;

use super::letter::COLUMNS;
use crate::sql::{Condition, DataFusionSql};

/// A selection that is read to its end once.
pub(super) struct Pages<'a> {
    sql: &'a DataFusionSql,
    statement: StatementId,
    next: Next,
}

enum Next {
    First,
    Page(String),
    None,
}

impl<'a> Pages<'a> {
    /// Selects the dead letters for which a condition holds and that were not sent again before: of each the first arrival.
    pub(super) async fn select(sql: &'a DataFusionSql, condition: &Condition) -> Result<Self, PortError> {
        let select = format!("select {COLUMNS} from dead_letters where redriven_at is null and {condition}");
        Ok(Self { sql, statement: sql.start(Statement::new(select)).await?, next: Next::First })
    }

    /// The next page; `None`: there was the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<RecordBatch>>, PortError> {
        let page = match &self.next {
            Next::First => None,
            Next::Page(page) => Some(page.as_str()),
            Next::None => return Ok(None),
        };
        let answered = self.sql.results(&self.statement, page).await?;
        self.next = answered.next.map_or(Next::None, Next::Page);
        Ok(Some(answered.batches))
    }
}
