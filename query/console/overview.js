// Is it well? Throughput, latency, freshness and dead letters over time, and the ledger.

import { session } from "./api.js";
import { lineChart } from "./chart.js";
import { h, say, viewHead } from "./dom.js";
import { bytes, clock, count, day, plural, rate, seconds } from "./format.js";
import { auditPanel, historyChart, ledgerTable, sums } from "./ledger.js";
import { metrics } from "./metrics.js";
import { failure, forAdmins, waiting } from "./notice.js";
import { every } from "./poll.js";

const LEDGER_EVERY_MS = 4000;
const HISTORY_EVERY_MS = 30_000;
/** A commit is made every few seconds; a lag past this is something to look at. */
const LATE_SECONDS = 60;
/** A page that was just opened does not show minutes of which it knows nothing. */
const LEAST_SHOWN_MS = 60_000;
const SPANS = [5, 15, 60];
const SMALL = { height: 128, sumsUp: false };
let span = 5;

export function open({ main, node, signal }) {
  const verdict = h("p", { id: "verdict" });
  const spans = SPANS.map((minutes) => {
    const choose = () => {
      span = minutes;
      spans.forEach((button, at) => button.setAttribute("aria-pressed", SPANS[at] === span));
      draw();
    };
    return h("button", { type: "button", "aria-pressed": String(minutes === span), onclick: choose }, `${minutes} min`);
  });
  const figures = new Figures();
  const charts = makeCharts();
  const absent = h("p", { class: "notice" }, "This API shows no metrics, so there are no charts of them here. The ledger below is all the same.");
  const history = historyChart();
  const past = h("div", { class: "panel" }, history.element);
  const ledger = h("div", { "aria-busy": "true" }, waiting("Asking the ledger…"));
  const asOf = h("span", { class: "soft" });
  const { button, place } = auditPanel(signal);

  main.replaceChildren(
    h(
      "div",
      { class: "view" },
      viewHead("Overview", verdict, h("div", { class: "buttons right", role: "group", "aria-label": "Time shown" }, spans)),
      absent,
      figures.element,
      h("div", { class: "grid", id: "charts" }, charts.map(({ chart }) => h("div", { class: "panel" }, chart.element))),
      h("section", { class: "panel view", "aria-labelledby": "ledger-title" },
        h("div", { class: "panel-head" }, h("h2", { id: "ledger-title" }, "Ledger"), asOf, h("div", { class: "right" }, button)),
        ledger, place),
      past,
    ),
  );

  function draw() {
    const problems = attention(node);
    verdict.className = problems.some(({ isBad }) => isBad) ? "bad" : problems.length ? "warn" : "soft";
    say(verdict, problems.length ? problems.map(({ text }) => text).join(" ") : calm());
    figures.update(metrics.newest);
    absent.hidden = !metrics.areAbsent;
    figures.element.hidden = metrics.areAbsent;
    main.querySelector("#charts").hidden = metrics.areAbsent;
    const to = metrics.points.at(-1)?.at ?? Date.now();
    const from = Math.max(to - span * 60_000, Math.min(metrics.points[0]?.at ?? to, to - LEAST_SHOWN_MS));
    const points = metrics.points.filter(({ at }) => at >= from);
    for (const { chart, keys, sum } of charts) {
      const y = Object.fromEntries(keys.map((key) => [key, points.map((point) => point[key] ?? null)]));
      chart.update({ x: points.map(({ at }) => at), y, from, to, isTime: true, summary: sum(y) });
    }
  }

  metrics.addEventListener("look", draw, { signal });
  draw();
  if (session.lacks("data.admin")) {
    ledger.replaceChildren(needsAdmin());
    ledger.removeAttribute("aria-busy");
    button.hidden = past.hidden = true;
    return;
  }
  every(
    LEDGER_EVERY_MS,
    signal,
    async () => {
      ledger.replaceChildren(keepingScroll(ledger, ledgerTable(await sums(signal))));
      ledger.removeAttribute("aria-busy");
      say(asOf, `as of ${clock(Date.now())}`);
    },
    (error) => {
      // The same again is not said again to whoever listens.
      if (ledger.firstElementChild?.dataset.said !== error.message) {
        ledger.replaceChildren(isHidden(error) ? needsAdmin(error) : failure(error));
        ledger.firstElementChild.dataset.said = error.message;
      }
      ledger.removeAttribute("aria-busy");
      button.hidden = isHidden(error);
      return !isHidden(error);
    },
  );
  // What goes wrong with it goes wrong with the ledger beside it, which says so.
  every(HISTORY_EVERY_MS, signal, history.ask, (error) => {
    past.hidden = isHidden(error);
    return !isHidden(error);
  });
}

/** Whether the API keeps the ledger from this token: to a reader of their own rows there is no such table. */
const isHidden = ({ status }) => status === 400 || status === 403;

const needsAdmin = (error) =>
  h("div", {}, forAdmins("The ledger counts everybody's events: it needs"), error && h("p", { class: "soft wrap" }, `The API says: ${error.message}`));

/** The new table in place of the old, where whoever reads the old had scrolled and focused. */
function keepingScroll(place, made) {
  const [before, after] = [place.querySelector(".scroll"), made.querySelector(".scroll")];
  if (before && document.activeElement === before) queueMicrotask(() => after.focus({ preventScroll: true }));
  if (before) queueMicrotask(() => after.scrollTo(before.scrollLeft, before.scrollTop));
  return made;
}

