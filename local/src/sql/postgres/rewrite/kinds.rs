//! The types of Postgres that DataFusion does not know by their names.

use datafusion::sql::sqlparser::ast::{ArrayElemTypeDef, DataType};

/// What becomes of a cast.
pub(super) enum Cast {
    Stays,
    /// To this type.
    To(DataType),
    /// What is cast is of such a type already.
    Dropped,
    /// It is what this function gives.
    Function(&'static str),
}

/// What becomes of a cast to this type.
pub(super) fn cast(kind: &DataType) -> Cast {
    let name = match kind {
        DataType::Regclass => return Cast::Function("regclass"),
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, size)) => {
            return match cast(item) {
                Cast::To(item) => Cast::To(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(item), *size))),
                Cast::Function(_) => Cast::Dropped,
                other => other,
            };
        }
        DataType::Custom(name, _) => match super::last(name) {
            Some(name) => name.value.to_ascii_lowercase(),
            None => return Cast::Stays,
        },
        _ => return Cast::Stays,
    };
    Cast::To(match name.as_str() {
        "regclass" => return Cast::Function("regclass"),
        "regtype" => return Cast::Function("regtype"),
        "regproc" | "regprocedure" => return Cast::Function("regproc"),
        "regnamespace" => return Cast::Function("regnamespace"),
        "regrole" => return Cast::Function("regrole"),
        "int2vector" | "oidvector" | "anyarray" => return Cast::Dropped,
        "oid" | "xid" | "cid" | "int8" => DataType::BigInt(None),
        "int4" | "cardinal_number" => DataType::Integer(None),
        "int2" => DataType::SmallInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "bool" => DataType::Boolean,
        "name" | "char" | "text" | "varchar" | "bpchar" | "cstring" | "unknown" | "aclitem" | "pg_node_tree"
        | "sql_identifier" | "character_data" | "yes_or_no" => DataType::Varchar(None),
        _ => return Cast::Stays,
    })
}
