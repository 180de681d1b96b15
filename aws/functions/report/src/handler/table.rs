//! The Parquet files of a report as a table of the Glue catalogue, which Athena's DDL makes.
//!
//! Source: Amazon Athena User Guide, "CREATE TABLE" and "Data types in Amazon Athena".

use arrow::datatypes::DataType;

/// Columns as DDL declares them.
pub(super) fn columns<'a>(columns: impl Iterator<Item = (&'a str, DataType)>) -> String {
    let columns: Vec<_> =
        columns.map(|(name, kind)| format!("`{}` {}", name.replace('`', "``"), type_of(&kind))).collect();
    columns.join(", ")
}

/// The statement that makes the table `report_<name>` over the files at `location`, unless it is there.
pub(super) fn create(database: &str, report: &str, columns: &str, location: &str) -> String {
    format!(
        "CREATE EXTERNAL TABLE IF NOT EXISTS `{database}`.`report_{report}` ({columns}) STORED AS PARQUET LOCATION '{location}'"
    )
}

/// What DDL calls the type that a column is written in.
fn type_of(kind: &DataType) -> String {
    match kind {
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Binary => "binary".to_owned(),
        // Athena answers what is nested as text.
        _ => "string".to_owned(),
    }
}
