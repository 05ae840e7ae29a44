// A stream that reconnects by itself and never shows an event twice or out of order. It holds cursors, and heals what a
// connection lost from history; the history behind a `gap` is the caller's to fetch.

import { ClientError } from "./error.js";
import { Place } from "./place.js";
import { Backoff, CALL_TIMEOUT } from "./retry.js";
import { Decoder, EventTooLong } from "./sse.js";

/** The server's own advice in every welcome; until one came, this. */
const RETRY = 1000;
const RETRY_MAX = 30_000;

/** Heartbeats may be late; two and a half intervals of silence are not late but dead. */
const SILENT_HEARTBEATS = 2.5;

/** The longest event that is taken: far above what a server stores as one, and above the longest list. */
const EVENT_MAX = 64 * 1024 * 1024;

/** Frames that this version knows; newer servers may send more. */
const FRAMES = new Set(["welcome", "snapshot", "gap", "gone", "ping", "server", "bye", "sessions", "session"]);

/**
 * One thing that a stream tells: a frame of the contract by its name, `event` for an event of a log, or `lost`: the
 * connection is gone, and the stream comes back by itself at `retry_at`.
 * @typedef {{type: string, data: any}} StreamItem
 */

export class Stream {
  #client;
  #place;
  #backoff = new Backoff(RETRY, RETRY_MAX);
  #items;
  /** When the next connection is tried, and before when the server does not want it. */
  #due = -Infinity;
  #asked = -Infinity;
  #isClosed = false;
  #isSuspended = false;
  /** Ends the connection that is open or being opened. @type {AbortController | null} */
  #link = null;
  /** @type {string | null} */
  #connection = null;
  #lastHeard = 0;
  #patience = CALL_TIMEOUT;
  /** Wakes whoever waits. */
  #wake = () => {};

  /** @param {import("./client.js").Client} client @param {import("./place.js").StreamRequest} request */
  constructor(client, request) {
    this.#client = client;
    this.#place = new Place(request);
    this.#items = this.#run();
  }

  /**
   * The next item; null: there is nothing to come back for, or it was closed. It throws a ClientError where the stream
   * is refused for good; it is over then. Failures that may pass are items.
   * @returns {Promise<StreamItem | null>}
   */
  async next() {
    const { value, done } = await this.#items.next();
    return done ? null : value;
  }

  async *[Symbol.asyncIterator]() {
    for (let item = await this.next(); item !== null; item = await this.next()) yield item;
  }

  /** From where this stream, or another one for the same sessions, would go on. */
  get token() {
    return this.#place.token;
  }

  /** The highest contiguous seq that was handed out of a session. @param {string} session */
  cursor(session) {
    return this.#place.cursors.get(session);
  }

  get isSuspended() {
    return this.#isSuspended;
  }

  /** Ends it for good. */
  close() {
    this.#isClosed = true;
    this.#link?.abort();
    this.#wake();
  }

