// Elements. Texts become text nodes, so nothing that comes from the data is ever read as markup.

/** An element with attributes, listeners (names that begin with "on") and children; null and false are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A section of the page: heading, one sentence for someone who sees this for the first time, and its parts. */
export function section(id, title, how, ...children) {
  return make(
    "section",
    { id, "aria-labelledby": `${id}-title` },
    make("h2", { id: `${id}-title` }, title),
    make("p", { class: "how" }, how),
    ...children,
  );
}

/** A button that says what it does. */
export function button(text, onclick, attributes = {}) {
  return make("button", { type: "button", onclick, ...attributes }, text);
}

/** A labelled choice; `options` are [value, text]. */
export function choice(label, options, onchange, attributes = {}) {
  const select = make("select", { onchange: () => onchange(select.value), ...attributes });
  for (const [value, text] of options) select.append(make("option", { value }, text));
  return make("label", { class: "choice" }, make("span", {}, label), select);
}

/** A labelled tick box. */
export function tick(label, checked, onchange, attributes = {}) {
  const box = make("input", { type: "checkbox", onchange: () => onchange(box.checked), ...attributes });
  box.checked = checked;
  return make("label", { class: "tick" }, box, make("span", {}, label));
}

/** A small drawing of straight and round lines, for buttons; it says nothing to a screen reader. */
export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  play: "M5 3.2v9.6l7.6-4.8z",
  stop: "M4.5 4.5h7v7h-7z",
  back: "M3.2 8a4.8 4.8 0 1 0 1.6-3.6M3.4 2.6v2.6h2.6",
};

/** A number as short as it can be said: 1.25, 0.00400, 31000. */
export function short(value, digits = 3) {
  if (!Number.isFinite(value)) return "not a number";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return `${value}`.replace("-", "\u2212");
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(digits - 1);
  const decimals = size >= 1000 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size || 1)));
  return value.toFixed(Math.min(decimals, 4)).replace("-", "\u2212");
}

/** One of two words. */
export function plural(count, one, many) {
  return count === 1 ? one : many;
}
