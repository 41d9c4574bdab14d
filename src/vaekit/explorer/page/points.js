// The data that the model was asked about: their codes, their pictures, what is known of each.

import { row, unpack } from "./arrays.js";
import { classColour, colour, NUMBER_SCALE, numberColour } from "./colours.js";
import { make, short } from "./dom.js";

const SAID = 4; // facts of a datum that are said at once

export class Points {
  constructor(payload, view) {
    const { codes, pictures, values, colours } = payload.points;
    this.view = view;
    this.codes = unpack(codes);
    this.count = this.codes.shape[0];
    this.scale = payload.latents.map((latent) => 1 / Math.max(latent.std, 1e-6));
    this.values = unpack(values);
    this.pictures = pictures;
    this.colours = (colours ?? []).map((given) => {
      const data = unpack(given.values).data;
      const finite = given.kind === "number" ? Array.from(data).filter(Number.isFinite) : [];
      return { ...given, data, low: Math.min(...finite), high: Math.max(...finite) };
    });
    this.chosen = 0;
    this.only = null; // the one class that is shown, the others stand back
    this.ready = pictures ? this.load(pictures.png) : Promise.resolve();
  }

  async load(source) {
    this.sheet = new Image();
    this.sheet.src = source;
    await this.sheet.decode();
  }

  code(i) {
    return row(this.codes, i);
  }

  /** What is known of a datum, in words. */
  describe(i) {
    const known = this.colours.map((c) => {
      const value = c.data[i];
      if (c.kind === "number") return Number.isFinite(value) ? `${c.name} ${short(value)}` : null;
      return value < 0 ? null : `${c.name} ${c.names?.[value] ?? value}`;
    });
    return known.filter(Boolean).slice(0, SAID).join(" \u00b7 ");
  }

  /** A small picture of a datum, or null where the page has none. */
  thumb(i) {
    if (this.pictures && i < this.pictures.count) {
      const { width, height, across } = this.pictures;
      const element = make("canvas", { width, height, class: "pixels", "aria-hidden": "true" });
      const from = [(i % across) * width, Math.floor(i / across) * height];
      this.ready.then(() => {
        element.getContext("2d").drawImage(this.sheet, ...from, width, height, 0, 0, width, height);
        this.view.tint?.(element);
      });
      return element;
    }
    if (this.values && i < this.values.shape[0]) {
      const thumb = this.view.thumb();
      thumb.draw(row(this.values, i));
      return thumb.element;
    }
    return null;
  }

  /** The datum whose code is nearest, every latent measured by its own spread. */
  nearest(code) {
    let best = -1;
    let least = Infinity;
    const width = code.length;
    const { data } = this.codes;
    for (let i = 0; i < this.count; i++) {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += ((data[i * width + k] - code[k]) * (this.scale[k] ?? 1)) ** 2;
      if (sum < least) [best, least] = [i, sum];
    }
    return best;
  }

  /** The colour of every datum under the present choice. */
  paints() {
    const by = this.colours[this.chosen];
    if (!by) return new Array(this.count).fill(colour("data"));
    if (by.kind === "number") {
      return Array.from(by.data, (value) => numberColour((value - by.low) / (by.high - by.low || 1)));
    }
    const count = by.names?.length ?? Math.max(...by.data) + 1;
    const palette = Array.from({ length: count }, (_, k) => classColour(k, count));
    return Array.from(by.data, (k) => (k < 0 ? colour("soft") : palette[k]));
  }

  stands(i) {
    const by = this.colours[this.chosen];
    return this.only === null || by?.kind !== "class" || by.data[i] === this.only;
  }

  /** What the colours stand for; a class can be pressed to be seen alone. */
  legend(changed) {
    const by = this.colours[this.chosen];
    if (!by) return make("div", { class: "legend" });
    if (by.kind === "number") {
      const bar = make("span", { class: "scale", "aria-hidden": "true" });
      bar.style.backgroundImage = NUMBER_SCALE;
      return make("div", { class: "legend" }, make("span", {}, short(by.low)), bar, make("span", {}, short(by.high)));
    }
    const present = [...new Set(by.data)].filter((k) => k >= 0).sort((a, b) => a - b);
    const count = by.names?.length ?? Math.max(...by.data) + 1;
    return make(
      "div",
      { class: "legend", role: "group", "aria-label": `Colours: ${by.name}; press one to see it alone` },
      ...present.map((k) => {
        const swatch = make("i", { class: "swatch" });
        swatch.style.backgroundColor = classColour(k, count);
        const press = () => changed((this.only = this.only === k ? null : k));
        const pressed = this.only === k ? "true" : "false";
        return make("button", { type: "button", "aria-pressed": pressed, onclick: press }, swatch, `${by.names?.[k] ?? k}`);
      }),
    );
  }
}
