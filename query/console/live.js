// New records as they arrive. It asks again and again until the API pushes; then only this file changes.

import { records } from "./api.js";
import { micros } from "./format.js";
import { every } from "./poll.js";

const EVERY_MS = 2000;
const LIMIT = 1000;
/** Events arrive a little out of order: so many microseconds behind the newest one seen are asked again. */
const BEHIND = 5_000_000;

/** What tells an event from every other of its dataset. */
export const keyOf = (record) => JSON.stringify([record.owner, record.source, record.id]);

/**
 * Calls `onRecords(fresh, isCutShort)` with the records that were not there before, the newest first, until the signal aborts.
 * `seen` are the records that the caller has. When more arrive than one answer holds, the oldest of them are left out.
 */
export function tail({ dataset, source, owner, seen }, signal, onRecords, onError) {
  const known = new Map(seen.map((record) => [keyOf(record), micros(record.time)]));
  let newest = seen.length > 0 ? Math.max(...known.values()) : Date.now() * 1000;

  every(
    EVERY_MS,
    signal,
    async (abort) => {
      const from = Math.max(newest - BEHIND, 0);
      const page = await records(dataset, { source, owner, from, limit: LIMIT }, abort);
      const fresh = page.records.filter((record) => !known.has(keyOf(record)));
      for (const record of fresh) known.set(keyOf(record), micros(record.time));
      newest = fresh.reduce((most, record) => Math.max(most, micros(record.time)), newest);
      for (const [key, time] of known) if (time < newest - 2 * BEHIND) known.delete(key);
      onRecords(fresh, page.next !== null);
    },
    onError,
  );
}
