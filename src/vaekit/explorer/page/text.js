// How a datum looks that is a sequence: the likeliest token at every place, faint where it is a guess.

import { make } from "./dom.js";

const BLANK = { " ": "\u00b7", "\n": "\u21b5\n", "\t": "\u2192\t" };

/** Views of sequences of `shape[0]` tokens; values are tokens, (T,), or probabilities, (T, vocabulary). */
export function textView({ shape, vocabulary }) {
  const length = shape[0];
  const word = (token) => vocabulary?.[token] ?? `${token}`;
  const letters = vocabulary?.every((text) => [...text].length <= 1) ?? false;

  /** Tokens with their probability. */
  function read(values) {
    const kinds = values.length / length;
    return Array.from({ length }, (_, t) => {
      if (kinds === 1) return { token: Math.round(values[t]), sure: 1 };
      let best = 0;
      for (let k = 1; k < kinds; k++) if (values[t * kinds + k] > values[t * kinds + best]) best = k;
      return { token: best, sure: values[t * kinds + best] };
    });
  }

  const plain = (values) => read(values).map(({ token }) => word(token)).join(letters ? "" : " ");

  return {
    noun: "text",
    nouns: "texts",
    words: vocabulary ?? null,
    letters,
    length,
    plain,
    big() {
      const element = make("p", { id: "picture", class: "text", tabindex: "0" });
      return {
        element,
        draw(mean, spread, unsure) {
          element.replaceChildren(
            ...read(mean).map(({ token, sure }) => {
              const blank = letters && BLANK[word(token)]; // made visible: a model may write nothing but these
              const span = make("span", { title: `${Math.round(100 * sure)} %`, class: blank && "blank" }, blank || word(token) + (letters ? "" : " "));
              if (unsure) span.style.opacity = `${0.25 + 0.75 * sure}`;
              return span;
            }),
          );
          return unsure ? "Faint where the model is unsure of the token." : "";
        },
      };
    },
    thumb() {
      const element = make("span", { class: "snippet", "aria-hidden": "true" });
      return { element, draw: (values) => (element.textContent = plain(values)) };
    },
  };
}
