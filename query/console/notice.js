// What is said when something goes wrong: always, where it went wrong, in the API's own words.

import { h } from "./dom.js";

/** A notice of an error. `retry`, if given, is what its button does. */
export function failure(error, retry) {
  const isRefused = error.status === 403 && error.kind !== "";
  const title = isRefused ? "Your token does not let you see this" : (error.title ?? "That did not work");
  const request = error.requestId ? h("p", { class: "soft" }, "Request ", h("code", {}, error.requestId)) : null;
  const again = retry && !isRefused ? h("button", { type: "button", onclick: retry }, "Try again") : null;
  return h(
    "div",
    { class: isRefused ? "notice warn" : "notice bad", role: "alert" },
    h("p", {}, h("strong", {}, title)),
    h("p", { class: "wrap" }, error.message),
    isRefused ? null : request,
    again,
  );
}

/** Shows what a promise comes to in a place: its element, or its failure. Leaves the place alone when the view is left. */
export async function into(place, signal, make) {
  try {
    const made = await make();
    if (!signal.aborted) place.replaceChildren(...[made].flat().filter(Boolean));
    return true;
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return false;
    place.replaceChildren(failure(error, () => into(place, signal, make)));
    return false;
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/** What stands in the place of what the token has no role for, and is not asked for. */
export const forAdmins = (text) => h("p", { class: "soft" }, `${text} the role `, h("code", {}, "data.admin"), ".");

export const waiting = (text) => h("p", { class: "soft" }, text);
