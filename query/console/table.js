// Rows of values as a table.

import { h } from "./dom.js";
import { stamp } from "./format.js";

const NUMBERS = /^(tinyint|smallint|integer|bigint|real|double|decimal.*|u?int(8|16|32|64)|float(16|32|64)?)$/i;
const TIMES = /^(timestamp.*|date)$/i;
/** A longer text is cut in a table; the cell's title has the rest, up to this. */
const TITLE_CHARS = 2000;

export const isNumeric = (type) => NUMBERS.test(type);
export const isTemporal = (type) => TIMES.test(type);

/** The text of a value, whatever it is. */
export function text(value) {
  if (value === null || value === undefined) return "null";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** A cell for a value of a column's type; as a `date`, a time is shown without the fractions of a second that it does not have. */
export function cell(value, type) {
  if (value === null || value === undefined) return h("td", { class: "null" }, "null");
  if (isNumeric(type)) return h("td", { class: "number" }, text(value));
  if (type === "date") return h("td", { class: "time" }, value.replace("T", " ").replace(/Z$/, ""));
  if (isTemporal(type)) return h("td", { class: "time" }, stamp(value));
  const shown = text(value);
  return h("td", { class: "text", title: shown.length > 40 ? shown.slice(0, TITLE_CHARS) : null }, shown.slice(0, 400));
}

/** Heads of columns with their types. */
export function heads(columns) {
  return h(
    "tr",
    {},
    columns.map(({ name, type }) => h("th", { scope: "col", class: isNumeric(type) ? "number" : null }, name, h("span", { class: "type" }, type))),
  );
}
