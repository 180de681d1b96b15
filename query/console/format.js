// Numbers and times as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PLAIN = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (number) => WHOLE.format(number);
export const short = (number) => (Math.abs(number) < 10_000 ? PLAIN.format(Number(number.toPrecision(4))) : SHORT.format(number));
export const number = (value) => (Math.abs(value) >= 1e15 || (value !== 0 && Math.abs(value) < 1e-6) ? String(value) : PLAIN.format(value));

/** Events a second. */
export function rate(perSecond) {
  if (perSecond === 0 || perSecond >= 100) return `${WHOLE.format(perSecond)}/s`;
  return `${Number(perSecond.toPrecision(2))}/s`;
}

export function bytes(size) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`;
}

export function seconds(value) {
  if (value === 0) return "0 s";
  if (value < 0.001) return `${(value * 1e6).toFixed(0)} µs`;
  if (value < 1) return `${Number((value * 1e3).toPrecision(3))} ms`;
  if (value < 100) return `${Number(value.toPrecision(3))} s`;
  if (value < 7200) return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
  return `${Math.floor(value / 3600)} h ${Math.round((value % 3600) / 60)} min`;
}

const two = (part) => String(part).padStart(2, "0");

/** Milliseconds since 1970 as `14:03:21`. */
export function clock(at) {
  const time = new Date(at);
  return `${two(time.getUTCHours())}:${two(time.getUTCMinutes())}:${two(time.getUTCSeconds())}`;
}

/** Milliseconds since 1970 as `2026-01-31 14:03:21`. */
export const moment = (at) => `${day(at)} ${clock(at)}`;

/** Milliseconds since 1970 as `2026-01-31`. */
export const day = (at) => new Date(at).toISOString().slice(0, 10);

/** A time of the API, `2026-01-31T14:03:21.25Z`, without what every line has, with three or all of its digits. */
export function stamp(text) {
  if (typeof text !== "string") return "";
  const [whole, digits = ""] = text.replace("T", " ").replace(/Z$/, "").split(".");
  return whole.length > 10 ? `${whole}.${digits.padEnd(3, "0")}` : whole;
}

/** A time of the API in microseconds since 1970: they have as many digits as they need, so that as texts they have no order. */
export const micros = (text) => Date.parse(`${text.slice(0, 19)}Z`) * 1000 + Number((text.slice(20).replace(/Z$/, "") || "0").padEnd(6, "0"));

export const plural = (amount, one, many = `${one}s`) => `${count(amount)} ${amount === 1 ? one : many}`;
