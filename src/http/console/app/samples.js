// What the operator's plots show: the server's own samples of its last hour. Pure.

const HOUR = 60 * 60 * 1000;
/** A longer pause than this is drawn as one. */
const PAUSE = 45_000;
/** A sample that has only begun counts as one of so long: its few events are no flood. */
const SHORTEST = 5000;

export class Samples {
  /** @type {{at: number, events: number, lag: number, restarts: number}[]} */
  all = [];

  /** @param {any} history of `GET /admin/history` */
  constructor({ samples } = { samples: [] }) {
    this.all = samples.map((/** @type {any} */ { at, over_ms: over, appended, restarts, max_lag: lag }) =>
      ({ at: Date.parse(at), events: Math.round((appended * 10_000) / Math.max(over, SHORTEST)) / 10, lag, restarts }));
  }

  /**
   * A line over the last hour as points from 0 to 1, in as many pieces as it has pauses; its newest value and its largest.
   * @param {"events" | "lag" | "restarts"} what
   */
  line(what) {
    const newest = this.all[this.all.length - 1];
    const max = Math.max(0, ...this.all.map((sample) => sample[what]));
    /** @type {{x: number, y: number}[][]} */
    const lines = [];
    let before = -Infinity;
    for (const sample of this.all) {
      if (sample.at - before > PAUSE) lines.push([]);
      before = sample.at;
      // By the server's clock: the newest one is of now.
      lines[lines.length - 1].push({ x: 1 - (newest.at - sample.at) / HOUR, y: sample[what] / Math.max(max, 1) });
    }
    return { lines, last: newest?.[what] ?? 0, max };
  }
}
