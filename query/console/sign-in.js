// The sign-in: a token, tried before it is taken.

import { health, isOfToken, origin, session, tryToken } from "./api.js";
import { h } from "./dom.js";
import { failure } from "./notice.js";

/**
 * Shows the form. `why` is the problem that led here, if one did. `entered` is called, with the event that did it, once the API takes the token.
 */
export function signIn(main, why, entered) {
  const token = h("input", {
    id: "token", type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "none", "aria-describedby": "token-help",
  });
  const button = h("button", { type: "submit", class: "first" }, "Sign in");
  const said = h("div", {}, why ? failure(why) : null);

  async function submit(event) {
    event.preventDefault();
    const shown = token.value.trim().replace(/^bearer\s+/i, "");
    button.disabled = true;
    said.replaceChildren();
    try {
      await allowed(shown);
      session.keep(shown);
      entered(event);
    } catch (error) {
      said.replaceChildren(failure(error));
      token.focus();
      token.select();
    } finally {
      button.disabled = false;
    }
  }

  main.replaceChildren(
    h(
      "div",
      { class: "sign-in" },
      h("h1", { tabindex: -1 }, "Sign in"),
      said,
      h(
        "form",
        { class: "panel", onsubmit: submit },
        h("label", { for: "token" }, `Token for ${origin}`),
        token,
        h("p", { id: "token-help", class: "soft" }, "It stays in this tab, and goes nowhere but to this API. A node that runs with ", h("code", { class: "nowrap" }, "--no-auth"), " asks for none: leave it empty."),
        h("div", { class: "buttons" }, button),
      ),
      h(
        "div",
        { class: "panel view" },
        h("p", {}, "A node on your machine makes tokens. To see everything:"),
        h("pre", { class: "text" }, "alluvium token --data DIR --sub YOU --role data.admin"),
        h("p", { class: "soft" }, "With the role data.read, a token shows the records of its owner and no ledger."),
      ),
    ),
  );
  token.focus();
}

/** Whether a good token is behind this: one without the role to read is good as well, and the views say what it lacks. */
async function allowed(token) {
  try {
    await tryToken(token);
  } catch (error) {
    if (error.status !== 403 || isOfToken(error)) throw error;
  }
}

/** How the page begins: what the API says of itself, and whether a sign-in is needed, with what was wrong with the token kept so far. */
export async function begin() {
  const node = await health();
  if (session.token === null) return { node, needsToken: true, why: null };
  try {
    await allowed(session.token);
    return { node, needsToken: false };
  } catch (error) {
    if (!isOfToken(error)) throw error;
    return { node, needsToken: true, why: error };
  }
}