  /**
   * Goes to the background: the server is told, and nothing comes before `resume`. The connection is left as it is, so
   * that the server knows who will be back. `cut`: it is given up.
   * @param {{cut?: boolean}} [how]
   */
  suspend({ cut = false } = {}) {
    if (this.#isSuspended || this.#isClosed) return;
    this.#isSuspended = true;
    if (cut) this.#link?.abort();
    // If it does not arrive, the server finds out by its own writes.
    else if (this.#connection !== null) this.#client.suspend(this.#connection).catch(() => {});
  }

  /** Comes back: on a new connection, from where it was. */
  resume() {
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    this.#backoff.reset();
    this.#due = this.#asked;
    this.#link?.abort();
    this.#wake();
  }

  /** Gives up the connection for a new one: it may be dead, and only silence would tell. */
  renew() {
    if (this.#isSuspended || this.#connection === null) return;
    this.#due = this.#asked;
    this.#link?.abort();
  }

  /** The network may be back: tries at once, and gives up a connection that has been silent for longer than it should. */
  reachable() {
    if (this.#isSuspended) return;
    const heartbeat = this.#patience / SILENT_HEARTBEATS;
    if (this.#client.clock.now() - this.#lastHeard > heartbeat * 1.2) this.renew();
    this.#due = Math.min(this.#due, this.#asked);
    this.#wake();
  }

  /** @returns {AsyncGenerator<StreamItem, void>} */
  async *#run() {
    while (!this.#isClosed && !this.#place.isEmpty) {
      if (this.#isSuspended) {
        await this.#sleep(Infinity);
        continue;
      }
      const wait = this.#due - this.#client.clock.now();
      if (wait > 0) {
        await this.#sleep(wait);
        continue;
      }
      this.#link = new AbortController();
      try {
        yield* this.#follow(this.#link.signal);
      } catch (error) {
        if (this.#isClosed) return;
        const isOurs = this.#link.signal.aborted;
        const cause = asClientError(error);
        if (!isOurs && !cause.isTransient) throw this.#over(cause);
        // A connection that we gave up for a new one is not lost.
        if (!isOurs) yield this.#lost(cause);
      } finally {
        this.#connection = null;
        this.#link?.abort();
        this.#link = null;
      }
    }
  }

  /** One connection, to its end. @param {AbortSignal} signal @returns {AsyncGenerator<StreamItem, void>} */
  async *#follow(signal) {
    const { token } = this.#place;
    const headers = /** @type {Record<string, string>} */ (token === undefined ? {} : { "last-event-id": token });
    const response = await this.#client.open(this.#url(), headers, signal);
    if (response.body === null) throw new ClientError("malformed", "a stream without a body");
    const reader = response.body.getReader();
    const decoder = new Decoder(EVENT_MAX);
    this.#lastHeard = this.#client.clock.now();
    this.#patience = CALL_TIMEOUT;
    for (;;) {
      for (let event = decoder.next(); event !== undefined; event = decoder.next()) {
        if (event.retry !== undefined) this.#backoff.setBase(event.retry);
        const item = parse(event);
        if (item === null) continue;
        yield* this.#take(item, event.id);
        if (this.#isClosed || item.type === "bye") return;
      }
      const { value, done } = await this.#read(reader, signal);
      if (done) throw new ClientError("unreachable", "the server closed the stream");
      this.#lastHeard = this.#client.clock.now();
      decoder.feed(value);
    }
  }

  #url() {
    const { sessions, list, token, cursors } = this.#place;
    if (sessions.length === 0) return this.#client.endpoint(["sessions", "stream"]);
    const after = token === undefined ? [...cursors].map(([id, seq]) => `${id}:${seq}`).join(",") : "";
    return this.#client.endpoint(["stream"], { sessions: sessions.join(","), list: list ? 1 : "", after });
  }

  /** What a frame means for this stream. @param {StreamItem} item @param {string} id @returns {AsyncGenerator<StreamItem, void>} */
  async *#take(item, id) {
    if (item.type === "welcome") {
      this.#connection = item.data.connection_id;
      this.#patience = item.data.heartbeat_ms * SILENT_HEARTBEATS;
    } else if (item.type === "bye") this.#dismissed(item.data);
    // Whatever else arrives shows that this connection works.
    else this.#backoff.reset();
    let step = this.#place.advance(item, id);
    if (typeof step === "object") {
      yield* this.#heal(step.hole);
      step = this.#place.advance(item, id);
      if (typeof step === "object") {
        const { session, after, upto } = step.hole;
        const what = `event ${upto + 1} of ${session} came after ${after}, and history does not have what is between`;
        throw new ClientError("unreachable", what);
      }
    }
    if (step === "show") yield item;
  }

  /** Events that did not arrive, from history. @param {{session: string, after: number, upto: number}} hole @returns {AsyncGenerator<StreamItem, void>} */
  async *#heal({ session, after, upto }) {
    const history = this.#client.history(session, after, upto);
    for (let page = await history.nextPage(); page !== null; page = await history.nextPage()) {
      for (const data of page) {
        const item = { type: "event", data };
        if (this.#place.advance(item, "") === "show") yield item;
      }
    }
    // The server was not silent: it was not listened to.
    this.#lastHeard = this.#client.clock.now();
  }

  /** The server closes next; there is nothing more to read. @param {{retry_ms: number | null}} bye */
  #dismissed(bye) {
    this.#connection = null;
    if (bye.retry_ms === null) {
      this.#isClosed = true;
      return;
    }
    this.#backoff.setBase(bye.retry_ms);
    this.#due = this.#client.clock.now() + this.#backoff.next(this.#client.jitter());
    this.#asked = -Infinity;
  }

  /** @param {ClientError} cause @returns {StreamItem} */
  #lost(cause) {
    const now = this.#client.clock.now();
    const asked = cause.retryAfter ?? 0;
    const wait = Math.max(this.#backoff.next(this.#client.jitter()), asked);
    this.#asked = now + asked;
    this.#due = now + wait;
    return { type: "lost", data: { cause, retry_in: wait, retry_at: this.#due } };
  }

  /** @param {ClientError} cause */
  #over(cause) {
    this.#isClosed = true;
    return cause;
  }

  /**
   * The next bytes; an error after too much silence, from the last byte on. In the background silence is what is wanted.
   * @param {ReadableStreamDefaultReader<Uint8Array>} reader
   * @param {AbortSignal} signal
   */
  async #read(reader, signal) {
    const { clock } = this.#client;
    let stop = () => {};
    let given = () => {};
    const silence = new Promise((_, reject) => {
      const look = () => {
        const left = this.#lastHeard + this.#patience - clock.now();
        if (left > 0 || this.#isSuspended) stop = clock.after(left > 0 ? left : this.#patience, look);
        else reject(new ClientError("timed_out", `the stream was silent for ${this.#patience / 1000} s`));
      };
      look();
      // A body that was read to its end does not hear of it otherwise.
      given = () => reject(new ClientError("unreachable", "given up"));
      signal.addEventListener("abort", given);
      if (signal.aborted) given();
    });
    try {
      return /** @type {ReadableStreamReadResult<Uint8Array>} */ (await Promise.race([reader.read(), silence]));
    } finally {
      stop();
      signal.removeEventListener("abort", given);
    }
  }

  /** @param {number} ms */
  #sleep(ms) {
    return new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      const stop = ms === Infinity ? () => {} : this.#client.clock.after(ms, () => this.#wake());
      this.#wake = () => {
        stop();
        this.#wake = () => {};
        resolve();
      };
    });
  }
}

/** @param {import("./sse.js").ServerEvent} event @returns {StreamItem | null} */
function parse({ event, data }) {
  const type = event === "message" ? "event" : event;
  if (type !== "event" && !FRAMES.has(type)) return null;
  try {
    return { type, data: JSON.parse(data) };
  } catch (error) {
    throw new MalformedFrame(`a \`${event}\` frame: ${error}`);
  }
}

/** The stream speaks what this version does not understand: coming back would not help. */
class MalformedFrame extends ClientError {
  /** @param {string} detail */
  constructor(detail) {
    super("malformed", detail);
  }

  get isTransient() {
    return false;
  }
}

/** @param {unknown} error */
function asClientError(error) {
  if (error instanceof ClientError) return error;
  if (error instanceof EventTooLong) return new MalformedFrame(error.message);
  return new ClientError("unreachable", error instanceof Error ? error.message : String(error));
}
