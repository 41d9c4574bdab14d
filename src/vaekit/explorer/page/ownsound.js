// An own sound: as the spectrogram that the model takes.

import { make } from "./dom.js";
import { fourier } from "./griffin.js";

/** Spectrogram of a waveform in the model's values: Hann window, frames centred, ends mirrored. */
export function spectrogram(wave, { shape, sound }) {
  const [, bins, frames] = shape;
  const { window, hop, low, high } = sound;
  const values = new Float32Array(bins * frames);
  const [re, im] = [new Float64Array(window), new Float64Array(window)];
  const half = Math.floor(window / 2);
  const mirrored = (i) => wave[i < 0 ? Math.min(-i, wave.length - 1) : i < wave.length ? i : Math.max(0, 2 * wave.length - 2 - i)] ?? 0;
  for (let t = 0; t < frames; t++) {
    im.fill(0);
    for (let i = 0; i < window; i++) {
      re[i] = mirrored(t * hop + i - half) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / window));
    }
    fourier(re, im);
    for (let f = 0; f < bins; f++) {
      const level = (Math.log10(Math.max(Math.hypot(re[f], im[f]), 1e-12)) - low) / (high - low);
      values[f * frames + t] = Math.max(0, Math.min(1, level));
    }
  }
  return values;
}

export function ownSound({ studio, take, refuse }) {
  const { sound, shape } = studio.payload;
  const samples = sound.hop * (shape[2] - 1);
  const input = make("input", { type: "file", accept: "audio/*", id: "file" });
  input.addEventListener("change", async () => {
    try {
      // an offline context decodes at its own rate: that of the model
      const context = new OfflineAudioContext(1, samples, sound.rate);
      const decoded = await context.decodeAudioData(await input.files[0].arrayBuffer());
      const wave = new Float32Array(samples);
      for (let c = 0; c < decoded.numberOfChannels; c++) {
        const channel = decoded.getChannelData(c);
        for (let i = 0; i < Math.min(samples, channel.length); i++) wave[i] += channel[i] / decoded.numberOfChannels;
      }
      take(spectrogram(wave, studio.payload));
    } catch {
      refuse("This file is no sound that the browser can read: try a WAV or an MP3.");
    }
  });
  const seconds = (samples / sound.rate).toFixed(1);
  return {
    how: `Bring a sound of your own: its first ${seconds} seconds are put into the code, and made again from it. It stays on this computer.`,
    content: [make("label", { class: "drop", for: "file" }, make("span", { class: "link" }, "Choose a sound"), input)],
  };
}
