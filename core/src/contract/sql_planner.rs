//! What every [`SqlPlanner`] does, in statements that need no table.

use arrow::datatypes::DataType;

use crate::ports::{SqlPlanner, Statement};

/// Runs all of them.
///
/// # Panics
///
/// When the planner breaks the contract.
pub async fn all(planner: &dyn SqlPlanner) {
    columns_and_places_are_told(planner).await;
    what_cannot_be_answered_is_refused(planner).await;
}

/// The columns have their names and types, and there is a parameter for each `?` outside of texts, in order.
///
/// # Panics
///
/// When it is not so.
pub async fn columns_and_places_are_told(planner: &dyn SqlPlanner) {
    let sql = "select cast(n as bigint) as n, word from (values (1, 'a ?')) as t (n, word) \
        where word = ? and cast(n as bigint) > ? and cast(? as boolean)";
    let shape = planner.shape(&Statement::new(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let names: Vec<&str> = shape.columns.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["n", "word"]);
    assert_eq!(*shape.columns.field(0).data_type(), DataType::Int64);
    assert!(matches!(shape.columns.field(1).data_type(), DataType::Utf8 | DataType::Utf8View));
    assert_eq!(shape.parameters.len(), 3);
    assert!(matches!(shape.parameters[0], None | Some(DataType::Utf8 | DataType::Utf8View)), "{:?}", shape.parameters);
    assert!(matches!(shape.parameters[1], None | Some(DataType::Int64)), "{:?}", shape.parameters);
}

/// Neither a wrong statement nor one that writes has a shape.
///
/// # Panics
///
/// When one has.
pub async fn what_cannot_be_answered_is_refused(planner: &dyn SqlPlanner) {
    for sql in ["selec 1", "select no_such from (values (1)) as t (n)", "create table t (n int)", ""] {
        assert!(planner.shape(&Statement::new(sql)).await.is_err(), "{sql}");
    }
}
