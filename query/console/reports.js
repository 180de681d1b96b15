// Reports: what is asked of each window of time, and its results as files to save.

import { address, report, reports, session } from "./api.js";
import { announce, h, say, scroll, viewHead } from "./dom.js";
import { bytes, count, plural, stamp } from "./format.js";
import { failure, forAdmins, waiting } from "./notice.js";
import { every } from "./poll.js";

/** The links of files hold for a quarter of an hour: they are asked for anew long before. */
const EVERY_MS = 60_000;
/** So many results an answer has at the most. */
const MOST = 1000;

export function open({ main, signal }) {
  if (session.lacks("data.admin")) {
    const needed = forAdmins("Reports are made of everybody's events: they need");
    return main.replaceChildren(h("div", { class: "view" }, viewHead("Reports"), needed));
  }
  const said = h("p", { class: "soft", id: "reports-said" });
  const place = h("div", { class: "view", "aria-busy": "true" }, waiting("Asking…"));
  main.replaceChildren(h("div", { class: "view" }, viewHead("Reports", said), place));
  let panels = new Map();

  async function ask(abort) {
    const found = (await reports(abort)).reports;
    // Whoever looks at older results gets links to them as well.
    const whole = found.map((one) => {
      const shown = panels.get(one.name)?.shown ?? 0;
      return shown > one.results.length ? report(one.name, { limit: Math.min(shown, MOST) }, abort) : one;
    });
    show(await Promise.all(whole));
  }

  function show(found) {
    const before = [...panels.keys()].join();
    panels = new Map(found.map((one) => [one.name, panels.get(one.name) ?? new Panel(one.name, signal)]));
    for (const one of found) panels.get(one.name).update(one);
    if (found.length === 0) place.replaceChildren(none());
    else if (before !== [...panels.keys()].join()) place.replaceChildren(...[...panels.values()].map((panel) => panel.element));
    place.removeAttribute("aria-busy");
    said.className = "soft";
    say(said, found.length ? `${plural(found.length, "report")}.` : "");
  }

  every(EVERY_MS, signal, ask, (error) => {
    place.removeAttribute("aria-busy");
    const isForGood = [403, 404, 501].includes(error.status);
    if (panels.size > 0 && !isForGood) {
      said.className = "bad";
      say(said, `Nothing new: ${error.message}; asking again.`);
    } else place.replaceChildren(error.status === 404 || error.status === 501 ? absent() : failure(error));
    return !isForGood;
  });
}

const none = () => h("p", { class: "notice" }, "There is no report: put a statement into a file ", h("code", {}, "NAME.sql"), " in the folder of reports, and start the node with it.");
const absent = () => h("p", { class: "notice" }, "This API has no reports.");

/** One report, its state and its results. */
class Panel {
  #name;
  #signal;
  #title = h("span", {});
  #facts = h("p", { class: "soft" });
  #troubles = h("div", { class: "view" });
  #body = h("tbody", {});
  #table;
  #foot = h("div", { class: "buttons" });
  /** `window → {row, csv, parquet, …}`, the newest first. */
  #rows = new Map();

