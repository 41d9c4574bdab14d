// What is computed when: the picture under the hand first, the newest wish only; everything else when it rests.

const REST = 120; // milliseconds without a change after which the rest is computed
const SLICE = 16; // milliseconds that a piece of the rest may take, so that the hand never waits long

const frame = () => new Promise((go) => (document.hidden ? setTimeout(go, 16) : requestAnimationFrame(go)));
const pause = () => new Promise((go) => setTimeout(go));

/** One computation at a time; `decode(rows, n)` computes, `fail(error)` hears what went wrong. */
export class Loop {
  constructor(decode, rows, fail) {
    this.decode = decode;
    this.fail = fail;
    this.rows = rows;
    this.each = 8; // milliseconds a row: measured as it goes
    this.jobs = new Map();
    this.wanted = null;
    this.busy = false;
    this.restUntil = 0;
  }

  /** Compute before the next frame; a later wish replaces this one if it has not begun. */
  now(work) {
    this.wanted = work;
    this.restUntil = performance.now() + REST;
    this.turn();
  }

  /** Compute `n` rows when the hand rests; `draw(i, mean, stddev)` gets each. A job replaces its namesake. */
  later(key, rows, n, draw) {
    this.jobs.delete(key);
    if (n > 0) this.jobs.set(key, { rows, n, done: 0, draw });
    this.turn();
  }

  async turn() {
    if (this.busy) return;
    this.busy = true;
    try {
      for (;;) {
        if (this.wanted) {
          await frame();
          const work = this.wanted;
          this.wanted = null;
          await work();
          continue;
        }
        const next = this.jobs.entries().next();
        if (next.done) break;
        const wait = this.restUntil - performance.now();
        if (wait > 0) {
          setTimeout(() => this.turn(), wait);
          break;
        }
        await this.piece(...next.value);
        await pause();
      }
    } catch (error) {
      this.jobs.clear();
      this.fail(error);
    } finally {
      this.busy = false;
    }
    if (this.wanted) this.turn();
  }

  async piece(key, job) {
    const width = job.rows.length / job.n;
    const n = Math.min(job.n - job.done, Math.max(this.rows, Math.min(24, Math.round(SLICE / this.each))));
    const began = performance.now();
    const { mean, stddev } = await this.decode(job.rows.slice(job.done * width, (job.done + n) * width), n);
    this.each = 0.5 * this.each + (0.5 * Math.max(0.1, performance.now() - began)) / n;
    if (this.jobs.get(key) !== job) return; // replaced while it was computed
    const size = mean.length / n;
    for (let i = 0; i < n; i++) {
      const part = (values) => values && values.subarray(i * size, (i + 1) * size);
      job.draw(job.done + i, part(mean), part(stddev));
    }
    job.done += n;
    if (job.done === job.n) this.jobs.delete(key);
  }
}
