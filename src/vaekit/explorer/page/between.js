// From one point to another, step by step.

import { dot } from "./arrays.js";
import { button, choice, make, section } from "./dom.js";

const STEPS = 9;

/** The point at share t of the way from a to b. */
export function mix(a, b, t, round) {
  let [from, until] = [1 - t, t];
  if (round) {
    const cosine = dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) || 1);
    const angle = Math.acos(Math.max(-1, Math.min(1, cosine)));
    // along one line, to either side of the origin, there is no arc to follow
    if (Math.sin(angle) > 1e-4) [from, until] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  }
  return Float32Array.from(a, (value, k) => from * value + until * b[k]);
}

export function between(studio, view, points) {
  const input = make("input", { type: "range", min: 0, max: 1, step: 0.005, value: 0, id: "between", "aria-label": "From A to B" });
  let round = false;
  const cells = Array.from({ length: STEPS }, (_, i) => {
    const thumb = view.thumb();
    const press = button("", () => go(i / (STEPS - 1)), { "aria-label": `${i} eighths of the way from A to B`, tabindex: "-1" });
    press.append(thumb.element);
    return { ...thumb, press };
  });

  // something that is well away to begin with, but no outlier
  studio.mark("A", studio.start);
  studio.mark("B", points ? away(points, studio.start) : studio.start.map((v) => -v));

  function go(t) {
    input.value = t;
    fill();
    studio.go(mix(studio.marks.A, studio.marks.B, t, round), "between");
  }

  function fill() {
    input.style.setProperty("--at", input.value);
    input.setAttribute("aria-valuetext", `${Math.round(100 * input.value)} per cent of the way from A to B`);
  }

  function strip() {
    const { A, B } = studio.marks;
    const rows = new Float32Array(STEPS * A.length);
    for (let i = 0; i < STEPS; i++) rows.set(mix(A, B, i / (STEPS - 1), round), i * A.length);
    studio.loop.later("between", rows, STEPS, (i, mean) => cells[i].draw(mean));
  }

  input.addEventListener("input", () => go(input.valueAsNumber));
  studio.on("marks", (name) => name !== "yours" && strip());
  studio.on("look", strip);
  strip();
  fill();
  const bend = choice("the way", [["straight", "straight"], ["round", "on an arc around the centre"]], (value) => {
    round = value === "round";
    strip();
  }, { id: "bend" });
  const other = button("Swap", () => {
    const { A, B } = studio.marks;
    studio.marks.A = B;
    studio.mark("B", A);
  });
  return section(
    "interpolation",
    "From A to B",
    `Walk in equal steps from one code to another, and see what lies between. Put the two ends where you like: go to a point, then press Set A or Set B.`,
    make("div", { class: "controls" }, button("Set A here", () => studio.mark("A")), button("Set B here", () => studio.mark("B")), other, bend),
    make("div", { class: "walk" }, make("div", { class: "strip" }, ...cells.map(({ press }) => press)), input, make("div", { class: "ends" }, make("span", {}, "A"), make("span", {}, "B"))),
  );
}

function away(points, from) {
  const some = Array.from({ length: Math.min(points.count, 200) }, (_, i) => {
    const code = points.code(i);
    return { code, apart: code.reduce((sum, v, k) => sum + ((v - from[k]) * (points.scale[k] ?? 1)) ** 2, 0) };
  });
  some.sort((a, b) => a.apart - b.apart);
  return some[Math.floor(0.8 * some.length)].code;
}
