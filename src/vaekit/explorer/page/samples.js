// New data, drawn from the prior and from every sampler that was fitted.

import { row, unpack } from "./arrays.js";
import { button, choice, make, section } from "./dom.js";

const SHOWN = 24;

export function samples(studio, view) {
  const sources = studio.payload.samplers.map((given) => ({ ...given, codes: unpack(given.codes), next: 0 }));
  let source = sources[0];
  const how = make("p", { class: "caption" }, source.how);
  let codes = [];
  const cells = Array.from({ length: Math.min(SHOWN, Math.max(...sources.map((s) => s.codes.shape[0]))) }, (_, i) => {
    const thumb = view.thumb();
    const press = button("", () => codes[i] && studio.go(codes[i], "sample"), { "aria-label": `Sample ${i + 1}: go to it` });
    press.append(thumb.element);
    return { ...thumb, press };
  });

  function show(drawn) {
    codes = drawn.map((code) => Float32Array.from(code));
    cells.forEach(({ press }, i) => (press.hidden = i >= codes.length));
    const width = studio.size;
    const rows = new Float32Array(codes.length * width);
    codes.forEach((code, i) => rows.set(code, i * width));
    studio.loop.later("samples", rows, codes.length, (i, mean) => cells[i].draw(mean));
  }

  async function more() {
    const { codes: stored, name } = source;
    const total = stored.shape[0];
    const n = Math.min(cells.length, total);
    if (studio.backend.sample && source.next >= total) {
      try {
        const fresh = await studio.backend.sample(name, cells.length, source.next++);
        return show(Array.from({ length: fresh.shape[0] }, (_, i) => row(fresh, i)));
      } catch (error) {
        return studio.tell("fault", error);
      }
    }
    // the page holds so many; after the last comes the first
    show(Array.from({ length: n }, (_, i) => row(stored, (source.next + i) % total)));
    source.next += n;
    return undefined;
  }

  const redraw = () => show(codes);
  studio.on("still", (by) => by === "condition" && redraw());
  studio.on("look", redraw);
  more();
  const picker =
    sources.length > 1 &&
    choice("drawn from", sources.map(({ name }, i) => [i, name]), (i) => {
      source = sources[i];
      source.next = 0;
      how.textContent = source.how;
      more();
    }, { id: "sampler" });
  return section(
    "samples",
    `New ${view.nouns}`,
    `Nobody drew these: codes were picked at random, and the model made a ${view.noun} of each. Click one to move its numbers yourself.`,
    make("div", { class: "controls" }, picker, button("Others", more, { id: "more" }), how),
    make("div", { class: "grid" }, ...cells.map(({ press }) => press)),
  );
}
