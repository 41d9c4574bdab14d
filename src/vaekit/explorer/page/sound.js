// How a datum looks that is a spectrogram, (1, bins, frames): low tones below, time to the right; and how it sounds.

import { HEAT } from "./colours.js";
import { button, make, short } from "./dom.js";
import { griffinLim } from "./griffin.js";

/** Views of sounds; log10 of the magnitude is low + value (high - low). */
export function soundView({ shape, sound, display }) {
  const [, bins, frames] = shape;
  const gain = 255 / (display.high - display.low);

  function paint(canvas, values) {
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(frames, bins);
    for (let f = 0; f < bins; f++) {
      for (let t = 0; t < frames; t++) {
        const level = Math.max(0, Math.min(255, Math.round((values[f * frames + t] - display.low) * gain)));
        const at = 4 * ((bins - 1 - f) * frames + t);
        image.data.set(HEAT.subarray(3 * level, 3 * level + 3), at);
        image.data[at + 3] = 255;
      }
    }
    pen.putImageData(image, 0, 0);
  }

  /** A grey picture with low tones above, as the sheet of the data has it, made like the others. */
  function tint(canvas) {
    const pen = canvas.getContext("2d");
    const { width, height } = canvas;
    const grey = pen.getImageData(0, 0, width, height);
    const image = pen.createImageData(width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const level = grey.data[4 * (y * width + x)];
        const at = 4 * ((height - 1 - y) * width + x);
        image.data.set(HEAT.subarray(3 * level, 3 * level + 3), at);
        image.data[at + 3] = 255;
      }
    }
    pen.putImageData(image, 0, 0);
  }

  /** The waveform whose spectrogram is nearest to the values. */
  function waveform(values) {
    const magnitude = Float32Array.from(values, (v) => 10 ** (sound.low + v * (sound.high - sound.low)));
    return griffinLim(magnitude, bins, frames, sound.window, sound.hop);
  }

  let playing = null;
  function play(values, ended) {
    playing?.stop();
    const wave = waveform(values);
    const loudest = wave.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
    const context = (play.context ??= new AudioContext());
    const buffer = context.createBuffer(1, wave.length, sound.rate);
    buffer.copyToChannel(wave.map((v) => (0.8 * v) / loudest), 0);
    playing = context.createBufferSource();
    playing.buffer = buffer;
    playing.connect(context.destination);
    playing.onended = ended;
    playing.start();
  }

  return {
    noun: "sound",
    tint,
    nouns: "sounds",
    waveform,
    big() {
      const canvas = make("canvas", { width: frames, height: bins, id: "picture", class: "pixels", role: "img", "aria-label": "The spectrogram of the present point" });
      canvas.style.setProperty("aspect-ratio", "1.25");
      let latest = null;
      const seconds = short(((frames - 1) * sound.hop) / sound.rate, 2);
      const state = make("span", { class: "caption", role: "status" });
      const ended = () => (state.textContent = "");
      const listen = button("Listen", () => {
        if (!latest) return;
        play(latest, ended);
        state.textContent = "playing";
      }, { class: "main", id: "listen" });
      const top = (sound.rate / 2) * ((bins - 1) / (sound.window / 2));
      const axes = make("p", { class: "caption" }, `0 to ${short(top / 1000, 2)} kHz upwards, ${seconds} s to the right`);
      return {
        element: make("div", { class: "sound" }, canvas, make("div", { class: "tools" }, listen, state), axes),
        draw(mean, spread) {
          latest = mean;
          paint(canvas, spread ? normal(spread) : mean);
          return spread ? "Bright where the model is unsure." : "";
        },
      };
    },
    thumb() {
      const element = make("canvas", { width: frames, height: bins, class: "pixels", "aria-hidden": "true" });
      return { element, draw: (values) => paint(element, values) };
    },
  };

  function normal(spread) {
    const most = spread.reduce((a, b) => Math.max(a, b), 1e-12);
    return spread.map((v) => display.low + (v / most) * (display.high - display.low));
  }
}
