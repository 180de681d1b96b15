// The newest records of a dataset, or of one source in it: a chart, a table, and a live tail.

import { records } from "./api.js";
import { lineChart } from "./chart.js";
import { announce, h, say, scroll, viewHead } from "./dom.js";
import { micros, number, plural, stamp } from "./format.js";
import { keyOf, tail } from "./live.js";
import { failure, waiting } from "./notice.js";
import { text } from "./table.js";

const PAGE = 100;
/** So many records a live tail keeps on the page, and so many further pages add. */
const KEPT = 200;
const MOST_COLUMNS = 12;
const RANGES = [["", "any time"], ["-1m", "1 minute"], ["-5m", "5 minutes"], ["-15m", "15 minutes"], ["-1h", "1 hour"], ["-6h", "6 hours"], ["-1d", "1 day"], ["-7d", "7 days"]];

export function open({ main, node, signal, query, remember }) {
  const names = [...node.datasets, "dead_letters"];
  const first = names.includes("telemetry") ? "telemetry" : names[0];
  const dataset = select("Dataset", names.map((name) => [name, name]), query.get("dataset") ?? first);
  const source = h("input", { type: "search", value: query.get("source") ?? "", autocomplete: "off", spellcheck: "false", placeholder: "every source", "aria-label": "Source" });
  const owner = h("input", { type: "search", value: query.get("owner") ?? "", size: 14, autocomplete: "off", spellcheck: "false", placeholder: "all you may see", "aria-label": "Owner" });
  const range = select("Of the last", RANGES, query.get("from") ?? "-15m");
  const live = h("button", { type: "button", "aria-pressed": "false" }, "Live");
  const form = h(
    "form",
    { class: "fields panel", onsubmit: (event) => { event.preventDefault(); load(); } },
    dataset.label, h("label", { class: "wide" }, "Source", source), h("label", {}, "Owner", owner), range.label,
    h("div", { class: "buttons" }, h("button", { type: "submit", class: "first" }, "Show"), live),
  );
  const said = h("p", { id: "records-said", class: "soft" });
  const place = h("div", { class: "view" });
  main.replaceChildren(h("div", { class: "view" }, viewHead("Records", said), form, place));

  let shown = null;
  let work = new AbortController();
  signal.addEventListener("abort", () => work.abort());

  /** Whatever was under way is for a question that nobody asks any more. */
  function anew() {
    work.abort();
    work = new AbortController();
    return work.signal;
  }

  async function load() {
    const current = anew();
    const wanted = { source: source.value.trim(), owner: owner.value.trim(), from: range.value };
    const asked = { dataset: dataset.value, wanted, isLive: isLive() };
    remember({ dataset: asked.dataset, ...wanted, live: asked.isLive ? "1" : "" });
    said.className = "soft";
    place.replaceChildren(waiting("Reading…"));
    say(said, "");
    try {
      const page = await records(asked.dataset, { ...wanted, limit: PAGE }, current);
      if (current.aborted) return;
      shown = new Shown(asked, page, (record) => { source.value = record.source; owner.value = record.owner; load(); });
      place.replaceChildren(...shown.elements(page, more));
      say(said, sentence(shown.list.length, page));
      if (asked.isLive) follow(asked, current);
    } catch (error) {
      if (current.aborted) return;
      place.replaceChildren(failure(error, load));
    }
  }

  async function more(button, cursor) {
    const current = work.signal;
    button.disabled = true;
    const { dataset: name, wanted } = shown.asked;
    try {
      const page = await records(name, { ...wanted, limit: PAGE, cursor }, current);
      if (current.aborted) return;
      shown.add(page.records, KEPT * 10);
      shown.next(page, more);
      say(said, sentence(shown.list.length, page));
      announce(`${plural(page.records.length, "further record")}`);
    } catch (error) {
      if (!current.aborted) button.replaceWith(failure(error));
    }
  }

  function follow(asked, current) {
    const { source: one, owner: whose } = asked.wanted;
    tail({ dataset: asked.dataset, source: one, owner: whose, seen: shown.list }, current, (fresh, isCutShort) => {
      shown.add(fresh, KEPT, true);
      say(said, `Live: ${plural(fresh.length, "new record")}${isCutShort ? " and more" : ""}; the newest ${shown.list.length} are here.`);
      said.className = "soft";
    }, (error) => {
      const mayPass = error.status === 0 || error.status === 429 || error.status >= 500;
      say(said, mayPass ? `Live: ${error.message}; asking again.` : `Live no more: ${error.message}`);
      said.className = "bad";
      return mayPass;
    });
  }

  const isLive = () => live.getAttribute("aria-pressed") === "true";
  function setLive(on) {
    live.setAttribute("aria-pressed", String(on));
    live.textContent = on ? "Live: stop" : "Live";
  }
  live.addEventListener("click", () => {
    setLive(!isLive());
    load();
  });
  setLive(query.get("live") === "1");
  load();
}

