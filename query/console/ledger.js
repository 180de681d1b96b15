// The ledger as it balances, and the audit that proves it.

import { audit } from "./api.js";
import { lineChart } from "./chart.js";
import { announce, h, scroll } from "./dom.js";
import { bytes, clock, count, moment, plural } from "./format.js";
import { failure } from "./notice.js";
import { select } from "./queries.js";

const SUMS = `select dataset, sum(received) as received, sum(written) as written, sum(filtered) as filtered, sum(dead) as dead,
  sum(bytes) as bytes, sum(coalesce(redriven, 0)) as redriven
from ledger group by dataset order by dataset`;

const HOURS = 6;
const LEAST_MINUTES = 15;

/** What every minute brought: the table is of batches, each with the arrival of its newest record. */
const byMinute = () => `select date_trunc('minute', arrival) as minute, sum(received) as received, sum(dead) as dead
from ledger where received > 0 and arrival >= timestamp '${moment(Date.now() - HOURS * 3_600_000)}' group by 1 order by 1`;

/** The last audit of this tab: `{report, at}`. */
const lastAudit = { report: null, at: null };

/** The ledger's sums by dataset. */
export const sums = (signal) => select(SUMS, signal);

/** A chart of what came in before this page was opened, and how to ask for it anew. */
export function historyChart() {
  const MINUTE = 60_000;
  const chart = lineChart({
    title: "Received", hint: "by the minute of arrival, as the ledger has it", height: 128, sumsUp: false, area: true,
    series: [{ key: "received", name: "received", style: "s1" }, { key: "dead", name: "dead", style: "s4" }],
  });
  async function ask(signal) {
    const rows = new Map((await select(byMinute(), signal)).map((row) => [Date.parse(row.minute), row]));
    // The minute that runs is not over, and the one before it may wait for its commit.
    const to = Math.floor(Date.now() / MINUTE) * MINUTE - 2 * MINUTE;
    const minutes = Math.min(Math.max(...[...rows.keys()].map((at) => (to - at) / MINUTE), LEAST_MINUTES), HOURS * 60);
    const x = Array.from({ length: minutes + 1 }, (_, at) => to - (minutes - at) * MINUTE);
    const of = (key) => x.map((at) => Number(rows.get(at)?.[key] ?? 0));
    const y = { received: of("received"), dead: of("dead") };
    const sum = (values) => values.reduce((all, value) => all + value, 0);
    const summary = `Events that arrived in the last ${HOURS} hours, by the minute: ${count(sum(y.received))} received, ${count(sum(y.dead))} of them dead.`;
    chart.update({ x, y, isTime: true, summary });
  }
  return { element: chart.element, ask };
}

const datasetName = (name) => (name === "dead_letters" ? "(of no dataset)" : name);

/** The sums as a sentence that adds up, and as a table. */
export function ledgerTable(datasets) {
  const total = { dataset: "total", received: 0, written: 0, filtered: 0, dead: 0, bytes: 0, redriven: 0 };
  for (const one of datasets) {
    for (const key of Object.keys(total)) if (key !== "dataset") total[key] += Number(one[key]);
  }
  const missing = datasets.reduce((sum, one) => sum + Math.abs(one.received - one.written - one.filtered - one.dead), 0);
  const term = (value, name) => [h("b", {}, count(value)), ` ${name}`];
  const op = (sign) => h("span", { class: "op" }, ` ${sign} `);
  const sentence = h(
    "p",
    { class: "balance", id: "balance" },
    term(total.received, "received"), op("="), term(total.written, "written"), op("+"), term(total.filtered, "filtered"), op("+"), term(total.dead, "dead"),
    " ",
    missing === 0 ? h("span", { class: "good nowrap" }, "✓ balances") : h("span", { class: "bad nowrap" }, `✗ ${plural(missing, "event")} unaccounted for`),
  );
  const heads = ["dataset", "received", "= written", "+ filtered", "+ dead", "redriven", "bytes"];
  const row = (one, name) => [
    h("th", { scope: "row" }, name),
    [one.received, one.written, one.filtered, one.dead, one.redriven].map((value) => h("td", { class: "number" }, count(value))),
    h("td", { class: "number" }, bytes(Number(one.bytes))),
  ];
  const table = h(
    "table",
    { id: "ledger" },
    h("caption", { class: "unseen" }, "The ledger: events received and what became of them, by dataset"),
    h("thead", {}, h("tr", {}, heads.map((head, at) => h("th", { scope: "col", class: at ? "number" : null }, head)))),
    h("tbody", {}, datasets.map((one) => h("tr", {}, row(one, datasetName(one.dataset))))),
    h("tfoot", {}, h("tr", {}, row(total, "total"))),
  );
  return h("div", { class: "view" }, sentence, scroll("The ledger by dataset", true, table));
}

/** A button that has the node audited, and the place where `show` puts the report. */
export function auditPanel(signal, show = reportOf) {
  const button = h("button", { type: "button" }, "Audit now");
  const place = h("div", { id: "audit" });
  if (lastAudit.report) place.replaceChildren(show(lastAudit));
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.textContent = "Auditing…";
    try {
      lastAudit.report = await audit(signal);
      lastAudit.at = Date.now();
      if (!signal.aborted) place.replaceChildren(show(lastAudit));
      announce(balances(lastAudit.report) ? "The audit balances." : "The audit does not balance.");
    } catch (error) {
      if (!signal.aborted) place.replaceChildren(error.status === 404 ? absent() : failure(error));
    } finally {
      button.disabled = false;
      button.textContent = "Audit now";
    }
  });
  return { button, place };
}

const absent = () => h("p", { class: "notice" }, "This API runs no audits: ask for one with ", h("code", {}, "alluvium audit"), ".");

const balances = (report) => report.checks.every((check) => check.passed);

/** Whether the audit balances, in a sentence. */
export function verdictOf({ report, at }) {
  const verdict = balances(report) ? h("strong", { class: "good" }, "The audit balances.") : h("strong", { class: "bad" }, "The audit does not balance.");
  return h("p", {}, verdict, h("span", { class: "soft" }, ` Made at ${clock(at)}.`));
}

function reportOf({ report, at }) {
  const mark = (passed) => h("span", { class: `mark ${passed ? "good" : "bad"}` }, passed ? "ok" : "problem");
  const check = (one) =>
    h(
      "li",
      {},
      mark(one.passed), one.name,
      one.problems.length + one.notes.length > 0
        ? h("ul", {}, one.problems.map((text) => h("li", { class: "bad wrap" }, text)), one.notes.map((text) => h("li", { class: "wrap" }, text)))
        : null,
    );
  return h("div", { class: "view" }, verdictOf({ report, at }), h("ul", { class: "checks" }, report.checks.map(check)));
}
