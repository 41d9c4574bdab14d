// A slider for every number of the code, the most used first.

import { make, plural, section, short } from "./dom.js";
import { knob, shelf } from "./knob.js";

export function sliders(studio, view) {
  const { latents, order } = studio.payload;
  const most = Math.max(...latents.map((latent) => latent.rate ?? latent.std), 1e-9);

  function slider(k) {
    const { name, rate, std } = latents[k];
    let { low, high } = latents[k];
    if (!(high > low)) [low, high] = [low - 1, low + 1]; // a latent that never moved
    return knob(studio, view, {
      key: `latent-${k}`,
      name,
      note: rate === null ? `spread over the data: ${short(std)}` : `carries ${short(rate)} nats of what a ${view.noun} is`,
      share: Math.max(0, rate ?? std) / most,
      low,
      high,
      value: () => studio.code[k],
      go: (value) => studio.turn(k, value, `latent-${k}`),
      reset: () => studio.turn(k, studio.start[k], `latent-${k}`),
      codeAt(value) {
        const code = studio.code.slice();
        code[k] = value;
        return code;
      },
    });
  }

  const used = order.filter((k) => latents[k].used);
  const unused = order.filter((k) => !latents[k].used);
  const them = plural(unused.length, "it", "them");
  const idle = `${unused.length} ${plural(unused.length, "number", "numbers")} that this model does not use: moving ${them} changes nothing, or next to nothing`;
  return section(
    "sliders",
    "The numbers of the code",
    used.length
      ? `Each slider is one number of the code that the model keeps of a ${view.noun}; those that carry most come first. ` +
          `Drag one and watch what changes, or press the triangle; the small ${view.nouns} show where it leads.`
      : `This model uses none of its numbers: whatever they are, much the same comes out.`,
    ...shelf(used.map(slider), ["further number in use", "further numbers in use"]),
    unused.length > 0 &&
      make("details", { class: "fold", open: used.length === 0 }, make("summary", {}, idle), make("div", { class: "knobs" }, ...unused.map(slider))),
  );
}