function sentence(count, page) {
  const more = page.next === null ? "" : "; there are more";
  return `${plural(count, "record")}, newest first${more}.${page.complete ? "" : " Some may be missing: commits are behind."}`;
}

function select(name, options, value) {
  const known = options.some(([option]) => option === value) ? options : [...options, [value, value]];
  const element = h("select", { "aria-label": name }, known.map(([option, word]) => h("option", { value: option }, word)));
  element.value = value;
  return { label: h("label", {}, name, element), get value() { return element.value; } };
}

/** The records on the page: their chart and their table. */
class Shown {
  list = [];
  #rows = new Map();
  #columns = [];
  #place = h("div", { class: "view" });
  #body = h("tbody", {});
  #foot = h("div", { class: "buttons" });
  #chart = null;
  #field = null;
  #toSource;

  /** `asked` is `{dataset, wanted: {source, owner, from}, isLive}`. */
  constructor(asked, page, toSource) {
    this.asked = asked;
    this.#toSource = toSource;
    this.list = page.records;
  }

  elements(page, more) {
    if (this.list.length > 0) this.#begin();
    else {
      const source = this.asked.wanted.source ? ` of the source “${this.asked.wanted.source}”` : "";
      this.#place.replaceChildren(h("p", { class: "notice" }, `No records${source} in this time. A source is named exactly as it was sent.`));
    }
    this.next(page, more);
    return [this.#place, this.#foot];
  }

  /** The first records say which properties there are. */
  #begin() {
    this.#columns = columnsOf(this.list);
    this.#place.replaceChildren(...[this.#chartPanel(), this.#table()].filter(Boolean));
    this.#draw();
  }

  next(page, more) {
    this.#foot.replaceChildren();
    if (page.next === null || this.asked.isLive) return;
    const button = h("button", { type: "button" }, `${PAGE} older ones`);
    button.addEventListener("click", () => more(button, page.next));
    this.#foot.append(button);
  }

  /** Takes further records in, in the order of time, and keeps the newest `most`. */
  add(records, most, isFresh = false) {
    if (records.length === 0) return;
    const isFirst = this.list.length === 0;
    const all = new Map([...records, ...this.list].map((record) => [keyOf(record), record]));
    this.list = [...all.values()].sort((a, b) => micros(b.time) - micros(a.time)).slice(0, most);
    if (isFirst) this.#begin();
    else this.#draw(isFresh);
  }

