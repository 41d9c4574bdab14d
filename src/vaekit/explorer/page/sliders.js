// A slider for every number of the code, the most used first.

import { make, plural, section, short } from "./dom.js";
import { knob } from "./knob.js";

const FIRST = 12; // sliders that stand there at once

export function sliders(studio, view) {
  const { latents, order } = studio.payload;
  const most = Math.max(...latents.map((latent) => latent.rate ?? latent.std), 1e-9);

  function slider(k) {
    const { name, rate, std, low, high } = latents[k];
    return knob(studio, view, {
      key: `latent-${k}`,
      name,
      note: rate === null ? `spread over the data: ${short(std)}` : `carries ${short(rate)} nats of what a ${view.noun} is`,
      share: Math.max(0, rate ?? std) / most,
      low,
      high,
      value: () => studio.code[k],
      go: (value) => studio.turn(k, value, name),
      reset: () => studio.turn(k, studio.start[k], name),
      codeAt(value) {
        const code = studio.code.slice();
        code[k] = value;
        return code;
      },
    });
  }

  const used = order.filter((k) => latents[k].used);
  const unused = order.filter((k) => !latents[k].used);
  const folded = (text, columns) =>
    columns.length > 0 &&
    make("details", { class: "fold" }, make("summary", {}, text), make("div", { class: "knobs" }, ...columns.map(slider)));
  const idle = `${plural(unused.length, "number", "numbers")} that this model does not use: moving ${unused.length === 1 ? "it" : "them"} changes nothing, or next to nothing`;
  return section(
    "sliders",
    "The numbers of the code",
    used.length
      ? `Each slider is one number of the code that the model keeps of a ${view.noun}; those that carry most come first. ` +
          `Drag one and watch what changes, or press the triangle; the small ${view.nouns} show where it leads.`
      : `This model uses none of its numbers: whatever they are, much the same comes out.`,
    make("div", { class: "knobs" }, ...used.slice(0, FIRST).map(slider)),
    folded(`${plural(used.length - FIRST, "further number", "further numbers")} in use`, used.slice(FIRST)),
    folded(idle, unused),
  );
}
