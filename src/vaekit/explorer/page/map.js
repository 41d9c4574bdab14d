// The map: where the data lie in the plane, and where the present point is among them.

import { copies } from "./arrays.js";
import { button, choice, make, section, short, tick } from "./dom.js";
import { gestures } from "./gestures.js";
import { draw } from "./mapdraw.js";
import { Plane } from "./plane.js";

const NEAR = 10; // pixels from a datum that still mean this datum
const THIN = 3; // how much longer than wide the data may be under one scale
const TILE = 46; // pixels of a picture behind the map

export function map(studio, view, points) {
  const plane = new Plane(studio.payload, studio.size);
  const discrete = studio.payload.discrete;
  const canvas = make("canvas", { id: "map", tabindex: "0", role: "application", "aria-roledescription": "map", "aria-describedby": "map-help" });
  const tip = make("div", { class: "tip", hidden: true });
  const hint = make("div", { class: "hint", hidden: true }, "Click the map first, or hold Ctrl, to zoom with the wheel");
  const legend = make("div");
  const box = make("div", { class: "mapbox" }, canvas, tip, hint);
  const scene = { plane, points, studio, canvas, places: [], paints: [], tiles: null, x: 0, y: 0, zoom: [1, 1], width: 0, height: 0, hover: -1 };
  let pictures = !discrete && studio.size === 2;
  let asked = false;

  const at = (px, py) => [scene.x + (px - scene.width / 2) / scene.zoom[0], scene.y - (py - scene.height / 2) / scene.zoom[1]];
  const to = (u, v) => [scene.width / 2 + (u - scene.x) * scene.zoom[0], scene.height / 2 - (v - scene.y) * scene.zoom[1]];
  Object.assign(scene, { at, to });

  function redraw() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw(scene);
    });
  }

  function locate() {
    scene.places = points ? Array.from({ length: points.count }, (_, i) => plane.place(points.code(i))) : [];
    scene.paints = points ? points.paints() : [];
  }

  /** All of the data in view, but for the one in a hundred that lies far out. */
  function fit() {
    const ends = [0, 1].map((k) => {
      const sorted = scene.places.map((place) => place[k]).sort((a, b) => a - b);
      return sorted.length ? [sorted[Math.floor(0.005 * sorted.length)], sorted[Math.ceil(0.995 * sorted.length) - 1]] : [-3, 3];
    });
    [scene.x, scene.y] = ends.map(([a, b]) => (a + b) / 2);
    const room = [scene.width, scene.height].map((pixels, k) => pixels / Math.max(ends[k][1] - ends[k][0], 1e-6));
    // one scale for both axes, but where the data would be a thin line
    const alike = Math.max(...room) < THIN * Math.min(...room);
    scene.zoom = room.map((own) => 0.88 * (alike ? Math.min(...room) : own));
    moved();
  }

  function moved() {
    scene.tiles = null;
    tiles();
    redraw();
  }

  /** Decode a picture for every place of a grid: what the model would draw there. */
  function tiles() {
    if (!pictures || !scene.width) return studio.loop.later("map", null, 0, null);
    const [across, down] = [Math.ceil(scene.width / TILE), Math.ceil(scene.height / TILE)];
    const n = across * down;
    const rows = copies(studio.code, n);
    const base = studio.code.slice();
    for (let i = 0; i < n; i++) {
      const [u, v] = at(((i % across) + 0.5) * TILE, (Math.floor(i / across) + 0.5) * TILE);
      rows.set(plane.moved(base, u, v), i * base.length);
    }
    const drawn = { size: TILE, list: [] };
    const thumb = view.thumb();
    studio.loop.later("map", rows, n, (i, mean) => {
      thumb.draw(mean);
      const copy = document.createElement("canvas");
      [copy.width, copy.height] = [thumb.element.width, thumb.element.height];
      copy.getContext("2d").drawImage(thumb.element, 0, 0);
      drawn.list.push([(i % across) * TILE, Math.floor(i / across) * TILE, copy]);
      scene.tiles = drawn;
      redraw();
    });
    return undefined;
  }

  function nearest(px, py, within) {
    let best = -1;
    let least = within ** 2;
    scene.places.forEach(([u, v], i) => {
      if (!points.stands(i)) return;
      const [x, y] = to(u, v);
      const square = (x - px) ** 2 + (y - py) ** 2;
      if (square < least) [best, least] = [i, square];
    });
    return best;
  }

  function go(px, py) {
    studio.go(plane.moved(studio.code, ...at(px, py)), "map");
  }

  function pick(px, py) {
    const i = nearest(px, py, discrete ? Infinity : NEAR);
    if (i >= 0) studio.go(points.code(i), "datum");
    else if (!discrete) go(px, py);
  }

  function hover(px, py) {
    const i = px === null ? -1 : nearest(px, py, NEAR);
    if (i === scene.hover) return;
    scene.hover = i;
    tip.hidden = i < 0;
    canvas.classList.toggle("over", i >= 0);
    if (i >= 0) {
      tip.replaceChildren(...[points.thumb(i), make("span", {}, points.describe(i) || `datum ${i + 1}`)].filter(Boolean));
      const [x, y] = to(...scene.places[i]);
      tip.style.left = `${Math.max(70, Math.min(scene.width - 70, x))}px`;
      tip.style.top = `${y}px`;
      tip.classList.toggle("below", y < 130);
    }
    redraw();
  }

  function zoom(factor, px = scene.width / 2, py = scene.height / 2) {
    const [u, v] = at(px, py);
    scene.zoom = scene.zoom.map((own) => own * factor);
    const [nu, nv] = at(px, py);
    scene.x += u - nu;
    scene.y += v - nv;
    hover(null);
    moved();
  }

  function pan(dx, dy) {
    scene.x -= dx / scene.zoom[0];
    scene.y += dy / scene.zoom[1];
    hover(null);
    moved();
  }

  gestures(canvas, {
    grabs: (px, py) => !discrete && Math.hypot(...to(...plane.place(studio.code)).map((v, k) => v - [px, py][k])) < 16,
    drag: go,
    pan,
    zoom,
    hover,
    pick,
    unfocused() {
      hint.hidden = false;
      clearTimeout(hint.timer);
      hint.timer = setTimeout(() => (hint.hidden = true), 1600);
    },
  });

  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const [x, y] = to(...plane.place(studio.code));
    if (step && !discrete) go(x + step[0] * (event.shiftKey ? 2 : 10), y + step[1] * (event.shiftKey ? 2 : 10));
    else if (event.key === "Enter" && points) studio.go(points.code(nearest(x, y, Infinity)), "datum");
    else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") fit();
    else return;
    event.preventDefault();
  });

  function say() {
    const [u, v] = plane.place(studio.code).map((value) => short(value, 2));
    const [across, up] = plane.axes.map(({ name }) => name);
    const count = points ? `${points.count} data, ` : "";
    canvas.setAttribute("aria-label", `Map: ${count}${across} across, ${up} upwards. The present point is at ${u}, ${v}.`);
  }

  function recolour() {
    locate();
    legend.replaceChildren(points ? points.legend(recolour) : "");
    redraw();
  }

  new ResizeObserver(() => {
    const { width } = box.getBoundingClientRect();
    if (Math.abs(width - scene.width) < 1) return;
    const fresh = scene.width === 0;
    scene.width = width;
    scene.height = Math.round(Math.min(560, Math.max(320, width * 0.62)));
    canvas.style.height = `${scene.height}px`;
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(scene.height * devicePixelRatio);
    if (fresh) fit();
    else moved();
  }).observe(box);
  studio.on("code", redraw);
  studio.on("marks", redraw);
  studio.on("still", (by) => {
    say();
    if (pictures && (studio.size > 2 || by === "condition")) tiles();
  });
  studio.on("look", recolour);
  locate();
  say();
  recolour();

  const axis = (k, label) =>
    choice(label, plane.options.map(({ name }, i) => [i, name]), (i) => {
      plane.axes[k] = plane.options[i];
      locate();
      fit();
      say();
    }, { id: `axis-${k}` });
  const selects = [axis(0, "across"), axis(1, "upwards")];
  selects[1].querySelector("select").value = "1";
  const colouring =
    points?.colours.length > 1 &&
    choice("colour by", points.colours.map(({ name }, i) => [i, name]), (i) => {
      points.chosen = Number(i);
      points.only = null;
      recolour();
    }, { id: "colour-by" });
  const behind =
    !discrete &&
    tick(`${view.nouns} behind the map`, pictures, (on) => {
      pictures = on;
      moved();
    }, { id: "behind" });
  return section(
    "map-section",
    "The map",
    discrete
      ? `Every dot is one of the data; dots that lie close together mean alike codes. Click a dot to see its ${view.noun}.`
      : `Every dot is one of the data; where dots lie close together, the model finds them alike. Click anywhere, and the ${view.noun} of that place appears; drag the ring, and it changes on the way.`,
    make("div", { class: "controls" }, colouring, ...selects, behind),
    legend,
    box,
    make(
      "div",
      { class: "controls" },
      button("Closer", () => zoom(1.4), { "aria-label": "Zoom in" }),
      button("Wider", () => zoom(1 / 1.4), { "aria-label": "Zoom out" }),
      button("All", fit, { "aria-label": "Show all of the map" }),
      make("p", { class: "caption", id: "map-help" }, "With the keyboard: arrows move the point, + and \u2212 zoom, 0 shows all, Enter goes to the nearest datum."),
    ),
  );
}
