// A chart of lines or dots over time or another number, and one of bars. Drawn as SVG, in the page's pixels, so that text keeps its size.
//
// Who cannot see the drawing gets a sentence that sums it up and a table of its values; who has no mouse moves through it with the arrow
// keys, for the drawing is a slider whose value is the point under the line.

import { h, say, svg } from "./dom.js";
import { clock, moment, short } from "./format.js";
import { numberTicks, timeTicks } from "./scale.js";

const LEFT = 52;
const RIGHT = 10;
const TOP = 8;
const BOTTOM = 20;
/** So many rows stand in the table of values; more would only be in the way. */
const TOLD_ROWS = 12;
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

let charts = 0;

/**
 * A chart. `series` are `[{key, name, style}]`, `style` a class `s1` to `s6`. It is drawn by `update({x, y, from, to, isTime, summary})`:
 * `x` are numbers in ascending order, `y[key]` a number or null for each; `from` and `to` default to the first and last of `x`. `hint` and
 * `beside` stand by the title; without `sumsUp` the sentence is only for those who do not see the drawing.
 */
export function lineChart({ title, hint = "", beside = null, level = 2, series, format = short, height = 150, fromZero = true, dots = false, area = false, sumsUp = true }) {
  charts += 1;
  const id = `chart-${charts}`;
  const keys = series.map(({ key, name, style }) => {
    const value = h("b", {}, "–");
    return { key, name, style, value, label: h("span", { class: `key ${style}` }, name, value) };
  });
  const at = h("span", { class: "soft" }, hint);
  const drawing = svg("svg", { "aria-hidden": "true", focusable: "false", height });
  const plot = h(
    "div",
    { class: "plot", tabindex: 0, role: "slider", "aria-label": `${title}: move through the values with the arrow keys`,
      "aria-valuemin": 0, "aria-valuemax": 0, "aria-valuenow": 0, "aria-valuetext": "no values yet", "aria-describedby": id },
    drawing,
  );
  const summary = h("p", { class: sumsUp ? "chart-summary" : "unseen", id });
  const told = h("div", { class: "unseen" });
  const element = h(
    "figure",
    { class: "chart", "aria-label": title },
    h("figcaption", { class: "chart-head" },
      h("div", { class: "chart-title" }, h(`h${level}`, {}, title), beside, at),
      h("div", { class: "legend", "aria-hidden": "true" }, keys.map((key) => key.label))),
    plot, summary, told,
  );
  let shown = null;
  let width = 0;
  /** The point under the line; null: the newest. */
  let cursor = null;

  const x = (value) => LEFT + ((value - shown.from) / (shown.to - shown.from || 1)) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - ((value - shown.low) / (shown.high - shown.low || 1)) * (height - TOP - BOTTOM);

  function draw() {
    if (!shown || width === 0) return;
    drawing.replaceChildren(...axes(), ...keys.flatMap(marks), ...pointer());
    read();
  }

  function axes() {
    const across = shown.ticks.flatMap((tick) => [
      svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: Math.round(y(tick)) + 0.5, y2: Math.round(y(tick)) + 0.5 }),
      svg("text", { x: LEFT - 7, y: y(tick) + 3.5, "text-anchor": "end" }, format(tick)),
    ]);
    const most = Math.max(2, Math.floor((width - LEFT) / 84));
    const below = shown.isTime
      ? timeTicks(shown.from, shown.to, most)
      : numberTicks(shown.from, shown.to, Math.min(most, 6)).map((tick) => ({ at: tick, label: short(tick) }));
    const within = below.filter((tick) => tick.at >= shown.from && tick.at <= shown.to);
    return [...across, ...within.map((tick) => svg("text", { x: x(tick.at), y: height - 4, "text-anchor": "middle" }, tick.label))];
  }

  function marks({ key, style }) {
    const values = shown.y[key];
    const points = shown.x.map((value, index) => (isNumber(values[index]) ? [x(value), y(values[index])] : null));
    if (dots) return points.filter(Boolean).map(([cx, cy]) => svg("circle", { class: `dot ${style}`, cx: cx.toFixed(1), cy: cy.toFixed(1), r: 2 }));
    const runs = [];
    for (const point of points) {
      if (point === null) runs.push([]);
      else if (runs.length === 0) runs.push([point]);
      else runs.at(-1).push(point);
    }
    const drawn = [];
    for (const run of runs.filter((one) => one.length > 0)) {
      const line = run.map(([px, py]) => `${px.toFixed(1)} ${py.toFixed(1)}`).join("L");
      if (area) drawn.push(svg("path", { class: `area ${style}`, d: `M${run[0][0].toFixed(1)} ${y(shown.low)}L${line}L${run.at(-1)[0].toFixed(1)} ${y(shown.low)}Z` }));
      if (run.length === 1) drawn.push(svg("circle", { class: `dot ${style}`, cx: run[0][0].toFixed(1), cy: run[0][1].toFixed(1), r: 2 }));
      else drawn.push(svg("path", { class: `line ${style}`, d: `M${line}` }));
    }
    return drawn;
  }

  function pointer() {
    if (cursor === null || shown.x.length === 0) return [];
    const position = x(shown.x[cursor]);
    const line = svg("line", { class: "cursor", x1: position, x2: position, y1: TOP, y2: height - BOTTOM });
    const dot = ({ key, style }) => {
      const value = shown.y[key][cursor];
      return isNumber(value) ? svg("circle", { class: `dot ${style}`, cx: position, cy: y(value), r: 3 }) : null;
    };
    return [line, ...keys.map(dot).filter(Boolean)];
  }

  function place(value) {
    if (!shown.isTime) return short(value);
    if (shown.to - shown.from > DAY_MS) return moment(value);
    return shown.to - shown.from < MINUTE_MS ? `${clock(value)}.${String(Math.floor(value) % 1000).padStart(3, "0")}` : clock(value);
  }

  /** Writes what the point under the line says, or the newest. */
  function read() {
    const index = cursor ?? lastOf(shown, keys);
    for (const { key, value } of keys) {
      const one = index === null ? null : shown.y[key][index];
      say(value, isNumber(one) ? format(one) : "–");
    }
    say(at, cursor === null ? hint : place(shown.x[cursor]));
    plot.setAttribute("aria-valuemax", Math.max(shown.x.length - 1, 0));
    plot.setAttribute("aria-valuenow", index ?? 0);
    plot.setAttribute("aria-valuetext", index === null ? "no values yet" : sentence(index));
  }

  function sentence(index) {
    const values = keys.map(({ key, name }) => `${name} ${isNumber(shown.y[key][index]) ? format(shown.y[key][index]) : "none"}`);
    return `${place(shown.x[index])}: ${values.join(", ")}`;
  }

  function tell() {
    const step = Math.max(1, Math.ceil(shown.x.length / TOLD_ROWS));
    const rows = shown.x.map((_, index) => index).filter((index) => (shown.x.length - 1 - index) % step === 0);
    const head = h("tr", {}, h("th", { scope: "col" }, shown.isTime ? "Time" : "At"), keys.map(({ name }) => h("th", { scope: "col" }, name)));
    const cells = (index) => keys.map(({ key }) => h("td", {}, isNumber(shown.y[key][index]) ? format(shown.y[key][index]) : "none"));
    const row = (index) => h("tr", {}, h("th", { scope: "row" }, place(shown.x[index])), cells(index));
    told.replaceChildren(h("table", {}, h("caption", {}, `${title}: values`), h("thead", {}, head), h("tbody", {}, rows.map(row))));
  }

  function point(index) {
    cursor = index === null || shown.x.length === 0 ? null : Math.min(Math.max(index, 0), shown.x.length - 1);
    draw();
  }

  plot.addEventListener("pointermove", (event) => {
    if (!shown || shown.x.length === 0) return;
    const left = event.clientX - plot.getBoundingClientRect().left;
    point(nearest(shown.x, shown.from + ((left - LEFT) / (width - LEFT - RIGHT)) * (shown.to - shown.from)));
  });
  plot.addEventListener("pointerleave", () => shown && point(null));
  plot.addEventListener("blur", () => shown && point(null));
  plot.addEventListener("keydown", (event) => {
    if (!shown || shown.x.length === 0) return;
    const now = cursor ?? lastOf(shown, keys) ?? 0;
    const steps = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, Home: 0, End: shown.x.length - 1, PageUp: now + 10, PageDown: now - 10, Escape: null };
    if (!(event.key in steps)) return;
    event.preventDefault();
    point(steps[event.key]);
  });
  new ResizeObserver(([entry]) => {
    if (Math.round(entry.contentRect.width) === width) return;
    width = Math.round(entry.contentRect.width);
    drawing.setAttribute("width", width);
    draw();
  }).observe(plot);

  return {
    element,
    update(data) {
      const held = cursor === null ? null : shown?.x[cursor];
      const values = keys.flatMap(({ key }) => data.y[key].filter(isNumber));
      const low = fromZero ? 0 : least(values);
      const ticks = numberTicks(fromZero ? Math.min(0, least(values)) : low, greatest(values) || (fromZero ? 1 : 0), height < 120 ? 2 : 4);
      shown = { ...data, ticks, low: ticks[0], high: ticks.at(-1), from: data.from ?? data.x[0] ?? 0, to: data.to ?? data.x.at(-1) ?? 1 };
      if (held !== null && held !== undefined) cursor = shown.x.length ? nearest(shown.x, held) : null;
      say(summary, data.summary ?? "");
      draw();
      read();
      tell();
    },
  };
}

