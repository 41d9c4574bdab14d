// How a datum looks that is a picture: (channels, height, width), grey or in colour.

import { HEAT } from "./colours.js";
import { make, short } from "./dom.js";

/** Views: `big` for the present point, `thumb` for the small ones. */
export function imageView({ shape, display }) {
  const [channels, height, width] = shape;
  const area = height * width;
  const gain = 255 / (display.high - display.low);

  function canvas(attributes) {
    return make("canvas", { width, height, class: "pixels", ...attributes });
  }

  /** Pixels as the model means them, at their own resolution: black at `low`, white at `high`. */
  function paint(target, values) {
    const pen = target.getContext("2d");
    const image = pen.createImageData(width, height);
    for (let i = 0; i < area; i++) {
      for (let k = 0; k < 3; k++) {
        const value = values[channels === 3 ? k * area + i : i];
        image.data[4 * i + k] = Math.round((value - display.low) * gain); // clamped by its type
      }
      image.data[4 * i + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
  }

  /** How unsure the model is of each pixel, bright where most; returns the largest value. */
  function paintSpread(target, spread) {
    const pen = target.getContext("2d");
    const image = pen.createImageData(width, height);
    const shown = Float32Array.from({ length: area }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < channels; k++) sum += spread[k * area + i] ** 2;
      return Math.sqrt(sum / channels);
    });
    const most = shown.reduce((a, b) => Math.max(a, b), 0);
    for (let i = 0; i < area; i++) {
      const level = most > 0 ? Math.round((255 * shown[i]) / most) : 0;
      image.data.set(HEAT.subarray(3 * level, 3 * level + 3), 4 * i);
      image.data[4 * i + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
    return { most, least: shown.reduce((a, b) => Math.min(a, b), most) };
  }

  return {
    noun: "picture",
    nouns: "pictures",
    width,
    height,
    thumb() {
      const element = canvas({ "aria-hidden": "true" });
      return { element, draw: (values) => paint(element, values) };
    },
    big() {
      const element = canvas({ id: "picture", role: "img", "aria-label": "The picture of the present point" });
      element.style.setProperty("aspect-ratio", `${width} / ${height}`);
      return {
        element,
        draw(mean, spread) {
          if (!spread) return paint(element, mean);
          const { most, least } = paintSpread(element, spread);
          const unit = `on a scale from ${short(display.low)} (black) to ${short(display.high)} (white)`;
          return most - least < 1e-6 * most
            ? `Equally unsure everywhere: give or take ${short(most)}, ${unit}.`
            : `Bright where the model is unsure: give or take up to ${short(most)}, ${unit}.`;
        },
      };
    },
  };
}
