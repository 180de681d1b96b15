//! The functions that statements call which ask the catalogue: "PostgreSQL Documentation", section "System Information Functions and
//! Operators". They are computed row by row: the relations are short.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use alluvium_core::ports::PostgresSession;
use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::objects::{NAMESPACES, Objects, name_of, types};
use crate::sql::catalog::SCHEMA;

/// Functions that tell of what no table of the lake has; they say null.
const TEXTS: [&str; 20] = [
    "col_description",
    "obj_description",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arg_default",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_functiondef",
    "pg_get_indexdef",
    "pg_get_partition_constraintdef",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef_columns",
    "pg_get_triggerdef",
    "pg_get_viewdef",
    "pg_size_pretty",
    "pg_tablespace_location",
    "shobj_description",
];
const NUMBERS: [&str; 9] = [
    "array_upper",
    "generate_subscripts",
    "pg_database_size",
    "pg_indexes_size",
    "pg_relation_size",
    "pg_stat_get_numscans",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
];
/// What is there can be named without its schema.
const TRUE: [&str; 12] = [
    "pg_collation_is_visible",
    "pg_conversion_is_visible",
    "pg_function_is_visible",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_statistics_obj_is_visible",
    "pg_table_is_visible",
    "pg_ts_config_is_visible",
    "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible",
    "pg_ts_template_is_visible",
    "pg_type_is_visible",
];
const FALSE: [&str; 3] = ["pg_is_in_recovery", "pg_is_other_temp_schema", "pg_relation_is_publishable"];
/// Their last argument is what somebody would do: whoever comes in may read, and nothing else.
const PRIVILEGES: [&str; 6] = [
    "has_any_column_privilege",
    "has_column_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_schema_privilege",
    "has_table_privilege",
];

type Body = Arc<dyn Fn(&[ScalarValue]) -> ScalarValue + Send + Sync>;

/// Functions that say the same to everybody.
pub(super) fn fixed() -> &'static [Arc<ScalarUDF>] {
    static FIXED: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
        let mut functions = Vec::new();
        functions.extend(TEXTS.map(|name| constant(name, ScalarValue::Utf8(None))));
        functions.extend(NUMBERS.map(|name| constant(name, ScalarValue::Int64(None))));
        functions.extend(TRUE.map(|name| constant(name, ScalarValue::Boolean(Some(true)))));
        functions.extend(FALSE.map(|name| constant(name, ScalarValue::Boolean(Some(false)))));
        functions
            .extend(PRIVILEGES.map(|name| function(name, DataType::Boolean, |arguments| may_read(arguments).into())));
        functions.extend([
            constant("pg_has_role", ScalarValue::Boolean(Some(true))),
            constant("current_schema", SCHEMA.into()),
            constant("pg_encoding_to_char", "UTF8".into()),
            constant("getdatabaseencoding", "UTF8".into()),
            constant("pg_char_to_encoding", ScalarValue::Int64(Some(6))),
            constant("pg_my_temp_schema", ScalarValue::Int64(Some(0))),
            function("current_schemas", list_of_texts(), |arguments| match arguments {
                [ScalarValue::Boolean(Some(true))] => texts(&["pg_catalog", SCHEMA]),
                _ => texts(&[SCHEMA]),
            }),
            function("format_type", DataType::Utf8, |arguments| {
                ScalarValue::Utf8(number(arguments.first()).map(|oid| type_name(oid).to_owned()))
            }),
            function("quote_ident", DataType::Utf8, |arguments| ScalarValue::Utf8(text(arguments.first()).map(quoted))),
            function("to_regtype", DataType::Int64, |arguments| {
                ScalarValue::Int64(text(arguments.first()).and_then(type_oid))
            }),
            either_way("regtype", |oid| Some(type_name(oid).to_owned()), type_oid),
            either_way(
                "regnamespace",
                |oid| name_of(&NAMESPACES, oid).map(str::to_owned),
                |name| NAMESPACES.iter().find(|(_, known)| *known == name).map(|(oid, _)| *oid),
            ),
            // There are no functions in `pg_proc`; the relations name them by what they are called.
            function("regproc", DataType::Utf8, |arguments| {
                ScalarValue::Utf8(Some(
                    text(arguments.first()).unwrap_or("-").trim_start_matches("pg_catalog.").to_owned(),
                ))
            }),
        ]);
        functions
    });
    &FIXED
}

