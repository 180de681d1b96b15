//! What every [`SqlEngine`] does, in statements that need no table.
//!
//! They are written in what DataFusion, Trino (Athena) and DuckDB have in common: a parameter stands in a `where`, for Athena takes
//! it nowhere else. What they have not in common the adapter's test hands in as [`Dialect`].

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;

use crate::ports::{PortError, SqlEngine, Statement, StatementId, StatementState};

/// How many rows [`Dialect::numbers`] gives.
pub const NUMBERS: i64 = 2_500;

/// Statements that each engine writes in its own way.
#[derive(Debug, Clone)]
pub struct Dialect {
    /// One column `n` of type `bigint`, and in it the numbers from 1 to [`NUMBERS`] in this order.
    pub numbers: String,
    /// A statement that still runs when somebody asks a moment later.
    pub long: String,
}

/// Runs all of them.
///
/// # Panics
///
/// When the engine breaks the contract.
pub async fn all(engine: &dyn SqlEngine, dialect: &Dialect) {
    rows_of_several_types_come_back(engine).await;
    an_empty_result_knows_its_columns(engine).await;
    a_wrong_statement_fails(engine).await;
    pages_hold_all_rows_in_order(engine, &dialect.numbers).await;
    parameters_are_texts_and_never_sql(engine).await;
    a_wrong_number_of_parameters_is_refused(engine).await;
    a_cancelled_statement_gives_no_results(engine, &dialect.long).await;
    an_unknown_statement_is_an_error(engine).await;
    a_token_starts_one_statement(engine, &dialect.long).await;
    a_token_belongs_to_one_statement(engine, &dialect.long).await;
}

/// All rows of a statement, whatever its pages.
async fn read(engine: &dyn SqlEngine, statement: &StatementId) -> Result<Vec<RecordBatch>, PortError> {
    let mut batches = Vec::new();
    let mut page: Option<String> = None;
    loop {
        let answered = engine.results(statement, page.as_deref()).await?;
        assert!(!answered.batches.is_empty(), "a page has a RecordBatch, if an empty one");
        batches.extend(answered.batches);
        match answered.next {
            Some(next) => page = Some(next),
            None => return Ok(batches),
        }
    }
}

async fn run(engine: &dyn SqlEngine, statement: Statement) -> Result<Vec<RecordBatch>, PortError> {
    let statement = engine.start(statement).await?;
    read(engine, &statement).await
}

async fn answer(engine: &dyn SqlEngine, statement: Statement) -> Vec<RecordBatch> {
    let sql = statement.sql.clone();
    run(engine, statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The rows as texts, null as `-`.
fn texts(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    let cell = |batch: &RecordBatch, row: usize, column: usize| match batch.column(column) {
        column if column.is_null(row) => "-".to_owned(),
        column => array_value_to_string(column, row).expect("a value can be shown"),
    };
    let rows = |batch: &RecordBatch| {
        let columns = 0..batch.num_columns();
        (0..batch.num_rows()).map(|row| columns.clone().map(|column| cell(batch, row, column)).collect()).collect()
    };
    batches.iter().flat_map(|batch| -> Vec<Vec<String>> { rows(batch) }).collect()
}

/// Numbers, texts, truths and days come back as columns of these types, with nulls.
///
/// # Panics
///
/// When they do not.
pub async fn rows_of_several_types_come_back(engine: &dyn SqlEngine) {
    let sql = "select cast(n as bigint) as n, word, cast(half as double) as half, yes, cast(day as date) as day \
        from (values (1, 'it''s one', 0.5, true, '2026-01-31'), (2, null, null, null, null), (3, '', 1.5, false, '1969-12-31')) \
        as t (n, word, half, yes, day) order by n";
    let batches = answer(engine, Statement::new(sql)).await;
    assert_eq!(
        texts(&batches),
        [
            ["1", "it's one", "0.5", "true", "2026-01-31"],
            ["2", "-", "-", "-", "-"],
            ["3", "", "1.5", "false", "1969-12-31"]
        ]
    );
    let schema = batches[0].schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["n", "word", "half", "yes", "day"]);
    let types: Vec<&DataType> = schema.fields().iter().map(|field| field.data_type()).collect();
    assert_eq!(*types[0], DataType::Int64);
    assert!(matches!(types[1], DataType::Utf8 | DataType::Utf8View), "{}", types[1]);
    assert_eq!(types[2..], [&DataType::Float64, &DataType::Boolean, &DataType::Date32]);
}

/// A result without rows is one empty RecordBatch.
///
/// # Panics
///
/// When it is not.
pub async fn an_empty_result_knows_its_columns(engine: &dyn SqlEngine) {
    let sql = "select cast(n as bigint) as n, 'x' as word from (values (1)) as t (n) where n = 2";
    let batches = answer(engine, Statement::new(sql)).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    let schema = batches[0].schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["n", "word"]);
}

