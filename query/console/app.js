// The frame: who is signed in, which view is open, how the node is.

import { health, origin, session } from "./api.js";
import { announce, h, say } from "./dom.js";
import { clock } from "./format.js";
import { metrics } from "./metrics.js";
import { failure } from "./notice.js";
import { every } from "./poll.js";
import { begin, signIn } from "./sign-in.js";
import * as datasets from "./datasets.js";
import * as deadLetters from "./dead-letters.js";
import * as overview from "./overview.js";
import * as records from "./records.js";
import * as reports from "./reports.js";
import * as sql from "./sql.js";

const HEALTH_EVERY_MS = 10_000;
const VIEWS = {
  overview: { title: "Overview", open: overview.open },
  records: { title: "Records", open: records.open },
  sql: { title: "SQL", open: sql.open },
  "dead-letters": { title: "Dead letters", open: deadLetters.open },
  datasets: { title: "Datasets", open: datasets.open },
  reports: { title: "Reports", open: reports.open },
};

const element = (id) => document.getElementById(id);
const main = element("main");
/** What the node said of itself last: `{status, version, datasets}`. */
let node = { datasets: [] };
let signedIn = null;
let view = null;

function route(event) {
  if (!signedIn) return;
  const [name, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const chosen = Object.hasOwn(VIEWS, name) ? name : "overview";
  view?.abort();
  view = new AbortController();
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.hash === `#/${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[chosen].title} · Alluvium`;
  main.replaceChildren();
  VIEWS[chosen].open({ main, node, signal: view.signal, query: new URLSearchParams(query), remember: (values) => remember(chosen, values) });
  // Whoever has just loaded the page begins at its top; whoever followed a link, or signed in, at what it led to.
  if (event) main.querySelector("h1")?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** Keeps what a view shows in the address, so that it can be sent on and gone back to. */
function remember(name, values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(given).toString();
  history.replaceState(null, "", `#/${name}${query ? `?${query}` : ""}`);
}

function enter(event) {
  const isOpen = session.token === "";
  signedIn = new AbortController();
  element("nav").hidden = false;
  element("session").hidden = false;
  say(element("sign-out"), isOpen ? "Leave" : "Sign out");
  say(element("who"), isOpen ? "no sign-in needed" : who());
  element("who").title = element("who").textContent;
  metrics.start(signedIn.signal);
  every(HEALTH_EVERY_MS, signedIn.signal, async (signal) => healthy(await health(signal)), unhealthy);
  if (location.hash === "") history.replaceState(null, "", "#/overview");
  route(event);
}

/** Who the token says one is. */
const who = () => [session.claims().sub, session.roles().join(" ")].filter(Boolean).join(" · ");

function healthy(said) {
  node = Object.assign(node, said);
  const isWell = said.status === "ok";
  element("node-state").className = isWell ? "state good" : "state bad";
  say(element("node-state"), said.status);
  if (said.version) say(element("version"), `Alluvium ${said.version} at ${origin}`);
}

let failingSince = null;

function unhealthy(error) {
  const wasGood = element("node-state").classList.contains("good");
  if (wasGood) failingSince = Date.now();
  element("node-state").className = "state bad";
  const word = error.status === 0 ? "does not answer" : `answers ${error.status}`;
  say(element("node-state"), failingSince ? `${word} since ${clock(failingSince)}` : word);
  if (wasGood) announce(`The node ${word}`);
}

function leave(why) {
  signedIn?.abort();
  signedIn = null;
  view?.abort();
  session.forget();
  element("nav").hidden = true;
  element("session").hidden = true;
  document.title = "Sign in · Alluvium";
  signIn(main, why, enter);
}

async function start() {
  try {
    const begun = await begin();
    node = Object.assign(node, begun.node);
    healthy(begun.node);
    if (begun.needsToken) leave(begun.why);
    else enter();
  } catch (error) {
    main.replaceChildren(h("div", { class: "view" }, h("h1", { tabindex: -1 }, "Alluvium"), failure(error, start)));
  }
}

function theme() {
  const chosen = localStorage.getItem("alluvium.theme") ?? "";
  element("theme").value = chosen;
  document.documentElement.dataset.theme = chosen;
}

element("theme").addEventListener("change", (event) => {
  localStorage.setItem("alluvium.theme", event.target.value);
  theme();
});
element("sign-out").addEventListener("click", () => {
  leave(null);
  announce("Signed out");
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
session.expired = (problem) => signedIn && leave(problem);
window.addEventListener("hashchange", route);
theme();
start();
