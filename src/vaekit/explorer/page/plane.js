// The plane of the map: which two directions of the code space it shows, and how one moves in it.

import { dot, row, unpack } from "./arrays.js";

export class Plane {
  constructor(payload, size) {
    const { kind, axes, components, centre } = payload.plane;
    const rows = unpack(components);
    const middle = unpack(centre).data;
    this.options = [0, 1].map((i) => ({
      name: kind === "pair" ? payload.latents[axes[i]].name : `main direction ${i + 1}`,
      along: Float32Array.from(row(rows, i)),
      offset: dot(row(rows, i), middle),
    }));
    const known = new Set(this.options.map(({ name }) => name));
    for (const k of payload.order) {
      const { name } = payload.latents[k];
      if (known.has(name)) continue;
      const along = new Float32Array(size);
      along[k] = 1;
      this.options.push({ name, along, offset: 0 });
    }
    this.axes = [this.options[0], this.options[1]];
  }

  /** Where a code lies. */
  place(code) {
    return this.axes.map(({ along, offset }) => dot(code, along) - offset);
  }

  /** The nearest code that lies at (u, v): everything that the plane does not show stays as it is. */
  moved(code, u, v) {
    const [a, b] = this.axes.map(({ along }) => along);
    const [pu, pv] = this.place(code);
    const [aa, ab, bb] = [dot(a, a), dot(a, b), dot(b, b)];
    const det = aa * bb - ab * ab;
    const [du, dv] = [u - pu, v - pv];
    // where both axes are one, or one is missing, each is followed on its own
    const single = det < 1e-9 * Math.max(aa, bb, 1e-12) ** 2;
    const s = single ? (aa > 0 ? du / aa : 0) : (bb * du - ab * dv) / det;
    const t = single ? (aa > 0 ? 0 : bb > 0 ? dv / bb : 0) : (aa * dv - ab * du) / det;
    return Float32Array.from(code, (value, k) => value + s * a[k] + t * b[k]);
  }
}
