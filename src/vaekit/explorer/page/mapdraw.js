// Drawing the map.

import { colour } from "./colours.js";
import { short } from "./dom.js";

/** Everything on the map: pictures behind it, its grid, the data, and the points that are marked. */
export function draw(scene) {
  const { canvas, width, height, plane, points, studio } = scene;
  if (!width) return;
  const pen = canvas.getContext("2d");
  const ratio = canvas.width / width;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  if (scene.tiles) {
    pen.imageSmoothingEnabled = false;
    pen.globalAlpha = 0.45;
    for (const [x, y, picture] of scene.tiles.list) pen.drawImage(picture, x, y, scene.tiles.size - 1, scene.tiles.size - 1);
    pen.globalAlpha = 1;
  }
  grid(scene, pen);
  dots(scene, pen, points);
  const { A, B, yours } = studio.marks;
  if (A && B) line(scene, pen, plane.place(A), plane.place(B));
  if (A) flag(scene, pen, plane.place(A), "A");
  if (B) flag(scene, pen, plane.place(B), "B");
  if (yours) flag(scene, pen, plane.place(yours), "yours");
  present(scene, pen, plane.place(studio.code));
}

function grid({ at, to, width, height, zoom, plane }, pen) {
  const steps = zoom.map((pixels) => {
    const rough = 90 / pixels;
    const power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999);
  });
  const [left, top] = at(0, 0);
  const [right, bottom] = at(width, height);
  pen.font = "11px system-ui, sans-serif";
  pen.lineWidth = 1;
  const lines = (step, from, until, mark, write) => {
    for (let i = Math.ceil(from / step); i * step <= until; i++) {
      pen.strokeStyle = colour("line");
      pen.fillStyle = colour("soft");
      pen.globalAlpha = i === 0 ? 1 : 0.55;
      pen.beginPath();
      mark(i * step);
      pen.stroke();
      pen.globalAlpha = 1;
      write(i * step);
    }
  };
  lines(steps[0], left, right, (u) => {
    const x = Math.round(to(u, 0)[0]) + 0.5;
    pen.moveTo(x, 0);
    pen.lineTo(x, height);
  }, (u) => {
    const [x] = to(u, 0);
    pen.textAlign = "center";
    if (x > 70 && x < width - 16) label(pen, short(u, 2), x, height - 8);
  });
  lines(steps[1], bottom, top, (v) => {
    const y = Math.round(to(0, v)[1]) + 0.5;
    pen.moveTo(0, y);
    pen.lineTo(width, y);
  }, (v) => {
    const [, y] = to(0, v);
    pen.textAlign = "left";
    if (y > 40 && y < height - 28) label(pen, short(v, 2), 8, y + 4);
  });
  pen.fillStyle = colour("ink");
  pen.textAlign = "right";
  label(pen, `${plane.axes[0].name} \u2192`, width - 10, height - 24);
  pen.textAlign = "left";
  label(pen, `\u2191 ${plane.axes[1].name}`, 10, 20);
}

function label(pen, text, x, y) {
  pen.save();
  pen.lineWidth = 4;
  pen.strokeStyle = colour("card");
  pen.lineJoin = "round";
  pen.strokeText(text, x, y);
  pen.fillText(text, x, y);
  pen.restore();
}

function dots({ places, paints, to, width, height, hover, tiles }, pen, points) {
  const size = places.length > 3000 ? 2.2 : places.length > 1000 ? 2.8 : 3.6;
  const edge = colour(tiles ? "paper" : "card");
  const one = (i, radius) => {
    const [x, y] = to(...places[i]);
    if (x < -9 || y < -9 || x > width + 9 || y > height + 9) return;
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.fillStyle = paints[i];
    pen.fill();
    if (radius > 2.5) pen.stroke();
  };
  pen.lineWidth = 0.8;
  pen.strokeStyle = edge;
  pen.globalAlpha = 0.12;
  for (let i = 0; i < places.length; i++) if (!points.stands(i)) one(i, size);
  pen.globalAlpha = 0.9;
  for (let i = 0; i < places.length; i++) if (points.stands(i)) one(i, size);
  pen.globalAlpha = 1;
  if (hover >= 0) {
    pen.lineWidth = 2;
    pen.strokeStyle = colour("ink");
    one(hover, size + 3);
  }
}

function line({ to }, pen, from, until) {
  pen.beginPath();
  pen.moveTo(...to(...from));
  pen.lineTo(...to(...until));
  pen.setLineDash([5, 4]);
  pen.lineWidth = 1.6;
  pen.strokeStyle = colour("ink");
  pen.stroke();
  pen.setLineDash([]);
}

function flag({ to }, pen, place, text) {
  const [x, y] = to(...place);
  pen.font = "600 12px system-ui, sans-serif";
  const half = Math.max(10, pen.measureText(text).width / 2 + 6);
  pen.beginPath();
  pen.roundRect(x - half, y - 10, 2 * half, 20, 10);
  pen.fillStyle = colour("ink");
  pen.fill();
  pen.lineWidth = 2;
  pen.strokeStyle = colour("card");
  pen.stroke();
  pen.fillStyle = colour("card");
  pen.textAlign = "center";
  pen.fillText(text, x, y + 4.2);
}

function present({ to, width, height }, pen, place) {
  // kept at the rim where it lies outside, so that one sees where to look
  const [x, y] = to(...place).map((v, k) => Math.max(6, Math.min([width, height][k] - 6, v)));
  for (const [radius, weight, name] of [[9, 6, "card"], [9, 3, "model"]]) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    pen.lineWidth = weight;
    pen.strokeStyle = colour(name);
    pen.stroke();
  }
  pen.beginPath();
  pen.arc(x, y, 2, 0, 2 * Math.PI);
  pen.fillStyle = colour("model");
  pen.fill();
}
