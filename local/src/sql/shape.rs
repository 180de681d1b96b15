//! What a statement would answer: it is planned, and not run.

use std::sync::Arc;

use alluvium_core::ports::{PortError, SqlPlanner, Statement, StatementShape};
use async_trait::async_trait;

use super::error::{refused, too_slow};
use super::statement::read_only;
use super::{DataFusionSql, Planner, Read, size};

#[async_trait]
impl SqlPlanner for DataFusionSql {
    async fn shape(&self, statement: &Statement) -> Result<StatementShape, PortError> {
        size::check_text(&statement.sql)?;
        let _permit = self.shaping.acquire().await.expect("the engine never closes the semaphore");
        let (planner, statement) = (self.planner.clone(), statement.clone());
        let limit = self.settings.time_limit;
        let planned = async move { tokio::time::timeout(limit, planner.shape(&statement)).await };
        self.with_its_stack(planned).await?.map_err(|_| too_slow(limit))?
    }
}

impl Planner {
    async fn shape(&self, asked: &Statement) -> Result<StatementShape, PortError> {
        let Read { state, statement, places } = self.read(asked, &Arc::default())?;
        let plan = read_only(&state, statement).await?;
        let mut known = plan.get_parameter_types().map_err(|error| refused(&error))?;
        let parameters = (1..=places).map(|number| known.remove(&format!("${number}")).flatten()).collect();
        Ok(StatementShape { columns: plan.schema().inner().clone(), parameters })
    }
}
