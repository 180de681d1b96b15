// Elements. What events contain is hostile input, so there is one way to put data on the page, and it makes text of it.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Properties that begin with `on` are listeners; `false`, null and undefined are left out. */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" && "value" in element) element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Puts a text where another stood, and touches nothing when it is the same. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Tells whoever listens to the page instead of looking at it. */
export function announce(text) {
  say(document.getElementById("announce"), text);
}

/** A region that a table scrolls in: the keyboard reaches it. */
export function scroll(label, low, ...children) {
  return h("div", { class: low ? "scroll low" : "scroll", tabindex: 0, role: "region", "aria-label": label }, ...children);
}

/** The head of a view: its title, and what stands beside it. */
export function viewHead(title, ...beside) {
  return h("div", { class: "view-head" }, h("h1", { tabindex: -1 }, title), ...beside);
}

/** Saves what lies at an address as a file; the page stays. */
export function save(address) {
  const link = h("a", { href: address, download: "", hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
}

/** A button that copies a text, and says that it did. */
export function copyButton(text, what) {
  const button = h("button", { type: "button", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      say(button, "Copied");
      announce(`Copied ${what}`);
    } catch {
      say(button, "Select and copy it");
      announce("The browser does not let this page copy; select the text and copy it.");
    }
    setTimeout(() => say(button, "Copy"), 2000);
  });
  return button;
}
