// Own rows of numbers, and own texts.

import { button, make, short } from "./dom.js";

/** A form with a field for every column, in original units; it begins with the present row. */
export function ownRow({ studio, view, take, refuse }) {
  const { shape } = studio.payload;
  const count = shape.reduce((a, b) => a * b, 1);
  const fields = view.names.map((name, i) => {
    const input = make("input", { type: "number", step: "any", id: `column-${i}` });
    return { input, element: make("label", { class: "field", for: `column-${i}` }, make("span", {}, name), input) };
  });
  let touched = false;
  let latest = null;
  const fill = () => latest && fields.forEach(({ input }, i) => (input.value = Number(view.original(i, latest[i]).toPrecision(4))));
  studio.on("picture", ({ mean }) => {
    latest = mean;
    if (!touched) fill();
  });
  const form = make("form", { class: "row", onsubmit }, make("div", { class: "fields" }, ...fields.map(({ element }) => element)), make("div", { class: "controls" }, make("button", { type: "submit", class: "main", id: "encode" }, "Put it into the code"), button("Begin again from the present row", () => ((touched = false), fill()))));
  form.addEventListener("input", () => (touched = true));

  function onsubmit(event) {
    event.preventDefault();
    const x = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const value = fields[i].input.valueAsNumber;
      if (!Number.isFinite(value)) return refuse(`${view.names[i]} is empty: every column needs a number.`);
      x[i] = (value - (view.original(i, 0))) / view.scaleOf(i);
    }
    touched = true;
    return take(x);
  }

  return {
    how: "Type a row of your own: the model puts it into its code and fills it in again from there. What comes back different, it finds unusual.",
    content: [count <= 24 ? form : make("details", { class: "fold" }, make("summary", {}, `The ${short(count)} columns`), form)],
  };
}

/** A line to type into; unknown words and too many are refused. */
export function ownText({ view, take, refuse }) {
  const input = make("input", { type: "text", id: "own-text", autocomplete: "off", spellcheck: "false", maxlength: 10000 });
  function onsubmit(event) {
    event.preventDefault();
    const words = view.letters ? [...input.value] : input.value.trim().split(/\s+/);
    const tokens = words.map((word) => (view.words ? view.words.indexOf(word) : Number.parseInt(word, 10)));
    const unknown = tokens.findIndex((token) => !(token >= 0));
    if (unknown >= 0) return refuse(`\u201c${words[unknown]}\u201d is not among the model's tokens.`);
    if (tokens.length > view.length) return refuse(`That are ${tokens.length} tokens; the model takes ${view.length}.`);
    const x = new Float32Array(view.length); // what is left over is the first token of the vocabulary
    x.set(tokens);
    return take(x);
  }
  const send = make("button", { type: "submit", class: "main" }, "Put it into the code");
  return {
    how: `Type a text of your own, of up to ${view.length} tokens: the model puts it into its code and writes it again from there.`,
    content: [make("form", { class: "controls", onsubmit }, make("label", { class: "field wide", for: "own-text" }, make("span", {}, "text"), input), send)],
  };
}
