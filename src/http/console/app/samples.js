// What the operator's plots show: samples of the last hour, taken while the page is open. Pure.

const HOUR = 60 * 60 * 1000;
/** A longer pause than this is drawn as one. */
const PAUSE = 30_000;

/**
 * @typedef {{at: number, events: number, lag: number, restarts: number}} Sample
 */

export class Samples {
  /** @type {Sample[]} */
  all = [];
  /** @type {Map<string, number>} */
  #heads = new Map();
  #appended = 0;
  /** @type {number | null} */
  #restarts = null;

  /** The heads of sessions as they are now: what they grew is what was appended. @param {{id: string, head_seq: number}[]} sessions */
  heads(sessions) {
    for (const { id, head_seq: head } of sessions) {
      const before = this.#heads.get(id);
      if (before !== undefined && head > before) this.#appended += head - before;
      this.#heads.set(id, Math.max(head, before ?? 0));
    }
  }

  /** @param {number} at @param {any} status of `GET /admin/status` */
  add(at, status) {
    const { restarts } = status.sessions;
    // It counts live sessions only: it falls when one ends.
    const restarted = this.#restarts === null ? 0 : Math.max(0, restarts - this.#restarts);
    this.#restarts = restarts;
    this.all.push({ at, events: this.#appended, lag: status.streams.max_lag, restarts: restarted });
    this.#appended = 0;
    while (this.all.length > 0 && this.all[0].at < at - HOUR) this.all.shift();
  }

  /** @param {Sample[]} samples of an earlier page */
  restore(samples) {
    if (Array.isArray(samples)) this.all = samples.filter((sample) => typeof sample?.at === "number");
  }

  /**
   * A line over the last hour as points from 0 to 1, in as many pieces as it has pauses; and its largest value.
   * @param {"events" | "lag" | "restarts"} what @param {number} now
   */
  line(what, now) {
    const max = Math.max(0, ...this.all.map((sample) => sample[what]));
    /** @type {{x: number, y: number}[][]} */
    const lines = [];
    let before = -Infinity;
    for (const sample of this.all) {
      if (sample.at - before > PAUSE) lines.push([]);
      before = sample.at;
      lines[lines.length - 1].push({ x: 1 - (now - sample.at) / HOUR, y: sample[what] / Math.max(max, 1) });
    }
    return { lines, max };
  }
}