/// A wrong statement is refused, or fails: then its status and its results say the same. The message names what is wrong.
///
/// # Panics
///
/// When it is answered.
pub async fn a_wrong_statement_fails(engine: &dyn SqlEngine) {
    let message = match engine.start(Statement::new("select n from no_such_table")).await {
        Err(refused) => refused.message,
        Ok(statement) => {
            let failed = engine.results(&statement, None).await.expect_err("there is no such table");
            if let Ok(status) = engine.status(&statement).await {
                assert!(matches!(status.state, StatementState::Failed(_)), "{status:?}");
            }
            failed.message
        }
    };
    assert!(message.contains("no_such_table"), "{message}");
}

/// Page after page, nothing is missing, doubled or out of order.
///
/// # Panics
///
/// When it is.
pub async fn pages_hold_all_rows_in_order(engine: &dyn SqlEngine, numbers: &str) {
    let batches = answer(engine, Statement::new(numbers)).await;
    let read: Vec<i64> =
        batches.iter().flat_map(|batch| batch["n"].as_primitive::<Int64Type>().values().to_vec()).collect();
    assert!(read.iter().copied().eq(1..=NUMBERS), "{} rows", read.len());
}

/// A parameter is a text until it is cast, and what looks like SQL in it is not.
///
/// # Panics
///
/// When it is something else.
pub async fn parameters_are_texts_and_never_sql(engine: &dyn SqlEngine) {
    let sql = "select word from (values (1, 'it''s'), (2, 'it''s'), (3, 'x')) as t (n, word) where word = ? and n >= cast(? as bigint)";
    let asked = |word: &str, least: &str| {
        let parameters = vec![word.to_owned(), least.to_owned()];
        Statement { parameters, ..Statement::new(sql) }
    };
    assert_eq!(texts(&answer(engine, asked("it's", "2")).await), [["it's"]]);
    assert_eq!(texts(&answer(engine, asked("x", "1")).await), [["x"]]);
    for sly in ["x' or 'x' = 'x", "x\\", "?", "word", "'x'"] {
        assert_eq!(texts(&answer(engine, asked(sly, "1")).await), Vec::<Vec<String>>::new(), "{sly}");
    }
}

/// There is a parameter for each `?`.
///
/// # Panics
///
/// When the engine takes more or fewer.
pub async fn a_wrong_number_of_parameters_is_refused(engine: &dyn SqlEngine) {
    for parameters in [vec![], vec!["1".to_owned(), "2".to_owned()]] {
        let statement = Statement { parameters, ..Statement::new("select n from (values ('1')) as t (n) where n = ?") };
        run(engine, statement).await.expect_err("one `?` takes one parameter");
    }
}

/// After a cancel there are no results, and whoever still knows the statement knows that it was cancelled.
///
/// # Panics
///
/// When there are.
pub async fn a_cancelled_statement_gives_no_results(engine: &dyn SqlEngine, long: &str) {
    let statement = engine.start(Statement::new(long)).await.expect("the statement is right");
    engine.cancel(&statement).await.expect("a statement can be cancelled");
    engine.results(&statement, None).await.expect_err("it was cancelled");
    if let Ok(status) = engine.status(&statement).await {
        assert_eq!(status.state, StatementState::Cancelled);
    }
    engine.cancel(&statement).await.expect("and once more");
}

/// What was never started has neither status nor results.
///
/// # Panics
///
/// When it has.
pub async fn an_unknown_statement_is_an_error(engine: &dyn SqlEngine) {
    let unknown = StatementId("00000000-0000-4000-8000-000000000000".to_owned());
    engine.status(&unknown).await.expect_err("there is no such statement");
    engine.results(&unknown, None).await.expect_err("there is no such statement");
}

fn with_token(sql: &str, token: &str) -> Statement {
    Statement { token: Some(token.to_owned()), ..Statement::new(sql) }
}

/// The same statement with the same token is started once; with another token, or without, again.
///
/// # Panics
///
/// When it is not.
pub async fn a_token_starts_one_statement(engine: &dyn SqlEngine, long: &str) {
    let mut started = Vec::new();
    for statement in [with_token(long, "one"), with_token(long, "one"), with_token(long, "two"), Statement::new(long)] {
        started.push(engine.start(statement).await.expect("the statement is right"));
    }
    assert_eq!(started[0], started[1]);
    assert!(started[1] != started[2] && started[2] != started[3] && started[3] != started[1]);
    for statement in started {
        engine.cancel(&statement).await.expect("a statement can be cancelled");
    }
}

/// A token that started a statement starts no other.
///
/// # Panics
///
/// When it does.
pub async fn a_token_belongs_to_one_statement(engine: &dyn SqlEngine, long: &str) {
    let statement = engine.start(with_token(long, "other")).await.expect("the statement is right");
    engine.start(with_token("select 1", "other")).await.expect_err("the token has started another statement");
    engine.cancel(&statement).await.expect("a statement can be cancelled");
}
