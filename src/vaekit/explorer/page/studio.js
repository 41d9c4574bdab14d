// The present point: everything on the page reads it, changes it here, and hears of changes.

import { copies, part, row, unpack } from "./arrays.js";
import { Loop } from "./loop.js";

const STILL = 160; // milliseconds after which a change counts as finished

/** The code under study, what is marked beside it, and what decodes from it. */
export class Studio {
  constructor(payload, backend) {
    this.payload = payload;
    this.backend = backend;
    this.start = Float32Array.from(unpack(payload.start).data);
    this.size = this.start.length;
    this.code = this.start.slice();
    this.marks = { A: null, B: null, yours: null };
    this.conditions = payload.context ? unpack(payload.context.values) : null;
    this.condition = 0;
    this.samplers = payload.samplers.map((given) => ({ ...given, codes: unpack(given.codes) }));
    this.times = [];
    this.heard = {};
    this.still = 0;
    this.loop = new Loop((rows, n) => this.decode(rows, n), backend.rows, (error) => this.tell("fault", error));
  }

  /** Hear of "code" (every change), "still" (a change is finished), "condition", "picture", "marks", "fault", "look". */
  on(event, hear) {
    (this.heard[event] ??= []).push(hear);
  }

  tell(event, ...said) {
    for (const hear of this.heard[event] ?? []) hear(...said);
  }

  /** Decode n rows under the condition that is chosen. */
  decode(rows, n) {
    return this.backend.decode(rows, n, this.given(n));
  }

  /** Encode n data under the condition that is chosen. */
  encode(x, n) {
    return this.backend.encode(x, n, this.given(n));
  }

  /** Whether better codes can be looked for. */
  get refines() {
    return Boolean(this.backend.refine && this.payload.refine);
  }

  /** A better code of one datum, {code, before, after}: with the log-likelihood of the two codes. */
  refine(x, code) {
    return this.backend.refine(x, code, this.given(1), this.payload.refine.steps);
  }

  given(n) {
    return this.conditions ? copies(row(this.conditions, this.condition), n) : null;
  }

  /** What the page holds of a sampler, (m, K): what was drawn under the condition that is chosen. */
  drawn({ codes, conditional }) {
    return conditional ? part(codes, this.condition) : codes;
  }

  /** The same from the server. */
  sample(name, n, seed) {
    return this.backend.sample(name, n, seed, this.given(1));
  }

  /** Go to a code; `by` names who moved, so that it can tell its own moves from others'. */
  go(code, by = "") {
    this.code = Float32Array.from(code);
    this.changed(by);
  }

  /** Move one latent. */
  turn(column, value, by = "") {
    this.code[column] = value;
    this.changed(by);
  }

  choose(condition) {
    this.condition = condition;
    this.tell("condition");
    this.tell("marks");
    this.changed("condition");
  }

  /** Remember a point under a name: A, B, or yours. */
  mark(name, code = this.code) {
    this.marks[name] = code && Float32Array.from(code);
    this.tell("marks", name);
  }

  changed(by) {
    this.tell("code", by);
    this.draw();
    clearTimeout(this.still);
    this.still = setTimeout(() => this.tell("still", by), STILL);
  }

  /** Decode the present point before the next frame. */
  draw() {
    this.loop.now(async () => {
      const began = performance.now();
      const found = await this.decode(this.code.slice(), 1);
      this.tell("picture", found);
      this.times.push(performance.now() - began);
      if (this.times.length > 15) this.times.shift();
    });
  }

  /** Median of the last steps, in milliseconds from a moved slider to its drawn picture; none before five. */
  get pace() {
    return this.times.length < 5 ? null : [...this.times].sort((a, b) => a - b)[this.times.length >> 1];
  }
}