  constructor(name, signal) {
    this.#name = name;
    this.#signal = signal;
    const heads = [["window", ""], ["rows", "number"], ["made", ""], ["CSV", "number"], ["Parquet", "number"]];
    this.#table = scroll(`Results of ${name}`, true, h("table", {},
      h("caption", { class: "unseen" }, `The results of ${name}, the newest window first`),
      h("thead", {}, h("tr", {}, heads.map(([head, style]) => h("th", { scope: "col", class: style || null }, head)))), this.#body));
    this.element = h("section", { class: "panel view", "aria-label": name },
      h("div", { class: "panel-head" }, h("h2", { class: "mono" }, name), this.#title, this.#facts), this.#troubles, this.#table, this.#foot);
  }

  /** How many results are here. */
  get shown() {
    return this.#rows.size;
  }

  update(found) {
    say(this.#title, found.title);
    say(this.#facts, factsOf(found));
    const troubles = troublesOf(found);
    if (this.#troubles.textContent !== troubles.map((trouble) => trouble.textContent).join("")) this.#troubles.replaceChildren(...troubles);
    const before = this.#rows;
    this.#rows = new Map();
    this.#add(found.results, before);
    for (const [window, { row }] of before) if (!this.#rows.has(window)) row.remove();
    [...this.#rows.values()].forEach(({ row }, at) => {
      const there = this.#body.children[at];
      if (there !== row) this.#body.insertBefore(row, there ?? null);
    });
    this.#table.hidden = this.shown === 0;
    this.#next(found.next);
  }

  /** Rows that are there stay the elements that they are, so that whoever is at one stays there. */
  #add(results, before = this.#rows) {
    for (const result of results) {
      const one = before.get(result.window) ?? rowOf(this.#name, result);
      one.fill(result);
      this.#rows.set(result.window, one);
    }
  }

  #next(cursor) {
    if (cursor === null) return this.#foot.replaceChildren();
    const button = h("button", { type: "button", onclick: () => this.#more(button, cursor) }, "Older results");
    this.#foot.replaceChildren(button);
  }

  async #more(button, before) {
    button.disabled = true;
    try {
      const found = await report(this.#name, { before, limit: 100 }, this.#signal);
      this.#add(found.results);
      this.#body.append(...found.results.map(({ window }) => this.#rows.get(window).row));
      this.#next(found.next);
      announce(`${plural(found.results.length, "further result")}`);
    } catch (error) {
      if (!this.#signal.aborted) this.#foot.replaceChildren(failure(error, () => this.#next(before)));
    }
  }
}

/** A row, and how it is filled with a result: one that was made anew has other files. */
function rowOf(name, { from, to }) {
  const span = spanOf(from, to);
  const [rows, made] = [h("td", { class: "number" }), h("td", { class: "time" })];
  const link = (kind) => {
    const element = h("a", { download: "", "aria-label": `${kind} of ${name}, ${span}` });
    return { element, cell: h("td", { class: "number" }, element), fill: ({ url, bytes: size }) => {
      element.href = address(url);
      say(element, bytes(size));
    } };
  };
  const [csv, parquet] = [link("CSV"), link("Parquet")];
  return {
    row: h("tr", {}, h("th", { scope: "row", class: "time" }, span), rows, made, csv.cell, parquet.cell),
    fill: (result) => {
      say(rows, count(result.rows));
      say(made, stamp(result.made_at).slice(0, 19));
      csv.fill(result.csv);
      parquet.fill(result.parquet);
    },
  };
}

/** A window as `2026-11-28 10:00 – 11:00`; one of whole days by its days. */
function spanOf(from, to) {
  const [start, end] = [stamp(from).slice(0, 16), stamp(to).slice(0, 16)];
  if (start.endsWith("00:00") && end.endsWith("00:00")) return `${start.slice(0, 10)} – ${end.slice(0, 10)}`;
  return `${start} – ${start.slice(0, 10) === end.slice(0, 10) ? end.slice(11) : end}`;
}

function factsOf({ window, delay, next_run: next, waiting: due, kept }) {
  if (window === null) return "";
  const parts = [`every ${window}, ${delay} after its end`, `${plural(kept, "result")} kept`];
  if (due > 0) parts.push(`${plural(due, "window")} to be made`);
  else if (next) parts.push(`next at ${stamp(next).slice(0, 16)}`);
  return `${parts.join(" · ")}.`;
}

function troublesOf({ broken, failure: failed }) {
  const notice = (style, title, text) => h("div", { class: `notice ${style}`, role: "alert" }, h("p", {}, h("strong", {}, title)), h("p", { class: "wrap" }, text));
  return [
    broken && notice("bad", "It is not run", broken),
    failed && notice("warn", `Failed ${plural(failed.times, "time")}, last at ${stamp(failed.at).slice(0, 19)}, for the window ${failed.window}`, failed.error),
  ].filter(Boolean);
}
