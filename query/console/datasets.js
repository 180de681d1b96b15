// The datasets: columns, rows, and the files that hold them.

import { session } from "./api.js";
import { h, scroll, viewHead } from "./dom.js";
import { bytes, clock, count, plural } from "./format.js";
import { auditPanel, verdictOf } from "./ledger.js";
import { forAdmins, into, waiting } from "./notice.js";
import { identifier, select } from "./queries.js";
import { tables } from "./schema.js";

const COMMON = new Set(["event_id", "source", "type", "event_time", "event_date", "ingest_time", "owner", "extra"]);

export function open({ main, node, signal }) {
  const { button, place } = auditPanel(signal, (audit) => h("div", { class: "view" }, filesOf(audit), verdictOf(audit)));
  const counting = session.lacks("data.admin")
    ? forAdmins("An audit counts them, of everybody's events: it needs")
    : [h("span", { class: "soft" }, "An audit counts them, and checks every one."), h("div", { class: "right" }, button)];
  const datasets = h("div", { class: "grid" }, waiting("Asking…"));
  main.replaceChildren(
    h("div", { class: "view" },
      viewHead("Datasets"),
      h("section", { class: "panel view", "aria-labelledby": "files-title" },
        h("div", { class: "panel-head" }, h("h2", { id: "files-title" }, "Files"), counting),
        place),
      datasets),
  );
  into(datasets, signal, async () => {
    const found = await tables(signal);
    const known = [...node.datasets, "dead_letters"].filter((name) => found.has(name));
    return known.map((name) => panel(name, found.get(name), signal));
  });
}

function filesOf({ report, at: auditedAt }) {
  const rows = report.tables.map((table) =>
    h("tr", {}, h("th", { scope: "row" }, table.table),
      [count(table.rows), count(table.files), bytes(table.size_bytes), table.files ? bytes(Math.round(table.size_bytes / table.files)) : "–",
        table.rows ? (table.size_bytes / table.rows).toFixed(1) : "–", table.version ?? "–", count(table.orphans), count(table.removed ?? 0)]
        .map((text) => h("td", { class: "number" }, text))));
  const heads = ["table", "rows", "files", "size", "a file", "bytes a row", "version", "orphans", "removed"];
  return scroll("Tables and their files", true,
    h("table", { id: "files" }, h("caption", {}, `The tables as of the audit at ${clock(auditedAt)}`),
      h("thead", {}, h("tr", {}, heads.map((head, at) => h("th", { scope: "col", class: at ? "number" : null }, head)))), h("tbody", {}, rows)));
}

function panel(name, columns, signal) {
  const facts = h("p", { class: "soft" }, "Counting…");
  const table = h("table", {},
    h("caption", { class: "unseen" }, `The columns of ${name}`),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "column"), h("th", { scope: "col" }, "type"), h("th", { scope: "col" }, "may be null"))),
    h("tbody", {}, columns.map((column) =>
      h("tr", {}, h("th", { scope: "row", class: COMMON.has(column.name) ? "mono soft" : "mono" }, column.name), h("td", {}, column.type), h("td", { class: "soft" }, column.isNullable ? "yes" : "no")))));
  countOf(name, signal, facts);
  return h("section", { class: "panel view", "aria-label": name },
    h("div", { class: "panel-head" }, h("h2", { class: "mono" }, name), facts,
      h("span", { class: "right" }, h("a", { href: `#/records?${new URLSearchParams({ dataset: name })}` }, "Records"), " · ",
        h("a", { href: `#/sql?${new URLSearchParams({ q: `select * from ${identifier(name)} limit 50` })}` }, "SQL"))),
    scroll(`The columns of ${name}`, true, table));
}

/** Rows as the log of the table has them: that costs no read of the data. */
async function countOf(name, signal, place) {
  await into(place, signal, async () => {
    const [{ n }] = await select(`select count(*) as n from ${identifier(`${name}_raw`)}`, signal);
    return plural(Number(n), "row");
  });
}