  #table() {
    const heads = ["time", ...(this.asked.wanted.source ? [] : ["source"]), "type", ...this.#columns.map(({ name }) => name), "extra", "id"];
    const numeric = new Set(this.#columns.filter((column) => column.isNumeric).map(({ name }) => name));
    return scroll(
      "Records", false,
      h("table", { id: "records" },
        h("caption", {}, "A record's time opens it whole."),
        h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: numeric.has(head) ? "number" : null }, head)))),
        this.#body),
    );
  }

  #draw(isFresh = false) {
    const rows = new Map();
    for (const record of this.list) {
      const key = keyOf(record);
      rows.set(key, this.#rows.get(key) ?? this.#row(record, isFresh));
    }
    const wanted = [...rows.values()].flatMap(({ row, detail }) => (detail ? [row, detail] : [row]));
    for (const [key, { row, detail }] of this.#rows) {
      if (!rows.has(key)) {
        row.remove();
        detail?.remove();
      }
    }
    wanted.forEach((row, at) => {
      const there = this.#body.children[at];
      if (there !== row) this.#body.insertBefore(row, there ?? null);
    });
    this.#rows = rows;
    this.#drawChart();
  }

  #row(record, isFresh) {
    const entry = {};
    const opener = h("button", { type: "button", class: "plain mono", "aria-expanded": "false" }, stamp(record.time));
    const toSource = h("button", { type: "button", class: "plain", title: "Only this source, of this owner", onclick: () => this.#toSource(record) }, record.source);
    const extra = Object.keys(record.extra ?? {}).length;
    entry.row = h(
      "tr",
      { class: isFresh ? "new" : null },
      h("td", { class: "time" }, opener),
      this.asked.wanted.source ? null : h("td", { class: "text" }, toSource),
      h("td", { class: record.type === null ? "null" : "text" }, text(record.type)),
      this.#columns.map(({ name, isNumeric }) => dataCell(record.data[name], isNumeric)),
      h("td", { class: extra ? "text" : "null" }, extra ? JSON.stringify(record.extra).slice(0, 200) : ""),
      h("td", { class: "text mono" }, record.id),
    );
    opener.addEventListener("click", () => {
      if (entry.detail) {
        entry.detail.remove();
        entry.detail = null;
      } else {
        entry.detail = h("tr", { class: "detail" }, h("td", { colspan: entry.row.children.length }, h("pre", { class: "text" }, JSON.stringify(record, null, 2))));
        entry.row.after(entry.detail);
      }
      opener.setAttribute("aria-expanded", String(Boolean(entry.detail)));
    });
    return entry;
  }

  #chartPanel() {
    const fields = this.#columns.filter(({ isNumeric }) => isNumeric).map(({ name }) => name);
    if (fields.length === 0) return null;
    this.#field ??= fields.includes("value") ? "value" : fields[0];
    const chosen = h("select", { "aria-label": "Property shown" }, fields.map((field) => h("option", {}, field)));
    chosen.value = this.#field;
    const place = h("div", {});
    const make = () => {
      // Lines between the readings of different sources would be of nothing.
      const title = `${this.#field} over time`;
      const beside = fields.length > 1 ? h("label", {}, "property", chosen) : null;
      this.#chart = lineChart({ title, beside, height: 160, format: number, fromZero: false, dots: !this.asked.wanted.source, series: [{ key: "value", name: this.#field, style: "s1" }] });
      const isChosen = document.activeElement === chosen;
      place.replaceChildren(this.#chart.element);
      if (isChosen) chosen.focus();
      this.#drawChart();
    };
    chosen.addEventListener("change", () => {
      this.#field = chosen.value;
      make();
    });
    make();
    return h("div", { class: "panel" }, place);
  }

  #drawChart() {
    if (!this.#chart) return;
    const points = this.list.filter((record) => typeof record.data[this.#field] === "number").reverse();
    const values = points.map((record) => record.data[this.#field]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const mean = values.reduce((sum, value) => sum + value, 0) / (values.length || 1);
    const summary = values.length === 0
      ? `None of these records has a number as ${this.#field}.`
      : `${plural(values.length, "reading")} of ${this.asked.wanted.source || "all sources"}, from ${number(low)} to ${number(high)}, ${number(Number(mean.toPrecision(5)))} on average.`;
    this.#chart.update({ x: points.map(({ time }) => micros(time) / 1000), y: { value: values }, isTime: true, summary });
  }
}

/** The properties that these records have, in the order in which they come. */
function columnsOf(records) {
  const columns = new Map();
  for (const { data } of records) {
    for (const [name, value] of Object.entries(data)) {
      const column = columns.get(name) ?? { name, isNumeric: true };
      column.isNumeric &&= typeof value === "number";
      columns.set(name, column);
    }
  }
  return [...columns.values()].slice(0, MOST_COLUMNS);
}

function dataCell(value, isNumeric) {
  if (value === undefined || value === null) return h("td", { class: "null" }, "null");
  if (isNumeric) return h("td", { class: "number" }, String(value));
  return h("td", { class: "text" }, text(value).slice(0, 200));
}
