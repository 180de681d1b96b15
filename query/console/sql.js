// A statement, and what it answers: a chart where there is something to draw, and a table.

import { address, session } from "./api.js";
import { barChart, lineChart } from "./chart.js";
import { announce, h, save, say, scroll, viewHead } from "./dom.js";
import { bytes, count, number, plural, seconds } from "./format.js";
import { failure } from "./notice.js";
import { filesOf, identifier, page, run } from "./queries.js";
import { tables } from "./schema.js";
import { cell, heads, isNumeric, isTemporal, text } from "./table.js";

const ROWS = 500;
const MOST_BARS = 25;
const MOST_SERIES = 6;

export function open({ main, node, signal, query, remember }) {
  const dataset = identifier(node.datasets.includes("telemetry") ? "telemetry" : (node.datasets[0] ?? "data"));
  const examples = [
    ["Newest", `select * from ${dataset} order by event_time desc limit 50`],
    ["Per minute", `select date_trunc('minute', event_time) as minute, count(*) as events\nfrom ${dataset} group by 1 order by 1`],
    ["Busiest sources", `select source, count(*) as events from ${dataset} group by source order by events desc limit 20`],
    ["Dead by reason", "select reason, count(*) as letters from dead_letters group by reason order by letters desc"],
    ["Ledger", "select arrival, dataset, received, written, filtered, dead, bytes\nfrom ledger where received > 0 order by arrival desc limit 100"],
  ].filter(([name]) => name !== "Ledger" || !session.lacks("data.admin"));
  const statement = h("textarea", { id: "statement", rows: 4, spellcheck: "false", autocapitalize: "none", "aria-describedby": "sql-help", value: query.get("q") ?? examples[1][1] });
  const start = h("button", { type: "submit", class: "first" }, "Run");
  const stop = h("button", { type: "button", disabled: true }, "Cancel");
  const said = h("p", { id: "sql-said", class: "soft" });
  const place = h("div", { class: "view" });
  const known = h("div", { class: "soft" }, "Asking…");
  let work = null;

  async function ask(event) {
    event?.preventDefault();
    const sql = statement.value.trim();
    if (sql === "") return statement.focus();
    work?.abort();
    const mine = new AbortController();
    work = mine;
    remember({ q: sql });
    stop.disabled = false;
    place.replaceChildren();
    say(said, "Running…");
    try {
      const result = await run(sql, mine.signal, ({ waiting, elapsed_ms: ms }) => say(said, waiting ? "Waiting for its turn…" : ms ? `Running for ${seconds(ms / 1000)}…` : "Running…"));
      place.replaceChildren(...resultOf(result, mine.signal));
      const parts = [result.next === null ? plural(result.rows.length, "row") : `the first ${plural(result.rows.length, "row")}`];
      if (result.elapsed_ms !== null) parts.push(seconds(result.elapsed_ms / 1000));
      if (result.scanned_bytes !== null) parts.push(`${bytes(result.scanned_bytes)} scanned`);
      say(said, parts.join(" · "));
      announce(`The statement answered with ${plural(result.rows.length, "row")}`);
    } catch (error) {
      if (work !== mine) return;
      say(said, "");
      if (error.name === "AbortError") {
        say(said, "Cancelled.");
        announce("Cancelled");
      } else place.replaceChildren(failure(error));
    } finally {
      if (work === mine) stop.disabled = true;
    }
  }

  signal.addEventListener("abort", () => work?.abort());
  stop.addEventListener("click", () => work?.abort());
  statement.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) ask(event);
  });
  const put = (sql) => {
    statement.value = sql;
    statement.focus();
  };
  main.replaceChildren(
    h(
      "div",
      { class: "view" },
      viewHead("SQL", said),
      h(
        "form",
        { class: "panel view", onsubmit: ask },
        h("label", { for: "statement", class: "unseen" }, "Statement"),
        statement,
        h("div", { class: "buttons" }, start, stop, h("span", { id: "sql-help", class: "soft" }, "Ctrl+Enter runs it. It reads what is committed: a few seconds behind."),
          h("span", { class: "soft", "aria-hidden": "true" }, "·"), examples.map(([name, sql]) => h("button", { type: "button", class: "quiet", onclick: () => put(sql) }, name))),
        h("details", {}, h("summary", {}, "Tables and columns"), known),
      ),
      place,
    ),
  );
  tables(signal).then(
    (found) => known.replaceChildren(...columnsOf(found, statement)),
    (error) => signal.aborted || known.replaceChildren(failure(error)),
  );
  statement.setSelectionRange(statement.value.length, statement.value.length);
  if (query.has("q")) ask();
}

