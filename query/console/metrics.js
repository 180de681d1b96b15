// What the node's counters did while this page was open.

import { metricsText } from "./api.js";
import { every } from "./poll.js";
import { between, buckets, parse, quantile, total } from "./prometheus.js";

const EVERY_MS = 2000;
/** Rates and quantiles are over so long: commits come every two seconds, and a shorter look would see none or two of them. */
const OVER_MS = 10_000;
/** Over less than this there is no rate yet. */
const LEAST_MS = 5000;
/** Further apart, two looks say nothing of what was between. */
const GAP_MS = 3 * EVERY_MS + 1000;
const KEPT_MS = 60 * 60 * 1000;

/** Counters and gauges at one look. */
function look(text, at) {
  const metrics = parse(text);
  const sum = (name) => total(metrics, name) ?? 0;
  return {
    at,
    accepted: sum("alluvium_events_accepted_total") + sum("alluvium_kinesis_records_accepted_total"),
    committed: sum("alluvium_events_committed_total"),
    dead: sum("alluvium_dead_letters_total"),
    deadByReason: metrics.get("alluvium_dead_letters_total") ?? [],
    acknowledged: buckets(metrics, "alluvium_ack_seconds"),
    lag: total(metrics, "alluvium_commit_lag_seconds"),
    logBytes: total(metrics, "alluvium_log_bytes"),
    storageFailures: sum("alluvium_storage_failures_total"),
    commitFailures: sum("alluvium_commit_failures_total"),
    maintenanceFailures: sum("alluvium_maintenance_failures_total"),
    refused: sum("alluvium_calls_refused_total"),
    auditProblems: total(metrics, "alluvium_audit_problems"),
    auditAt: total(metrics, "alluvium_audit_time_seconds"),
  };
}

/** The looks so far, the newest last, and for each what happened in the seconds before it. */
class Metrics extends EventTarget {
  looks = [];
  points = [];
  /** Why there is nothing new, if there is not. */
  error = null;
  /** Since when. */
  failingSince = null;

  start(signal) {
    this.looks = [];
    this.points = [];
    every(EVERY_MS, signal, (abort) => this.#ask(abort), (error) => this.#failed(error));
  }

  get newest() {
    return this.looks.at(-1) ?? null;
  }

  /** Whether this API has no metrics, as on AWS. */
  get areAbsent() {
    return this.error?.status === 404 || this.error?.status === 403;
  }

  async #ask(signal) {
    const text = await metricsText(signal);
    this.error = null;
    this.failingSince = null;
    this.#add(look(text, Date.now()));
    this.dispatchEvent(new Event("look"));
  }

  #failed(error) {
    this.error = error;
    this.failingSince ??= Date.now();
    this.dispatchEvent(new Event("look"));
    return !this.areAbsent;
  }

  #add(now) {
    const before = this.newest;
    const isBroken = before && (now.at - before.at > GAP_MS || now.accepted < before.accepted || now.committed < before.committed);
    if (isBroken) {
      this.points.push({ at: before.at + 1 });
      this.startedAt = this.looks.length;
    }
    this.looks.push(now);
    this.points.push(this.#point(now));
    const kept = now.at - KEPT_MS;
    while (this.looks[0].at < kept) {
      this.looks.shift();
      this.startedAt -= 1;
    }
    while (this.points[0].at < kept) this.points.shift();
  }

  /** The first of the looks that can be compared with the newest: the node has not started anew since, nor the page slept. */
  startedAt = 0;

  #point(now) {
    const first = Math.max(this.startedAt, 0);
    let from = this.looks.length - 1;
    while (from > first && now.at - this.looks[from - 1].at <= OVER_MS + 500) from -= 1;
    const then = this.looks[from];
    const passed = (now.at - then.at) / 1000;
    if (passed < LEAST_MS / 1000) return { at: now.at, lag: now.lag };
    const counted = between(then.acknowledged, now.acknowledged);
    return {
      at: now.at,
      accepted: (now.accepted - then.accepted) / passed,
      committed: (now.committed - then.committed) / passed,
      dead: (now.dead - then.dead) / passed,
      p50: quantile(counted, 0.5),
      p99: quantile(counted, 0.99),
      lag: now.lag,
    };
  }
}

export const metrics = new Metrics();
