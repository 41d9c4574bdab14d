// A slider for every attribute: it moves all numbers of the code at once, along the way that the attribute grows.

import { dot, row, unpack } from "./arrays.js";
import { section } from "./dom.js";
import { knob, shelf } from "./knob.js";

export function directions(studio, view) {
  const found = studio.payload.directions.map((given) => ({ ...given, along: unpack(given.vector).data, amount: 0 }));
  const mine = new Set(found.map((_, i) => `direction-${i}`));
  const codes = unpack(studio.payload.points?.codes);
  let anchor = studio.code.slice(); // where the present point stands without any push

  function pushed(which, amount) {
    const code = anchor.slice();
    for (const direction of found) {
      const by = direction === which ? amount : direction.amount;
      for (let k = 0; k < code.length; k++) code[k] += by * direction.along[k];
    }
    return code;
  }

  // before the sliders hear of it: they read the amounts
  studio.on("code", (by) => {
    if (mine.has(by)) return;
    anchor = studio.code.slice();
    for (const direction of found) direction.amount = 0;
  });

  const knobs = found.map((direction, i) => {
    const reach = 3 * spread(codes, direction.along);
    const go = (amount) => {
      direction.amount = amount;
      studio.go(pushed(direction, amount), `direction-${i}`);
    };
    return knob(studio, view, {
      key: `direction-${i}`,
      name: direction.name,
      note: direction.how,
      share: null,
      low: -reach,
      high: reach,
      value: () => direction.amount,
      go,
      reset: () => go(0),
      codeAt: (amount) => pushed(direction, amount),
    });
  });
  return section(
    "attributes",
    "Attributes",
    `Each slider pushes the present ${view.noun} towards more or less of one attribute, by moving all numbers of its code together.`,
    ...shelf(knobs, ["further attribute", "further attributes"]),
  );
}

/** Standard deviation of the data along a vector, in multiples of it. */
function spread(codes, along) {
  const square = dot(along, along) || 1;
  if (!codes) return 1 / Math.sqrt(square);
  const places = Array.from({ length: codes.shape[0] }, (_, i) => dot(row(codes, i), along) / square);
  const mean = places.reduce((a, b) => a + b, 0) / places.length;
  return Math.sqrt(places.reduce((a, b) => a + (b - mean) ** 2, 0) / places.length) || 1;
}
