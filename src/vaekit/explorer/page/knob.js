// A slider, with pictures above it of what its two ends and the way between them look like.

import { button, icon, ICONS, make, plural, short } from "./dom.js";

const STOPS = 5;
const ROUND = 4000; // milliseconds from one end to the other and back
const ROUNDS = 2;
const calm = matchMedia("(prefers-reduced-motion: reduce)");
let sweeping = null;

const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.onSeen(isIntersecting);
}, { rootMargin: "200px" });

/**
 * One way to move the present point.
 *
 * `value()` reads it, `go(value)` moves along it, `reset()` takes it back, and `codeAt(value)` is the code
 * that it would lead to; `key` names it on the page and as a mover of the point, `name` is what people see.
 */
export function knob(studio, view, { key, name, note, share, low, high, value, go, reset, codeAt }) {
  const stops = Array.from({ length: STOPS }, (_, i) => low + ((high - low) * i) / (STOPS - 1));
  const input = make("input", { type: "range", min: low, max: high, step: (high - low) / 200, "aria-label": name, id: key });
  const shown = make("output", { for: key });
  const effect = view.effect ? make("p", { class: "effect" }, "\u00a0") : null;
  const thumbs = stops.map((stop) => {
    const thumb = view.thumb();
    // what the button does, the slider does for the keyboard: it is no stop of its own
    const press = button("", () => move(stop), { tabindex: "-1", title: `${name} = ${short(stop)}`, "aria-hidden": "true" });
    press.append(thumb.element);
    return { ...thumb, press };
  });
  const play = make("button", { type: "button", class: "round", onclick: () => (timer ? halt(true) : sweep()) });
  const back = make("button", { type: "button", class: "round", onclick: () => (halt(false), reset()), title: "Back to the start", "aria-label": `${name}: back to the start` }, icon(ICONS.back));
  const use = share === null ? null : make("i", { class: "use", title: note }, make("i"));
  use?.firstChild.style.setProperty("width", `${100 * share}%`);

  const element = make(
    "div",
    { class: "knob", role: "group", "aria-label": name },
    make("div", { class: "who" }, make("label", { for: key, title: note }, name), shown, use),
    make("div", { class: "way" }, make("div", { class: "strip" }, ...thumbs.map(({ press }) => press)), input, effect),
    make("div", { class: "do" }, play, back),
  );

  let timer = null;
  let home = 0;
  let last = null; // the code at the low end when the strip was drawn: the strip hangs on it alone
  let visible = false;

  function face() {
    const running = timer !== null;
    play.replaceChildren(icon(running ? ICONS.stop : ICONS.play));
    play.setAttribute("aria-label", running ? `${name}: stop` : `${name}: play from end to end`);
    play.title = running ? "Stop" : "Play from end to end";
  }

  function update() {
    const now = value();
    input.value = now;
    shown.textContent = now.toFixed(2).replace("-", "\u2212");
    input.setAttribute("aria-valuetext", now.toFixed(2));
    const at = Math.max(0, Math.min(1, (now - low) / (high - low)));
    input.style.setProperty("--at", at);
  }

  function refresh(force = false) {
    if (!visible) return;
    const base = codeAt(low);
    if (!force && last && base.every((v, k) => v === last[k])) return;
    last = base;
    const rows = new Float32Array(STOPS * base.length);
    stops.forEach((stop, i) => rows.set(codeAt(stop), i * base.length));
    let first = null;
    studio.loop.later(key, rows, STOPS, (i, mean) => {
      thumbs[i].draw(mean);
      if (i === 0) first = mean.slice();
      if (effect && i === STOPS - 1) effect.textContent = view.effect(first, mean);
    });
  }

  function move(to) {
    halt(false);
    go(to);
  }

  function halt(homewards) {
    if (timer === null) return;
    cancelAnimationFrame(timer);
    clearInterval(timer);
    timer = null;
    sweeping = null;
    face();
    if (homewards) go(home);
  }

  function sweep() {
    sweeping?.(true);
    home = value();
    sweeping = halt;
    if (calm.matches) {
      let step = 0; // in still pictures, one after the other
      timer = setInterval(() => (step < STOPS ? go(stops[step++]) : halt(true)), 900);
    } else {
      const share = Math.max(0, Math.min(1, (home - low) / (high - low)));
      const from = Math.acos(1 - 2 * share);
      const began = performance.now();
      const tick = (now) => {
        const turned = (now - began) / ROUND;
        if (turned >= ROUNDS) return halt(true);
        go(low + (high - low) * (0.5 - 0.5 * Math.cos(from + 2 * Math.PI * Math.max(0, turned))));
        timer = requestAnimationFrame(tick);
      };
      timer = requestAnimationFrame(tick);
    }
    face();
  }

  element.onSeen = (now) => {
    visible = now;
    refresh();
  };
  seen.observe(element);
  input.addEventListener("input", () => move(input.valueAsNumber));
  input.addEventListener("dblclick", () => (halt(false), reset()));
  input.addEventListener("keydown", (event) => {
    if (event.key === "p") play.click();
    if (event.key === "Escape") halt(true);
  });
  studio.on("code", (mover) => {
    if (mover !== key) halt(false);
    update();
  });
  studio.on("still", (mover) => refresh(mover === "condition"));
  studio.on("look", () => refresh(true));
  face();
  update();
  return element;
}

/** The first of many sliders, and the others folded away. */
export function shelf(knobs, others, first = 12) {
  const rest = knobs.length - first;
  const list = (some) => make("div", { class: "knobs" }, ...some);
  const text = `${rest} ${plural(rest, ...others)}`;
  const fold = rest > 0 && make("details", { class: "fold" }, make("summary", {}, text), list(knobs.slice(first)));
  return [list(knobs.slice(0, first)), fold];
}
