// SQL over HTTP: a statement is started, looked at, read page by page, and stopped.

import { call, session } from "./api.js";

const FIRST_LOOK_MS = 40;
const LAST_LOOK_MS = 1000;

/**
 * Runs a statement and returns `{id, columns, rows, next, elapsed_ms, scanned_bytes, files}`, its first page.
 * When the signal aborts, the statement is cancelled where it runs.
 */
export async function run(sql, signal, onStatus = () => {}) {
  const { token } = session;
  const { id } = await call("POST", "/v1/queries", { body: { sql }, signal });
  const path = `/v1/queries/${encodeURIComponent(id)}`;
  try {
    const status = await ended(path, signal, onStatus);
    return { ...status, ...(await page(id, null, signal)) };
  } catch (error) {
    if (error.name === "AbortError") giveBack(id, token);
    throw error;
  }
}

/** Stops a statement, or gives its result back. Who asked may have signed out since. Nothing depends on it: results go by themselves. */
function giveBack(id, token) {
  call("DELETE", `/v1/queries/${encodeURIComponent(id)}`, { token }).catch(() => {});
}

async function ended(path, signal, onStatus) {
  for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 1.6, LAST_LOOK_MS)) {
    await pause(wait, signal);
    const status = await call("GET", path, { signal });
    onStatus(status);
    if (status.state === "running") continue;
    if (status.state === "succeeded") return status;
    throw new Error(status.error ?? `the statement was ${status.state}`);
  }
}

/** Links to the whole result as files, `{csv, parquet}`, that hold for a quarter of an hour. */
export const filesOf = async (id, signal) => (await call("GET", `/v1/queries/${encodeURIComponent(id)}`, { signal })).files;

/** A further page of a statement's results. */
export function page(id, next, signal) {
  const query = next === null ? "" : `?${new URLSearchParams({ page: next })}`;
  return call("GET", `/v1/queries/${encodeURIComponent(id)}/results${query}`, { signal });
}

/** The rows of a small result as objects. It is given back at once: a node keeps so many, and those that people asked for shall stay. */
export async function select(sql, signal) {
  const { id, columns, rows } = await run(sql, signal);
  giveBack(id, session.token);
  return rows.map((row) => Object.fromEntries(columns.map((column, at) => [column.name, row[at]])));
}

/** A text as a literal of SQL. */
export const literal = (text) => `'${String(text).replaceAll("'", "''")}'`;

/** A name as an identifier of SQL. */
export const identifier = (name) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(new DOMException("stopped", "AbortError"));
    };
    if (signal?.aborted) return abort();
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
