// The model behind the page: the server that gave it.

import { pack, unpack } from "./arrays.js";

/** The backend of the served page. */
export function serverBackend({ token, event, context }) {
  async function ask(path, body) {
    const headers = { "Content-Type": "application/json" };
    if (token) headers["X-Vaekit-Token"] = token;
    let answer;
    try {
      answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
    } catch {
      throw new Error("The server does not answer: is `vaekit explore` still running?");
    }
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.error || `The server answered ${answer.status}.`);
    return said;
  }

  const conditioned = (conditions, n) => (conditions ? pack(conditions, [n, ...context]) : null);
  const found = (said) => ({ mean: unpack(said.mean).data, stddev: unpack(said.stddev)?.data ?? null });

  return {
    rows: 32, // a request costs more than a row: ask for many at once
    async decode(codes, n, conditions) {
      const packed = pack(codes, [n, codes.length / n]);
      return found(await ask("/api/decode", { codes: packed, context: conditioned(conditions, n) }));
    },
    async encode(x, n, conditions) {
      return found(await ask("/api/encode", { x: pack(x, [n, ...event]), context: conditioned(conditions, n) }));
    },
    async refine(x, code, conditions, steps) {
      const asked = { x: pack(x, [1, ...event]), codes: pack(code, [1, code.length]), context: conditioned(conditions, 1), steps };
      const { codes, before, after } = await ask("/api/refine", asked);
      return { code: unpack(codes).data, before: unpack(before).data[0], after: unpack(after).data[0] };
    },
    async sample(sampler, n, seed, condition) {
      return unpack((await ask("/api/sample", { sampler, n, seed, context: conditioned(condition, 1) })).codes);
    },
  };
}