/** The tables with their columns; a click puts a name into the statement. */
function columnsOf(found, statement) {
  const insert = (name) => {
    statement.setRangeText(identifier(name), statement.selectionStart, statement.selectionEnd, "end");
    statement.focus();
  };
  const name = (one) => h("button", { type: "button", class: "plain mono", onclick: () => insert(one) }, one);
  return [...found].map(([table, columns]) => {
    const list = columns.map((column) => h("li", {}, name(column.name), " ", h("span", { class: "soft" }, column.type)));
    return h("details", {}, h("summary", {}, h("span", { class: "mono" }, table), ` ${plural(columns.length, "column")}`), h("p", {}, "Put in ", name(table)), h("ul", { class: "tables" }, list));
  });
}

function resultOf(result, signal) {
  const body = h("tbody", {});
  const chart = h("div", { class: "view" });
  const foot = h("div", { class: "buttons" });
  const { columns, rows } = result;
  const isWhole = columns.map(({ type }, at) => isTemporal(type) && rows.every((row) => !row[at]?.includes(".")));
  const shown = (value, at) => cell(value, isWhole[at] && typeof value === "string" && !value.includes(".") ? "date" : columns[at].type);
  let cursor = result.next;
  /** Puts further rows on the page; a page of the API has thousands. */
  const add = () => {
    const from = body.children.length;
    body.append(...rows.slice(from, from + ROWS).map((row) => h("tr", {}, row.map(shown))));
    const left = rows.length - body.children.length;
    const further = h("button", { type: "button", onclick: () => more(further) }, "More rows");
    foot.replaceChildren(...(left > 0 || cursor !== null ? [further, h("span", { class: "soft" }, `${count(body.children.length)} are here, of ${count(rows.length)}${cursor === null ? "" : " and more"}.`)] : []));
  };
  const more = async (button) => {
    button.disabled = true;
    try {
      if (body.children.length === rows.length) {
        const further = await page(result.id, cursor, signal);
        rows.push(...further.rows);
        cursor = further.next;
        chart.replaceChildren(...chartOf(columns, rows));
      }
      add();
      announce(`${count(body.children.length)} rows are here`);
    } catch (error) {
      if (!signal.aborted) button.replaceWith(failure(error, () => add()));
    }
  };
  if (columns.length === 0) return [h("p", { class: "notice" }, "The statement has no result.")];
  add();
  chart.replaceChildren(...chartOf(columns, rows));
  const table = h("table", { id: "result" }, h("caption", { class: "unseen" }, "The result"), h("thead", {}, heads(columns)), body);
  return [chart, scroll("The result", false, table), h("div", { class: "buttons" }, foot, whole(result, signal))];
}

/** Buttons that save the whole result, where the API has it as files: a link is asked for when one is pressed, so that it is not too old. */
function whole({ id, files }, signal) {
  if (!files) return null;
  const said = h("div", {});
  const button = (kind, name) => {
    const press = async () => {
      said.replaceChildren();
      try {
        save(address((await filesOf(id, signal))[kind]));
        announce(`The whole result is saved as ${name}`);
      } catch (error) {
        if (!signal.aborted) said.replaceChildren(failure(error));
      }
    };
    return h("button", { type: "button", class: "quiet", onclick: press }, `Save all as ${name}`);
  };
  return [button("csv", "CSV"), button("parquet", "Parquet"), said];
}

