// What stays in sight: the picture of the present point, what it is near to, and what can be done with it.

import { row } from "./arrays.js";
import { button, choice, make, short } from "./dom.js";

export function stage(studio, view, points) {
  const { payload } = studio;
  const big = view.big();
  const about = make("p", { class: "caption", id: "about" });
  const near = make("p", { class: "near", hidden: !points });
  const meter = make("p", { class: "caption", id: "meter" });
  const fault = make("p", { class: "note fault", role: "alert", hidden: true });
  const state = make("p", { class: "unseen", role: "status", "aria-live": "polite", id: "state" });
  let unsure = false;
  let latest = null;

  function show() {
    if (!latest) return;
    about.textContent = big.draw(latest.mean, unsure ? latest.stddev : null, unsure) || "";
  }

  studio.on("picture", (found) => {
    latest = found;
    fault.hidden = true;
    show();
  });
  studio.on("look", show);
  studio.on("fault", (error) => {
    fault.hidden = false;
    fault.textContent = `The model could not be asked. ${error.message}`;
  });
  const column = new Map(payload.latents.map((_, k) => [`latent-${k}`, k]));
  studio.on("still", (by) => {
    const said = column.has(by) ? [`${payload.latents[column.get(by)].name} is ${studio.code[column.get(by)].toFixed(2)}.`] : [];
    if (points) {
      const i = points.nearest(studio.code);
      const text = points.describe(i) || `number ${i + 1}`;
      near.replaceChildren(...[points.thumb(i), make("span", {}, make("span", { class: "soft" }, "closest in the data"), make("span", { class: "known" }, text))].filter(Boolean));
      said.push(`Closest in the data: ${text}.`);
    }
    if (studio.pace !== null) meter.textContent = `${short(studio.pace, 2)} ms a step`;
    const text = said.join(" ") || `The ${view.noun} has changed.`;
    state.textContent = text;
    if (big.element.getAttribute("role") === "img") {
      big.element.setAttribute("aria-label", `The ${view.noun} of the present point. ${text}`);
    }
  });

  const doubt = button("How sure?", () => {
    unsure = !unsure;
    doubt.setAttribute("aria-pressed", unsure);
    show();
  }, { "aria-pressed": "false", id: "unsure", title: "Show where the model is unsure (u)" });
  const actions = {
    r: button("Reset", () => studio.go(studio.start, "start"), { title: "All sliders back (r)", id: "reset" }),
    n: payload.samplers.length > 0 && button("Any other", () => any(studio), { title: `A random new ${view.noun} (n)`, id: "random" }),
    a: !payload.discrete && button("Set A", () => studio.mark("A"), { title: "Remember this point as A (a)", id: "set-a" }),
    b: !payload.discrete && button("Set B", () => studio.mark("B"), { title: "Remember this point as B (b)", id: "set-b" }),
    u: payload.uncertainty && doubt,
  };
  const conditions = payload.context;
  const condition =
    conditions &&
    choice("given", (conditions.names ?? []).map((name, i) => [i, name]), (i) => studio.choose(Number(i)), { id: "condition" });
  const element = make(
    "aside",
    { id: "stage", "aria-label": `The ${view.noun} of the present point` },
    make("div", { class: "screen" }, big.element),
    make("div", { class: "beside" }, fault, condition, near, make("div", { class: "tools" }, ...Object.values(actions)), about, meter, state),
  );
  return { element, actions };
}

function any(studio) {
  const codes = studio.drawn(studio.samplers[0]);
  studio.go(row(codes, Math.floor(Math.random() * codes.shape[0])), "random");
}
