// Which failures of a call that may be repeated are worth the same call again, and after how long. Pure: it judges
// answers and works out times; it neither asks nor waits.

/** How long a call may take before it is given up; its effect is then unknown. */
export const CALL_TIMEOUT = 15_000;

/** The first delay between two tries of one call, and the longest. */
export const FIRST_DELAY = 250;
export const MAX_DELAY = 10_000;

/** A server that asks for more than this is asked earlier. */
const RETRY_AFTER_MAX = 60 * 60 * 1000;

/**
 * What a failure means for the next try. No answer, or none that a Seawall gives, says nothing about the call. Of
 * refusals, those that pass by themselves are 408, 429 and 5xx; what is below 400 comes from something between that
 * wants a login of its own.
 * @param {import("./error.js").ClientError} error
 * @returns {"again" | "signed_out" | "refused"}
 */
export function verdict(error) {
  if (error.kind !== "refused") return "again";
  const { status } = error;
  if (status === 401) return "signed_out";
  if (status === 408 || status === 429) return "again";
  return status >= 400 && status < 500 ? "refused" : "again";
}

/** Delays that double from `base` to `max` until something succeeds. */
export class Backoff {
  #base;
  #max;
  #failures = 0;

  /** @param {number} base @param {number} max */
  constructor(base, max) {
    this.#base = base;
    this.#max = max;
  }

  /** What the server asks for as the first delay. @param {number} base */
  setBase(base) {
    this.#base = base;
  }

  reset() {
    this.#failures = 0;
  }

  /**
   * The delay after another failure. `jitter`, from 0 to 1, spreads it over its upper half, so that clients that failed
   * together do not return together.
   * @param {number} jitter
   */
  next(jitter) {
    // 2^16 seconds is beyond every cap.
    const whole = Math.min(this.#base * 2 ** Math.min(this.#failures, 16), this.#max);
    this.#failures += 1;
    return whole / 2 + (whole / 2) * Math.min(Math.max(jitter, 0), 1);
  }

  clone() {
    const copy = new Backoff(this.#base, this.#max);
    copy.#failures = this.#failures;
    return copy;
  }
}

/** The delays between the tries of calls that go one after the other. */
export class Pace {
  #backoff = new Backoff(FIRST_DELAY, MAX_DELAY);

  /**
   * How long to wait after this failure, and how much of that is the server's wish.
   * @param {import("./error.js").ClientError} error
   * @param {number} jitter
   */
  after(error, jitter) {
    const asked = Math.min(error.retryAfter ?? 0, RETRY_AFTER_MAX);
    return { delay: Math.max(this.#backoff.next(jitter), asked), asked };
  }

  reset() {
    this.#backoff.reset();
  }

  /** @returns {Pace} */
  clone() {
    const copy = new Pace();
    copy.#backoff = this.#backoff.clone();
    return copy;
  }
}