/** A chart of the result: numbers over the first column of times, else over the first of texts, else over the first of numbers. */
function chartOf(columns, rows) {
  const numeric = columns.flatMap(({ type }, at) => (isNumeric(type) ? [at] : []));
  const across = [columns.findIndex(({ type }) => isTemporal(type)), columns.findIndex(({ type }) => /char|utf8/i.test(type)), numeric.length > 1 ? numeric[0] : -1].find((at) => at >= 0);
  const up = numeric.filter((at) => at !== across);
  if (across === undefined || up.length === 0 || rows.length < 2) return [];
  const place = h("div", {});
  const axis = h("select", {}, columns.map(({ name }, at) => h("option", { value: at }, name)));
  const value = h("select", {}, up.length > 1 ? h("option", { value: "all" }, "every number") : null, up.map((at) => h("option", { value: at }, columns[at].name)));
  axis.value = across;
  // Counts and, say, degrees of latitude have no scale in common.
  value.value = isTemporal(columns[across].type) && up.length > 1 && up.length <= 3 ? "all" : up[0];
  const beside = [h("label", {}, "value", value), h("label", {}, "over", axis)];
  const draw = (event) => {
    const chosen = value.value === "all" ? up.slice(0, MOST_SERIES) : [Number(value.value)];
    place.replaceChildren(drawn(columns, rows, Number(axis.value), chosen, beside));
    event?.target.focus();
  };
  axis.addEventListener("change", draw);
  value.addEventListener("change", draw);
  draw();
  return [h("div", { class: "panel", id: "result-chart" }, place)];
}

const asNumber = (value) => (value === null ? null : Number(value));

function drawn(columns, rows, across, up, beside) {
  const { name, type } = columns[across];
  const names = up.map((at) => columns[at].name).join(", ");
  if (!isTemporal(type) && !isNumeric(type)) return bars(columns, rows, across, up[0], `${columns[up[0]].name} by ${name}`, beside);
  const title = `${names} over ${name}`;
  const isTime = isTemporal(type);
  const place = (row) => (row[across] === null ? NaN : isTime ? Date.parse(zoned(row[across])) : Number(row[across]));
  const points = rows.map((row) => [place(row), row]).filter(([x]) => Number.isFinite(x)).sort(([a], [b]) => a - b);
  if (isTime) breakUp(points);
  const x = points.map(([at]) => at);
  const hasTwice = x.some((at, index) => index > 0 && at === x[index - 1]);
  const series = up.map((at, index) => ({ key: String(at), name: columns[at].name, style: `s${index + 1}` }));
  const y = Object.fromEntries(up.map((at) => [String(at), points.map(([, row]) => asNumber(row?.[at] ?? null))]));
  const values = Object.values(y).flat().filter(Number.isFinite);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const chart = lineChart({ title, beside, height: 200, format: number, series, dots: hasTwice, fromZero: low >= 0 && low < high / 2 });
  chart.update({ x, y, isTime, summary: `${plural(rows.length, "row")}, from ${number(low)} to ${number(high)}.` });
  return chart.element;
}

/** Puts a hole where regular steps leave some out: no line goes where there are no rows. */
function breakUp(points) {
  const steps = points.slice(1).map(([at], index) => at - points[index][0]);
  const step = steps.toSorted((a, b) => a - b)[steps.length >> 1];
  const isRegular = steps.filter((one) => Math.abs(one - step) < step * 0.01).length > steps.length * 0.8;
  if (!isRegular || steps.length < 5) return;
  for (let index = steps.length; index > 0; index -= 1) {
    if (steps[index - 1] > step * 1.5) points.splice(index, 0, [points[index - 1][0] + step, null]);
  }
}

function bars(columns, rows, across, up, title, beside) {
  const all = rows.map((row) => ({ label: text(row[across]), value: asNumber(row[up]) })).filter(({ value }) => Number.isFinite(value));
  const shown = all.slice(0, MOST_BARS);
  const rest = all.length - shown.length;
  return barChart({ title, beside, rows: shown, format: number, summary: rest > 0 ? `The first ${shown.length} rows; ${count(rest)} more are in the table.` : `${plural(shown.length, "row")}, in the order of the result.` });
}

/** A time without a zone is one of UTC here, not of the browser. */
const zoned = (value) => (/[zZ]|[+-]\d\d:?\d\d$/.test(value) || value.length <= 10 ? value : `${value}Z`);
