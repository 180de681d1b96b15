// New records as they arrive: pushed where the API does that, asked for again and again where it does not.

import { follow, records } from "./api.js";
import { micros } from "./format.js";
import { every } from "./poll.js";

const EVERY_MS = 2000;
const LIMIT = 1000;
/** How often what was pushed is handed on: a busy stream pushes many times in that. */
const TOGETHER_MS = 300;
/** How many records are remembered to tell repetitions. */
const KNOWN = 20_000;
/** Events arrive a little out of order: so many microseconds behind the newest one seen are asked again. */
const BEHIND = 5_000_000;

/** What tells an event from every other of its dataset. */
export const keyOf = (record) => JSON.stringify([record.owner, record.source, record.id]);

/**
 * Calls `onRecords(fresh, isCutShort)` with the records that were not there before, the newest first, until the signal aborts.
 * `seen` are the records that the caller has. When more arrive than one answer holds, the oldest of them are left out.
 */
export function tail(what, signal, onRecords, onError) {
  pushed(what, signal, onRecords, onError).catch((error) => {
    if (!signal.aborted) onError(error);
  });
}

/** The time of the newest of these records, in microseconds; without any, now. */
const newestOf = (seen) => (seen.length > 0 ? Math.max(...seen.map((record) => micros(record.time))) : Date.now() * 1000);

/** By the stream of server-sent events; where there is none (404, 501), by asking. */
async function pushed(what, signal, onRecords, onError) {
  const known = new Set(what.seen.map(keyOf));
  const isNew = (record) => {
    const key = keyOf(record);
    if (known.has(key)) return false;
    known.add(key);
    if (known.size > KNOWN) known.delete(known.values().next().value);
    return true;
  };
  let waiting = [];
  let isCutShort = false;
  let timer = 0;
  const handOn = () => {
    timer = 0;
    if (signal.aborted) return;
    // The newest first, and no more than an answer would hold.
    const fresh = waiting.reverse().slice(0, LIMIT);
    onRecords(fresh, isCutShort || fresh.length < waiting.length);
    [waiting, isCutShort] = [[], false];
  };
  let last;
  while (!signal.aborted) {
    try {
      const events = await follow(what.dataset, { source: what.source, owner: what.owner }, last, signal);
      // What came between the records that the caller has and the beginning of the stream.
      if (last === undefined) {
        const from = Math.max(newestOf(what.seen) - BEHIND, 0);
        const page = await records(what.dataset, { source: what.source, owner: what.owner, from, limit: LIMIT }, signal);
        onRecords(page.records.filter(isNew), false);
      }
      for await (const together of events) {
        last = together.findLast((event) => event.id)?.id ?? last;
        waiting.push(...together.filter(({ event }) => event === "record").map(({ data }) => data).filter(isNew));
        isCutShort ||= together.some(({ event }) => event === "reset");
        if (timer === 0 && (waiting.length > 0 || isCutShort)) timer = setTimeout(handOn, TOGETHER_MS);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404 || error.status === 501) return polled(what, signal, onRecords, onError);
      if (onError(error) === false) return;
    }
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
}

function polled({ dataset, source, owner, seen }, signal, onRecords, onError) {
  const known = new Map(seen.map((record) => [keyOf(record), micros(record.time)]));
  let newest = newestOf(seen);

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
