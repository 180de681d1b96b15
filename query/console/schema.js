// The tables that SQL knows, and their columns.

import { select } from "./queries.js";

const COLUMNS = `select table_name, column_name, data_type, is_nullable
from information_schema.columns order by table_name, ordinal_position`;

/** DataFusion calls columns by Arrow's names there; results, and Athena, by SQL's. */
const SQL_TYPES = { Utf8: "varchar", Utf8View: "varchar", LargeUtf8: "varchar", Int64: "bigint", Int32: "integer", Float64: "double", Boolean: "boolean", Binary: "varbinary", Date32: "date" };

/** `Map {table → [{name, type, isNullable}]}`; a table's raw form stands beside it under its own name. */
export async function tables(signal) {
  const found = new Map();
  for (const row of await select(COLUMNS, signal)) {
    if (!found.has(row.table_name)) found.set(row.table_name, []);
    found.get(row.table_name).push({ name: row.column_name, type: sqlType(row.data_type), isNullable: row.is_nullable !== "NO" });
  }
  return found;
}

function sqlType(type) {
  if (/^Timestamp\(.*UTC/.test(type)) return "timestamp with time zone";
  return SQL_TYPES[type] ?? type;
}