/** What somebody should look at. */
function attention(node) {
  const found = [];
  const now = metrics.newest;
  if (metrics.error && !metrics.areAbsent) {
    found.push({ isBad: true, text: `Nothing new since ${clock(metrics.failingSince)}: ${metrics.error.message}.` });
  }
  if (node.status && node.status !== "ok") found.push({ isBad: true, text: `The node says of itself: ${node.status}.` });
  if (!now) return found;
  const minute = metrics.looks.find(({ at }) => at >= now.at - 60_000) ?? now;
  const grown = (key) => now[key] - minute[key];
  if (now.lag > LATE_SECONDS) found.push({ text: `The oldest uncommitted event has waited ${seconds(now.lag)}.` });
  if (grown("storageFailures") > 0) found.push({ text: `${plural(grown("storageFailures"), "storage call")} failed in the last minute.` });
  if (grown("commitFailures") > 0) found.push({ text: `${plural(grown("commitFailures"), "commit")} failed in the last minute.` });
  if (grown("maintenanceFailures") > 0) found.push({ text: `Maintenance failed ${plural(grown("maintenanceFailures"), "time")} in the last minute.` });
  if (now.auditProblems > 0) found.push({ isBad: true, text: `The last audit found ${plural(now.auditProblems, "problem")}.` });
  return found;
}

function calm() {
  return metrics.newest ? "Nothing needs attention." : "Asking the node…";
}

function makeCharts() {
  const last = (values) => values.findLast((value) => value !== null) ?? null;
  const top = (values) => values.reduce((most, value) => Math.max(most, value ?? 0), 0);
  const has = (values) => values.some((value) => value !== null);
  const none = "No figures yet.";
  return [
    {
      keys: ["accepted", "committed"],
      chart: lineChart({ title: "Throughput", hint: "events, over 10 s", format: rate, ...SMALL, series: [
        { key: "accepted", name: "acknowledged", style: "s1" }, { key: "committed", name: "committed", style: "s2" }] }),
      sum: ({ accepted, committed }) => has(accepted)
        ? `Events a second, over 10 s: ${rate(last(accepted))} acknowledged and ${rate(last(committed) ?? 0)} committed; at most ${rate(top(accepted))}.` : none,
    },
    {
      keys: ["p50", "p99"],
      chart: lineChart({ title: "Acknowledgement", hint: "request to answer, over 10 s", format: seconds, ...SMALL, series: [
        { key: "p50", name: "p50", style: "s1" }, { key: "p99", name: "p99", style: "s2" }] }),
      sum: ({ p50, p99 }) => has(p50)
        ? `From a request read whole to its answer, over 10 s: half within ${seconds(last(p50))}, 99% within ${seconds(last(p99))}; p99 at most ${seconds(top(p99))}.`
        : "No request yet.",
    },
    {
      keys: ["lag"],
      chart: lineChart({ title: "Freshness", hint: "oldest event not yet in SQL", format: seconds, area: true, ...SMALL, series: [{ key: "lag", name: "waiting", style: "s3" }] }),
      sum: ({ lag }) => has(lag) ? `The oldest event that SQL does not show yet has waited ${seconds(last(lag))}; at most ${seconds(top(lag))}.` : none,
    },
    {
      keys: ["dead"],
      chart: lineChart({ title: "Dead letters", hint: "events set aside, over 10 s", format: rate, area: true, ...SMALL, series: [{ key: "dead", name: "dead", style: "s4" }] }),
      sum: ({ dead }) => has(dead) ? `Events set aside, over 10 s: ${rate(last(dead))}; at most ${rate(top(dead))}.` : none,
    },
  ];
}

/** A time of day, or the day when that was another. */
const when = (at, now) => (day(at) === day(now) ? clock(at) : day(at));

/** What the counters have come to since the node started. */
class Figures {
  #values = {};

  constructor() {
    const one = (key, name) => {
      this.#values[key] = h("dd", { id: `figure-${key}` }, "–");
      return h("div", {}, h("dt", {}, name), this.#values[key]);
    };
    this.element = h(
      "dl",
      { class: "figures", "aria-label": "Since the node started" },
      one("accepted", "Acknowledged"), one("committed", "Committed"), one("waiting", "Not yet in SQL"), one("dead", "Dead letters"),
      one("refused", "Calls refused"), one("failures", "Failures, retried"), one("log", "Log on disk"), one("audit", "Last audit"),
    );
  }

  update(now) {
    if (!now) return;
    const waits = now.accepted - now.committed;
    const failures = now.storageFailures + now.commitFailures + now.maintenanceFailures;
    const audited = now.auditAt === null ? "none yet" : now.auditProblems === 0 ? `✓ ${when(now.auditAt * 1000, now.at)}` : plural(now.auditProblems, "problem");
    this.#set("accepted", count(now.accepted));
    this.#set("committed", count(now.committed));
    this.#set("waiting", waits >= 0 ? count(waits) : "–");
    this.#set("dead", count(now.dead));
    this.#set("refused", count(now.refused));
    this.#set("failures", count(failures));
    this.#set("log", now.logBytes === null ? "–" : bytes(now.logBytes));
    this.#set("audit", audited, now.auditProblems > 0 ? "bad" : now.auditAt === null ? "soft" : "good");
  }

  #set(key, text, style = "") {
    say(this.#values[key], text);
    this.#values[key].className = style;
  }
}
