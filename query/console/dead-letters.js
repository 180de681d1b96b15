// What could not become a row: by reason, with the original, and the command that sends it again.

import { copyButton, h, say, scroll, viewHead } from "./dom.js";
import { bytes, count, plural, stamp } from "./format.js";
import { into, waiting } from "./notice.js";
import { literal, select } from "./queries.js";

const SHOWN = 20;
const GROUPS = `select dataset, reason, count(*) as letters, count(redriven_at) as redriven, min(ingest_time) as first, max(ingest_time) as last
from dead_letters group by dataset, reason order by letters desc, reason`;
/** A reason that is not here is shown by its code alone: newer nodes may have more. */
const MEANINGS = {
  not_json: "not JSON",
  not_an_object: "JSON, but no object",
  too_deep: "nested too deep",
  too_large: "too large",
  duplicate_key: "the same key twice",
  time_unreadable: "a time that is none",
  time_in_future: "later than arrival allows",
  time_in_past: "earlier than arrival allows",
  bad_attribute: "an id, source or type that cannot be one",
  required_missing: "a required property is missing",
  schema_violated: "a value breaks the schema",
  undeclared_field: "a field that the schema does not have",
  no_dataset: "nothing says which dataset",
  unreadable_record: "a record that cannot be opened",
  expands_too_far: "expands past its limit",
};

export function open({ main, signal, query, remember }) {
  const groups = h("div", { "aria-busy": "true" }, waiting("Asking…"));
  const letters = h("section", { class: "panel view", "aria-label": "Letters", hidden: true });
  const said = h("p", { class: "soft", id: "letters-said" });
  main.replaceChildren(
    h("div", { class: "view" },
      viewHead("Dead letters", said, h("div", { class: "right" }, h("button", { type: "button", onclick: () => load() }, "Ask again"))),
      h("div", { class: "split" }, groups, letters)),
  );

  function load() {
    return into(groups, signal, async () => {
      const found = await select(GROUPS, signal);
      const total = found.reduce((sum, group) => sum + group.letters, 0);
      const redriven = found.reduce((sum, group) => sum + group.redriven, 0);
      say(said, found.length ? `${plural(total, "letter")}, ${count(redriven)} of them sent again.` : "");
      if (found.length === 0) return h("p", { class: "notice good" }, "There are no dead letters that you may see.");
      const wanted = (group) => group.reason === query.get("reason") && (group.dataset ?? "") === (query.get("dataset") ?? "");
      const table = groupTable(found, (group, row) => choose(group, row));
      const chosen = found.findIndex(wanted);
      queueMicrotask(() => choose(found[Math.max(chosen, 0)], table.querySelectorAll("tbody tr")[Math.max(chosen, 0)]));
      return scroll("Dead letters by reason", false, table);
    });
  }

  function choose(group, row) {
    for (const one of row.parentElement.children) {
      one.classList.toggle("chosen", one === row);
      const button = one.querySelector("button");
      if (one === row) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    remember({ reason: group.reason, dataset: group.dataset });
    letters.hidden = false;
    const list = h("div", {}, waiting("Asking…"));
    letters.replaceChildren(...groupHead(group), list);
    into(list, signal, async () => listOf(group, await select(lettersOf(group), signal)));
  }

  load();
}

const condition = ({ reason, dataset }) => `reason = ${literal(reason)} and dataset ${dataset === null ? "is null" : `= ${literal(dataset)}`}`;

const lettersOf = (group) =>
  `select event_id, source, type, owner, ingest_time, detail, pointer, record, "index", original, original_bytes, redriven_at
from dead_letters where ${condition(group)} order by ingest_time desc, event_id limit ${SHOWN}`;

function groupTable(groups, choose) {
  const row = (group) => {
    const made = h("tr", {},
      h("th", { scope: "row" },
        h("button", { type: "button", class: "plain mono", onclick: () => choose(group, made) }, group.reason),
        h("div", { class: "soft" }, MEANINGS[group.reason] ?? "")),
      h("td", { class: group.dataset === null ? "null" : null }, group.dataset ?? "none"),
      h("td", { class: "number" }, count(group.letters)),
      h("td", { class: "number" }, count(group.redriven)),
      h("td", { class: "time" }, stamp(group.last).slice(0, 19)));
    return made;
  };
  return h("table", { id: "reasons" },
    h("caption", {}, "By reason; choose one to see its letters."),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "reason"), h("th", { scope: "col" }, "dataset"), h("th", { scope: "col", class: "number" }, "letters"),
      h("th", { scope: "col", class: "number" }, "sent again"), h("th", { scope: "col" }, "last"))),
    h("tbody", {}, groups.map(row)));
}

