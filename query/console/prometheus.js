// Prometheus' text format, as far as the node writes it.

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { n: "\n", "\\": "\\", '"': '"' };

/** All samples, by the name of their metric: `Map {name → [{labels, value}]}`. */
export function parse(text) {
  const metrics = new Map();
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : SAMPLE.exec(line);
    if (!found) continue;
    const [, name, inBraces = "", value] = found;
    const labels = {};
    for (const [, label, quoted] of inBraces.matchAll(LABEL)) {
      labels[label] = quoted.replace(/\\(.)/g, (whole, letter) => ESCAPED[letter] ?? whole);
    }
    if (!metrics.has(name)) metrics.set(name, []);
    metrics.get(name).push({ labels, value: value === "+Inf" ? Infinity : Number(value) });
  }
  return metrics;
}

/** The sum of a metric over all its labels; null where there is none. */
export function total(metrics, name) {
  const samples = metrics.get(name);
  return samples ? samples.reduce((sum, sample) => sum + sample.value, 0) : null;
}

/** A histogram's buckets, `[{le, count}]` by their upper bounds, each with what all before it have. */
export function buckets(metrics, name) {
  const samples = metrics.get(`${name}_bucket`) ?? [];
  const found = samples.map(({ labels, value }) => ({ le: labels.le === "+Inf" ? Infinity : Number(labels.le), count: value }));
  return found.sort((a, b) => a.le - b.le);
}

/** What was counted between two looks at the same histogram. */
export function between(before, after) {
  const earlier = new Map(before.map(({ le, count }) => [le, count]));
  return after.map(({ le, count }) => ({ le, count: count - (earlier.get(le) ?? 0) }));
}

/** A quantile, taken to lie evenly within its bucket; null when nothing was counted. Past the last bound it is that bound. */
export function quantile(histogram, q) {
  const all = histogram.at(-1)?.count ?? 0;
  if (all <= 0) return null;
  const rank = q * all;
  let low = 0;
  let below = 0;
  for (const { le, count } of histogram) {
    if (count >= rank) return le === Infinity ? low : low + (le - low) * ((rank - below) / (count - below || 1));
    low = le;
    below = count;
  }
  return low;
}
