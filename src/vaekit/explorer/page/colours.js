// Colours: those of the page's style, and scales for numbers.

const VIRIDIS = ["#472c7a", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#e9dc28"];
const MAGMA = ["#000004", "#1c1044", "#4f127b", "#812581", "#b5367a", "#e55064", "#fb8761", "#fec287", "#fcfdbf"];
const CLASSES = 10;

/** A colour of the page's style by its name, as it is now, light or dark. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The colour of a class; where there are more classes than colours in the style, hues around the circle. */
export function classColour(number, count) {
  if (number < 0) return colour("line");
  if (count <= CLASSES) return colour(`class-${number}`);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return `hsl(${((number * 360) / count).toFixed(0)} 62% ${dark ? 64 : 44}%)`;
}

function between(scale, share) {
  const at = Math.max(0, Math.min(1, share)) * (scale.length - 1);
  const i = Math.min(Math.floor(at), scale.length - 2);
  const part = (text, k) => parseInt(text.slice(1 + 2 * k, 3 + 2 * k), 16);
  return [0, 1, 2].map((k) => Math.round(part(scale[i], k) + (at - i) * (part(scale[i + 1], k) - part(scale[i], k))));
}

/** A number from 0 to 1 as a colour. */
export function numberColour(share) {
  return Number.isFinite(share) ? `rgb(${between(VIRIDIS, share).join(" ")})` : colour("line");
}

/** The scale of numbers, for a legend. */
export const NUMBER_SCALE = `linear-gradient(90deg, ${VIRIDIS.join(", ")})`;

/** 256 colours from dark to bright, for maps of loudness and of uncertainty: bytes, three each. */
export const HEAT = Uint8Array.from(Array.from({ length: 256 }, (_, i) => between(MAGMA, i / 255)).flat());