/** Horizontal bars: `[{label, value}]`, the first at the top. */
export function barChart({ title, beside = null, level = 2, rows, format = short, summary }) {
  const ROW = 22;
  const height = rows.length * ROW + 4;
  const most = Math.max(...rows.map(({ value }) => value), 0);
  const least_ = Math.min(...rows.map(({ value }) => value), 0);
  const drawing = svg("svg", { "aria-hidden": "true", focusable: "false", height });
  const plot = h("div", { class: "plot" }, drawing);

  function draw(width) {
    const label = Math.min(180, width * 0.34);
    const room = Math.max(width - label - 74, 20);
    const scale = (value) => ((value - least_) / (most - least_ || 1)) * room;
    drawing.setAttribute("width", width);
    drawing.replaceChildren(
      ...rows.flatMap((row, index) => {
        const middle = index * ROW + ROW / 2;
        const [left, right] = [scale(Math.min(row.value, 0)), scale(Math.max(row.value, 0))];
        return [
          svg("text", { x: label - 8, y: middle + 4, "text-anchor": "end" }, cut(row.label, Math.floor(label / 6.4))),
          svg("rect", { class: "bar s1", x: label + left, y: middle - 7, width: Math.max(right - left, 1), height: 14, rx: 2 }),
          svg("text", { class: "bar-value", x: label + right + 6, y: middle + 4 }, format(row.value)),
        ];
      }),
    );
  }

  new ResizeObserver(([entry]) => draw(entry.contentRect.width)).observe(plot);
  const cells = rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.label), h("td", {}, format(row.value))));
  return h(
    "figure",
    { class: "chart", "aria-label": title },
    h("figcaption", { class: "chart-head" }, h("div", { class: "chart-title" }, h(`h${level}`, {}, title), beside)),
    plot,
    h("p", { class: "chart-summary" }, summary),
    h("div", { class: "unseen" }, h("table", {}, h("caption", {}, `${title}: values`), h("tbody", {}, cells))),
  );
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const least = (values) => values.reduce((low, value) => Math.min(low, value), values[0] ?? 0);
const greatest = (values) => values.reduce((high, value) => Math.max(high, value), values[0] ?? 1);
const cut = (text, most) => (text.length > most ? `${text.slice(0, Math.max(most - 1, 1))}…` : text);

/** The last point at which any of the series has a value. */
function lastOf({ x, y }, keys) {
  for (let index = x.length - 1; index >= 0; index -= 1) {
    if (keys.some(({ key }) => isNumber(y[key][index]))) return index;
  }
  return null;
}

/** The index of the number nearest to `wanted` among ascending ones. */
function nearest(numbers, wanted) {
  let low = 0;
  let high = numbers.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (numbers[middle] < wanted) low = middle;
    else high = middle;
  }
  return Math.abs(numbers[low] - wanted) <= Math.abs(numbers[high] - wanted) ? low : high;
}