/** A text as one word of a shell between double quotes. */
const quoted = (text) => `"${text.replace(/[\\"$`]/g, "\\$&")}"`;

function groupHead(group) {
  const open = group.letters - group.redriven;
  const command = `alluvium redrive --data DIR --where ${quoted(condition(group))}`;
  return [
    h("div", { class: "panel-head" }, h("h2", {}, h("span", { class: "mono" }, group.reason), group.dataset === null ? "" : ` in ${group.dataset}`),
      h("span", { class: "soft" }, `first ${stamp(group.first).slice(0, 19)}, last ${stamp(group.last).slice(0, 19)}`)),
    h("div", { class: "command" }, h("pre", { class: "text", id: "redrive" }, command), copyButton(() => command, "the redrive command")),
    h("p", { class: "soft" }, open === 0
      ? "All of these were sent again; the command would send nothing."
      : `It sends ${plural(open, "letter")} again, under the same keys. Mend the cause first; with --dry-run it only says what it would send.`),
  ];
}

function listOf(group, letters) {
  const item = (letter) => {
    const original = originalOf(letter);
    return h("li", {},
      h("p", { class: "wrap" }, letter.detail),
      h("pre", { class: "text original" }, original.text),
      original.note ? h("p", { class: "soft" }, original.note) : null,
      h("dl", { class: "pairs" },
        pair("arrived", stamp(letter.ingest_time)),
        pair("source", letter.source),
        pair("type", letter.type),
        pair("at", letter.pointer),
        pair("owner", letter.owner),
        pair("record", `${letter.record}, event ${letter.index}, ${bytes(letter.original_bytes ?? 0)}`),
        pair("id", letter.event_id),
        pair("sent again", letter.redriven_at && stamp(letter.redriven_at))));
  };
  const more = group.letters > letters.length ? `The newest ${letters.length} of ${count(group.letters)}.` : `${plural(letters.length, "letter")}, the newest first.`;
  return [h("p", { class: "soft" }, more), h("ul", { class: "letters" }, letters.map(item))];
}

const pair = (name, value) => (value === null || value === undefined || value === "" ? [] : [h("dt", {}, name), h("dd", {}, value)]);

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * The original as text. The API gives bytes as text where they are UTF-8 and else in base64, and does not say which; but a text has as
 * many bytes as the original had, and base64 more, unless it was cut.
 */
function originalOf({ original, original_bytes: size }) {
  if (original === null || original === undefined) return { text: "", note: "The original was not kept." };
  const kept = new TextEncoder().encode(original).length;
  if (kept === size) return { text: original, note: null };
  const decodes = BASE64.test(original) ? (kept / 4) * 3 - (original.match(/=*$/)[0].length) : null;
  if (decodes === size) return { text: hex(original), note: "Bytes that are not UTF-8, as hexadecimal digits." };
  return { text: original, note: `The beginning of ${bytes(size)}; a letter that was cut cannot be sent again.` };
}

function hex(base64) {
  const lines = [];
  const all = Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  for (let at = 0; at < all.length && at < 1024; at += 16) {
    const line = all.slice(at, at + 16);
    const digits = line.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    lines.push(`${digits.padEnd(48)} ${line.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·")).join("")}`);
  }
  return lines.join("\n") + (all.length > 1024 ? "\n…" : "");
}
