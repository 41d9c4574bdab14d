// How a datum looks that is a row of numbers: every column with its value, in its original unit.

import { unpack } from "./arrays.js";
import { colour } from "./colours.js";
import { make, short } from "./dom.js";

const MOST = 3; // columns that are named as what a slider changes

/** Views of rows; a column's range is that of the data, or three standard deviations of standardised values. */
export function tableView({ shape, columns, offset, scale, points }) {
  const count = shape.reduce((a, b) => a * b, 1);
  const names = columns ?? Array.from({ length: count }, (_, i) => `${i + 1}`);
  const scaleOf = (i) => (scale ? scale[i % scale.length] : 1);
  const original = (i, value) => value * scaleOf(i) + (offset ? offset[i % offset.length] : 0);
  const { lows, highs } = ranges(unpack(points?.values), count);
  const share = (i, value) => Math.max(0, Math.min(1, (value - lows[i]) / (highs[i] - lows[i])));

  function big() {
    const lines = names.map((name, i) => {
      const line = {
        value: make("span", { class: "value" }),
        dot: make("i", { class: "dot" }),
        whisker: make("i", { class: "whisker" }),
      };
      const ends = `${short(original(i, lows[i]))} to ${short(original(i, highs[i]))}`;
      const track = make("span", { class: "track", title: `in the data: ${ends}` }, line.whisker, line.dot);
      line.element = make("li", {}, make("span", { class: "name" }, name), track, line.value);
      return line;
    });
    const element = make(
      "ul",
      { id: "picture", class: "columns", tabindex: "0", "aria-label": "The row of the present point" },
      ...lines.map((line) => line.element),
    );
    return {
      element,
      draw(mean, spread) {
        lines.forEach((line, i) => {
          line.value.textContent = short(original(i, mean[i])) + (spread ? ` \u00b1 ${short(spread[i] * Math.abs(scaleOf(i)), 2)}` : "");
          line.dot.style.left = `${100 * share(i, mean[i])}%`;
          const from = spread ? share(i, mean[i] - spread[i]) : 0;
          line.whisker.style.left = `${100 * from}%`;
          line.whisker.style.width = spread ? `${100 * (share(i, mean[i] + spread[i]) - from)}%` : "0";
        });
        return spread ? "The bar is one standard deviation to each side." : "";
      },
    };
  }

  function thumb() {
    const element = make("canvas", { width: 112, height: 112, class: "bars", "aria-hidden": "true" });
    return {
      element,
      draw(mean) {
        const pen = element.getContext("2d");
        pen.clearRect(0, 0, 112, 112);
        pen.fillStyle = colour("line");
        pen.fillRect(6, 55.5, 100, 1);
        pen.fillStyle = colour("data");
        const step = 100 / count;
        for (let i = 0; i < count; i++) {
          const up = 96 * (share(i, mean[i]) - 0.5);
          pen.fillRect(6 + i * step, 56 - Math.max(up, 0), Math.max(1, step * 0.7), Math.max(1.5, Math.abs(up)));
        }
      },
    };
  }

  /** What differs between the two ends of a slider, in words: the columns that move most, of their range. */
  function effect(first, last) {
    const moves = names.map((name, i) => ({ name, by: (last[i] - first[i]) / (highs[i] - lows[i]) }));
    const largest = moves.filter((m) => Math.abs(m.by) > 0.04).sort((a, b) => Math.abs(b.by) - Math.abs(a.by));
    if (!largest.length) return "changes hardly anything";
    return largest.slice(0, MOST).map((m) => `${m.by > 0 ? "\u2191" : "\u2193"}\u00a0${m.name.replaceAll(" ", "\u00a0")}`).join("   ");
  }

  return { noun: "row", nouns: "rows", names, original, scaleOf, offset, effect, big, thumb };
}

function ranges(rows, count) {
  const lows = new Array(count).fill(-3);
  const highs = new Array(count).fill(3);
  for (let i = 0; i < count; i++) {
    if (rows) {
      // but for the one in a hundred that lies far out
      const column = rows.data.filter((value, j) => j % count === i && Number.isFinite(value)).sort();
      lows[i] = column[Math.floor(0.005 * column.length)];
      highs[i] = column[Math.ceil(0.995 * column.length) - 1];
    }
    if (!(highs[i] > lows[i])) {
      const middle = Number.isFinite(lows[i]) ? lows[i] : 0;
      [lows[i], highs[i]] = [middle - 1, middle + 1];
    }
  }
  return { lows, highs };
}
