// The public API, and beyond it an audit: calls with the token, and errors as what they are.

const BASE = document.querySelector('meta[name="alluvium-api"]').content.replace(/\/+$/, "");
const TOKEN = "alluvium.token";

/** Where the API is, for people. */
export const origin = BASE || location.origin;

/** The whole address of a path of the API, such as a link that it gave. */
export const address = (path) => BASE + path;

/** An error that the API answered with (RFC 9457), or that there was no answer, with status 0. */
export class Problem extends Error {
  constructor({ status, title, detail, type, retry_after_seconds: retryAfter }, requestId) {
    super(detail || title || `the API answered with the status ${status}`);
    this.status = status;
    this.title = title ?? `Status ${status}`;
    this.kind = String(type ?? "").split("/").pop();
    this.retryAfter = retryAfter;
    this.requestId = requestId;
  }
}

/** Whose token it is: null before the sign-in, and empty where none is asked for. `expired` is told when the API takes it for no good any more. */
export const session = {
  expired: () => {},
  /** Whether the API lets everybody do everything. */
  isOpen: false,

  get token() {
    return sessionStorage.getItem(TOKEN);
  },

  keep(token) {
    sessionStorage.setItem(TOKEN, token);
  },

  forget() {
    sessionStorage.removeItem(TOKEN);
  },

  /** The token's claims, to show; whether it is good only the API knows. */
  claims() {
    try {
      const part = this.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
      const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
      return JSON.parse(new TextDecoder().decode(bytes)) ?? {};
    } catch {
      return {};
    }
  },

  /** The token's roles, of the claims that hold them unless a setting names another. */
  roles() {
    const { Role, "cognito:groups": groups } = this.claims();
    return [Role, groups].flat().flatMap((names) => (typeof names === "string" ? names.split(/\s+/) : [])).filter(Boolean);
  },

  /** Whether the token surely lacks the role: of one that shows none of ours only the API knows. */
  lacks(role) {
    const roles = this.roles();
    return !this.isOpen && roles.some((one) => one.startsWith("data.")) && !roles.includes(role);
  },
};

/** Whole numbers that a double cannot hold stay as they were sent, as text. */
function exact(_key, value, context) {
  const isRounded = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
  return isRounded && context?.source ? context.source : value;
}

async function send(method, path, { body, signal, token = session.token } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return await fetch(BASE + path, { method, headers, body: text, signal, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ status: 0, title: "No answer", detail: `${origin} does not answer` });
  }
}

/** What is said of a 403 that is no problem document: API Gateway's own, of a token that its authorizer refused for whatever reason. */
const NOT_LET_IN = { title: "Not let in", detail: "The API does not take this token. It may have expired, or be signed with another secret, or lack the role data.read." };

async function problem(response) {
  const requestId = response.headers.get("x-request-id") ?? response.headers.get("apigw-requestid");
  const text = await response.text();
  try {
    const said = JSON.parse(text);
    if (response.status === 403 && !said.type) Object.assign(said, NOT_LET_IN);
    return new Problem({ ...said, detail: said.detail ?? said.message, status: response.status }, requestId);
  } catch {
    const title = response.statusText || `Status ${response.status}`;
    return new Problem({ status: response.status, title, detail: text.slice(0, 500) || title }, requestId);
  }
}

/** Whether the API takes the token for no good, rather than for one without a role. */
export const isOfToken = (problem) => problem.status === 401 || (problem.status === 403 && problem.kind === "");

/**
 * Calls the API and returns its JSON, or null where it answers with nothing.
 * Throws a `Problem`; one of the token also ends the session, unless the call brought a token to try.
 */
export async function call(method, path, options = {}) {
  const response = await send(method, path, options);
  if (!response.ok) {
    const failed = await problem(response);
    if (isOfToken(failed) && options.token === undefined) session.expired(failed);
    throw failed;
  }
  const text = await response.text();
  return text === "" ? null : JSON.parse(text, exact);
}

/** What `/metrics` says, as text. */
export async function metricsText(signal) {
  const response = await send("GET", "/metrics", { signal });
  if (!response.ok) throw await problem(response);
  return response.text();
}

/** What the API says of itself: `{status, version, datasets, tokens}`. It says so too when it is not well, with 503. */
export async function health(signal) {
  const response = await send("GET", "/health", { signal });
  if (!response.ok && response.status !== 503) throw await problem(response);
  const said = await response.clone().json().catch(() => null);
  if (!Array.isArray(said?.datasets)) throw await problem(response);
  session.isOpen = said.tokens === false;
  return said;
}

/** Asks whether a token is good, by a read that finds next to nothing. A `Problem` of the token: it is not. */
export const tryToken = (token) => call("GET", "/v1/dead_letters?limit=1&from=-1s", { token });

/** How soon it is asked again for a read that is under way. */
const AGAIN_MS = 1000;

/** One page of a dataset's records, newest first. A read that takes longer than a request may is asked for until it is there. */
export async function records(dataset, parameters, signal) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  let page = await call("GET", `/v1/${encodeURIComponent(dataset)}?${new URLSearchParams(given)}`, { signal });
  while (page.state === "running") {
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    page = await call("GET", page.location, { signal });
  }
  return page;
}

/** `{reports}`: each with its newest results. */
export const reports = (signal) => call("GET", "/v1/reports", { signal });

/** One report, and a page of its results. */
export const report = (name, parameters, signal) => call("GET", `/v1/reports/${encodeURIComponent(name)}?${new URLSearchParams(parameters)}`, { signal });

/** Not of the public API: a node alone has it, for who has the role data.admin. */
export const audit = (signal) => call("POST", "/admin/audit", { signal });

/**
 * What arrives in a dataset, as server-sent events: an iterator over lists of those that came together, each `{event, data, id}`. It ends when
 * the API ends the stream. Throws a `Problem` when there is none.
 */
export async function follow(dataset, query, last, signal) {
  const asked = new URLSearchParams(Object.entries({ ...query, last_event_id: last }).filter(([, value]) => value));
  const response = await send("GET", `/v1/${encodeURIComponent(dataset)}/live?${asked}`, { signal });
  if (!response.ok) {
    const failed = await problem(response);
    if (isOfToken(failed)) session.expired(failed);
    throw failed;
  }
  return events(response.body.pipeThrough(new TextDecoderStream()));
}

/** Takes the text of an event stream apart: events end in an empty line. */
async function* events(text) {
  let rest = "";
  for await (const part of parts(text.getReader())) {
    const whole = (rest + part).split("\n\n");
    rest = whole.pop();
    const together = whole.map(fields).filter((event) => event.data !== undefined || event.id !== undefined);
    if (together.length > 0) yield together.map(({ event, data, id }) => ({ event, id, data: data && JSON.parse(data, exact) }));
  }
}

async function* parts(reader) {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

function fields(event) {
  const lines = event.split("\n").filter((line) => !line.startsWith(":"));
  const named = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trimStart()]);
  return Object.fromEntries(named.filter(([name]) => name));
}
