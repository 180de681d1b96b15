//! A table as one reader sees it: the rows of one owner, and nothing from which those of others could be told (AU-1).
//!
//! The filter stands in the plan, around the scan, and not in the statement's text. Nothing else of a statement is computed on rows that
//! the filter has not let through: a condition like `1 / (value - 5) > 0` would otherwise fail on another owner's row, and its error would
//! tell of it. So only comparisons of a column with a constant, which fail on no row, go below the filter, and the barrier keeps the
//! optimizer from moving others there.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType, col, lit};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
};

/// The column that says whose a row is: every table that readers see has it.
const OWNER: &str = "owner";

/// A table of which only one owner's rows are seen.
#[derive(Debug)]
pub(super) struct OwnRows {
    table: Arc<dyn TableProvider>,
    owner: String,
}

impl OwnRows {
    pub(super) fn new(table: Arc<dyn TableProvider>, owner: &str) -> Self {
        Self { table, owner: owner.to_owned() }
    }
}

#[async_trait]
impl TableProvider for OwnRows {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        self.table.table_type()
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = self.schema();
        let mut read = projection.cloned().unwrap_or_else(|| (0..columns.fields().len()).collect());
        let wanted = read.len();
        let owner = columns.index_of(OWNER)?;
        if !read.contains(&owner) {
            read.push(owner);
        }
        let own = col(OWNER).eq(lit(self.owner.as_str()));
        // A limit would count rows before they are filtered.
        let asked: Vec<_> = filters.iter().cloned().chain([own.clone()]).collect();
        let rows = self.table.scan(session, Some(&read), &asked, None).await?;
        let schema = rows.schema();
        let own = session.create_physical_expr(own, &DFSchema::try_from(schema.clone())?)?;
        let mut rows: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(own, rows)?);
        if read.len() > wanted {
            let keep = |at: usize| {
                let name = schema.field(at).name();
                (Arc::new(Column::new(name, at)) as Arc<dyn PhysicalExpr>, name.clone())
            };
            rows = Arc::new(ProjectionExec::try_new((0..wanted).map(keep).collect::<Vec<_>>(), rows)?);
        }
        Ok(Arc::new(Barrier::new(rows)))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| match cannot_fail(filter) {
            true => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(support).collect())
    }
}

/// Whether a condition compares columns with constants and nothing more, so that there is no row on which it fails.
fn cannot_fail(filter: &Expr) -> bool {
    let constant = |expr: &Expr| matches!(expr, Expr::Literal(..));
    let column = |expr: &Expr| matches!(expr, Expr::Column(_));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            cannot_fail(left) && cannot_fail(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            compares(*op) && (column(left) && constant(right) || constant(left) && column(right))
        }
        Expr::Between(between) => column(&between.expr) && constant(&between.low) && constant(&between.high),
        Expr::InList(list) => column(&list.expr) && list.list.iter().all(constant),
        Expr::IsNull(expr) | Expr::IsNotNull(expr) => column(expr),
        _ => false,
    }
}

fn compares(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Passes rows on, and keeps to itself what stands above it: the optimizer moves nothing through a node that does not say it may.
#[derive(Debug)]
struct Barrier {
    rows: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl Barrier {
    fn new(rows: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(rows.schema()),
            rows.output_partitioning().clone(),
            rows.pipeline_behavior(),
            rows.boundedness(),
        );
        Self { rows, properties: Arc::new(properties) }
    }
}

impl DisplayAs for Barrier {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Barrier")
    }
}

impl ExecutionPlan for Barrier {
    fn name(&self) -> &'static str {
        "Barrier"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.rows]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = children.into_iter().next().expect("a barrier is given back the one child that it has");
        Ok(Arc::new(Self::new(rows)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.rows.execute(partition, context)
    }
}
