// New data, drawn from the prior and from every sampler that was fitted, under the condition that is chosen.

import { row } from "./arrays.js";
import { button, choice, make, section } from "./dom.js";

const SHOWN = 24;

export function samples(studio, view) {
  const sources = studio.samplers.map((given) => ({ ...given, next: 0 }));
  const asks = Boolean(studio.backend.sample);
  const held = Math.max(...sources.map((each) => studio.drawn(each).shape[0]));
  let source = sources[0];
  const how = make("p", { class: "caption" });
  let codes = [];
  let wish = null; // what is shown: from which of those that the page holds, or the server's by which seed
  let latest = 0;
  const cells = Array.from({ length: asks ? SHOWN : Math.min(SHOWN, held) }, (_, i) => {
    const thumb = view.thumb();
    const press = button("", () => codes[i] && studio.go(codes[i], "sample"), { "aria-label": `Sample ${i + 1}: go to it` });
    press.append(thumb.element);
    return { ...thumb, press };
  });

  function draw() {
    const width = studio.size;
    const rows = new Float32Array(codes.length * width);
    codes.forEach((code, i) => rows.set(code, i * width));
    studio.loop.later("samples", rows, codes.length, (i, mean) => cells[i].draw(mean));
  }

  function show(drawn) {
    codes = drawn.map((code) => Float32Array.from(code));
    cells.forEach(({ press }, i) => (press.hidden = i >= codes.length));
    draw();
  }

  /** Show what is wished for. */
  async function fill() {
    const mine = ++latest;
    how.textContent = said();
    const stored = studio.drawn(source);
    const total = stored.shape[0];
    if (wish.seed === undefined) {
      // the page holds so many; after the last comes the first
      return show(Array.from({ length: Math.min(cells.length, total) }, (_, i) => row(stored, (wish.first + i) % total)));
    }
    if (source.conditional) {
      codes = []; // what is still to be seen belongs to another condition: it leads nowhere, and is not drawn
      draw();
    }
    try {
      const fresh = await studio.sample(source.name, cells.length, wish.seed);
      if (mine === latest) show(Array.from({ length: fresh.shape[0] }, (_, i) => row(fresh, i)));
    } catch (error) {
      if (mine === latest) studio.tell("fault", error);
    }
    return undefined;
  }

  function more() {
    const total = studio.drawn(source).shape[0];
    if (asks && source.next >= total) {
      wish = { seed: source.next++ };
    } else {
      wish = { first: source.next };
      source.next += Math.min(cells.length, total);
    }
    others.hidden = !asks && total <= cells.length;
    return fill();
  }

  /** Where the codes come from, and under which condition. */
  function said() {
    const names = studio.payload.context?.names;
    if (!names) return source.how;
    const seen = source.conditional ? "Drawn and shown given" : "Drawn whatever the condition, and shown given";
    return `${source.how} ${seen}: ${names[studio.condition]}.`;
  }

  const others = button("Others", more, { id: "more" });
  studio.on("condition", () => {
    if (source.conditional) return fill();
    how.textContent = said();
    return draw();
  });
  studio.on("look", draw);
  more();
  const picker =
    sources.length > 1 &&
    choice("drawn from", sources.map(({ name }, i) => [i, name]), (i) => {
      source = sources[i];
      source.next = 0;
      more();
    }, { id: "sampler" });
  return section(
    "samples",
    `New ${view.nouns}`,
    `Nobody drew these: codes were picked at random, and the model made a ${view.noun} of each. Click one to move its numbers yourself.`,
    make("div", { class: "controls" }, picker, others, how),
    make("div", { class: "grid" }, ...cells.map(({ press }) => press)),
  );
}