/// Functions that say what the connection and the reader know.
pub(super) fn of(session: &Arc<PostgresSession>, objects: &Arc<Objects>) -> Vec<Arc<ScalarUDF>> {
    let of_database = |name| constant(name, session.database.as_str().into());
    let of_user = |name| constant(name, session.user.as_str().into());
    let version = format!("PostgreSQL {}", session.setting("server_version").unwrap_or_default());
    let (for_numbers, for_names, roles) = (objects.clone(), objects.clone(), objects.clone());
    let (roles_by_name, settings, relations) = (objects.clone(), session.clone(), objects.clone());
    vec![
        of_database("current_database"),
        of_database("current_catalog"),
        of_user("current_user"),
        of_user("current_role"),
        of_user("session_user"),
        of_user("user"),
        constant("version", version.as_str().into()),
        constant("pg_backend_pid", ScalarValue::Int32(Some(session.process))),
        function("current_setting", DataType::Utf8, move |arguments| {
            ScalarValue::Utf8(text(arguments.first()).and_then(|name| settings.setting(name)).map(str::to_owned))
        }),
        function("to_regclass", DataType::Int64, move |arguments| {
            ScalarValue::Int64(text(arguments.first()).and_then(|name| relations.relation(name)))
        }),
        either_way(
            "regclass",
            move |oid| for_numbers.relation_name(oid).map(str::to_owned).or_else(|| Some(oid.to_string())),
            move |name| for_names.relation(name),
        ),
        either_way(
            "regrole",
            |oid| Some(oid.to_string()),
            move |name| roles_by_name.roles().iter().find(|(_, known)| *known == name).map(|(oid, _)| *oid),
        ),
        function("pg_get_userbyid", DataType::Utf8, move |arguments| {
            let name = |oid| name_of(&roles.roles(), oid).map_or_else(|| format!("unknown (OID={oid})"), str::to_owned);
            ScalarValue::Utf8(number(arguments.first()).map(name))
        }),
    ]
}

fn may_read(arguments: &[ScalarValue]) -> bool {
    let Some(asked) = text(arguments.last()) else { return false };
    let mut asked = asked.split(',').map(|privilege| privilege.trim().to_ascii_uppercase());
    asked.any(|privilege| ["SELECT", "USAGE", "CONNECT"].contains(&privilege.as_str()))
}

fn type_name(oid: i64) -> &'static str {
    match oid {
        0 => "-",
        oid => types().find(|(known, ..)| *known == oid).map_or("???", |(_, _, name, _)| name),
    }
}

fn type_oid(name: &str) -> Option<i64> {
    let name = name.trim_start_matches("pg_catalog.").replace('"', "").to_ascii_lowercase();
    types().find(|(_, short, long, _)| *short == name || *long == name).map(|(oid, ..)| oid)
}

/// A name as it stands in a statement: between quotes unless it is plain and in small letters.
fn quoted(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn list_of_texts() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn texts(texts: &[&str]) -> ScalarValue {
    let texts: Vec<ScalarValue> = texts.iter().map(|text| ScalarValue::from(*text)).collect();
    ScalarValue::List(ScalarValue::new_list_nullable(&texts, &DataType::Utf8))
}

fn text(argument: Option<&ScalarValue>) -> Option<&str> {
    argument.and_then(|argument| argument.try_as_str().flatten())
}

fn number(argument: Option<&ScalarValue>) -> Option<i64> {
    match argument?.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

fn constant(name: &'static str, value: ScalarValue) -> Arc<ScalarUDF> {
    function(name, value.data_type(), move |_| value.clone())
}

fn function(
    name: &'static str,
    returns: DataType,
    body: impl Fn(&[ScalarValue]) -> ScalarValue + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    of_returns(name, Returns::Always(returns), Arc::new(body))
}

/// What a cast to a type such as `regclass` is: of a name it makes the number, for comparisons, and of a number the name, to be shown.
fn either_way(
    name: &'static str,
    of_number: impl Fn(i64) -> Option<String> + Send + Sync + 'static,
    of_name: impl Fn(&str) -> Option<i64> + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    let body: Body = Arc::new(move |arguments| match arguments.first() {
        Some(argument) if is_text(&argument.data_type()) => ScalarValue::Int64(text(Some(argument)).and_then(&of_name)),
        argument => ScalarValue::Utf8(number(argument).and_then(&of_number)),
    });
    of_returns(name, Returns::EitherWay, body)
}

fn of_returns(name: &'static str, returns: Returns, body: Body) -> Arc<ScalarUDF> {
    let any = TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::VariadicAny]);
    let signature = Signature::new(any, Volatility::Stable);
    Arc::new(ScalarUDF::new_from_impl(Function { name, signature, returns, body }))
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
}

enum Returns {
    Always(DataType),
    /// A number for a name, a name for a number.
    EitherWay,
}

/// A function that takes any arguments.
struct Function {
    name: &'static str,
    signature: Signature,
    returns: Returns,
    body: Body,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match &self.returns {
            Returns::Always(kind) => kind.clone(),
            Returns::EitherWay if arguments.first().is_none_or(is_text) => DataType::Int64,
            Returns::EitherWay => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, called: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of_row = |row: usize| -> Result<ScalarValue> {
            let argument = |argument: &ColumnarValue| match argument {
                ColumnarValue::Scalar(value) => Ok(value.clone()),
                ColumnarValue::Array(values) => ScalarValue::try_from_array(values, row),
            };
            Ok((self.body)(&called.args.iter().map(argument).collect::<Result<Vec<_>>>()?))
        };
        if called.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_))) {
            return Ok(ColumnarValue::Scalar(of_row(0)?));
        }
        if called.number_rows == 0 {
            return Ok(ColumnarValue::Array(arrow::array::new_empty_array(called.return_type())));
        }
        let values = (0..called.number_rows).map(of_row).collect::<Result<Vec<_>>>()?;
        let values: ArrayRef = ScalarValue::iter_to_array(values)?;
        Ok(ColumnarValue::Array(values))
    }
}
