// What the keys do.

import { button, make, tick } from "./dom.js";

const KEYS = [
  ["Tab", "to the next slider, button or map"],
  ["\u2190 \u2192", "move a slider, or the point on the map"],
  ["p", "on a slider: play it from end to end; Esc stops"],
  ["r", "all sliders back to the start"],
  ["n", "any other point"],
  ["a, b", "remember this point as A, as B"],
  ["u", "show where the model is unsure"],
  ["?", "this list"],
];

export function help(actions) {
  let single = true;
  const lines = KEYS.map(([keys, what]) => [make("dt", {}, make("kbd", {}, keys)), make("dd", {}, what)]).flat();
  const dialog = make(
    "dialog",
    { id: "help", "aria-labelledby": "help-title" },
    make("h2", { id: "help-title" }, "Keys"),
    make("dl", {}, ...lines),
    make("p", { class: "caption" }, "Double-click a slider to take it back."),
    tick("single letters do something", true, (on) => (single = on)),
    button("Close", () => dialog.close(), { class: "main" }),
  );
  window.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=range]):not([type=checkbox]), select, textarea");
    if (!single || typing || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (event.key === "?") dialog.showModal();
    else if (actions[event.key]) actions[event.key].click();
  });
  return { dialog, open: button("Keys", () => dialog.showModal(), { title: "What the keys do (?)", id: "keys" }) };
}
