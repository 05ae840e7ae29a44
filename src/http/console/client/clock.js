// The one place that reads the time and waits; tests hand in another one.

/**
 * @typedef {object} Clock
 * @property {() => number} now milliseconds
 * @property {(ms: number, then: () => void) => () => void} after calls `then` once; the answer takes that back
 */

/** @type {Clock} */
export const systemClock = {
  now: () => Date.now(),
  after(ms, then) {
    // A timer takes 31 bits; whoever waits longer looks at the clock again.
    const timer = setTimeout(then, Math.max(0, Math.min(ms, 2 ** 31 - 1)));
    return () => clearTimeout(timer);
  },
};
