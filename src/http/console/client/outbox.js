// Messages of one session on their way to the server: kept until acknowledged, sent in order, one at a time, over
// failures and reloads. What to do next is decided in the queue; here it is done, and every change is stored before it
// is told.

import { ClientError } from "./error.js";
import { Queue } from "./queue.js";

/**
 * Where an outbox keeps what the server does not have. `save` throws where it could not.
 * @typedef {object} Store
 * @property {() => import("./queue.js").Entry[]} load
 * @property {(entries: import("./queue.js").Entry[]) => void} save
 */

/**
 * How things stand.
 * @typedef {object} OutboxState
 * @property {readonly import("./queue.js").Entry[]} entries in the order in which they go; what is settled stands where it was
 * @property {string | null} inFlight the message that was posted and is not answered yet
 * @property {boolean} signedOut nothing goes before `signedIn`
 * @property {number | null} retryAt when the next try begins, after one that failed
 * @property {Error | null} fault why the store could not be brought up to date; what it holds is older, and safe to send again
 */

export class Outbox {
  #client;
  #session;
  #store;
  #queue = new Queue();
  #isClosed = false;
  /** @type {AbortController | null} */
  #posting = null;
  #stopTimer = () => {};
  /** @type {number | null} */
  #retryAt = null;
  /** @type {Error | null} */
  #fault = null;
  #watchers = new Set(/** @type {((state: OutboxState) => void)[]} */ ([]));
  #stored = "[]";

  /**
   * Goes on with what `store` holds, and keeps there what it takes; without a store: in memory.
   * @param {import("./client.js").Client} client @param {string} session @param {Store} [store]
   */
  constructor(client, session, store) {
    this.#client = client;
    this.#session = session;
    this.#store = store;
    if (store) {
      const left = store.load();
      this.#queue.restore(left);
      this.#stored = JSON.stringify(this.#queue.unsettled);
    }
    this.#pump();
  }

  get session() {
    return this.#session;
  }

  /** @returns {OutboxState} */
  get state() {
    const { entries, inFlight, isSignedOut } = this.#queue;
    const waits = entries.some((entry) => entry.state === "pending");
    return {
      entries: entries.map((entry) => ({ ...entry })),
      inFlight,
      signedOut: isSignedOut && waits,
      retryAt: this.#retryAt,
      fault: this.#fault,
    };
  }

  /** How many messages the server has not acknowledged and is still asked to take. */
  get pending() {
    return this.#queue.entries.filter((entry) => entry.state === "pending").length;
  }

  /** Calls `watcher` after every change; the answer ends that. @param {(state: OutboxState) => void} watcher */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Takes a message. It is stored when this returns; sending it is a matter of time. @param {import("./queue.js").Message} message */
  push(message) {
    this.#change((queue) => queue.push(message));
  }

  /** Puts what another page left before all that is here: all of it, or nothing. @param {import("./queue.js").Entry[]} entries */
  restore(entries) {
    this.#change((queue) => queue.restore(entries));
  }

  /** Puts a message that failed, or may have run, at the end of the queue. It goes under `fresh` where the server knows its own id already. @param {string} id @param {string} fresh */
  retry(id, fresh) {
    this.#change((queue) => queue.retry(id, fresh));
  }

  /** Puts this message at the end of the queue in the place of one that failed or may have run. @param {string} id @param {import("./queue.js").Message} message */
  replace(id, message) {
    this.#change((queue) => queue.replace(id, message));
  }

  /** Forgets a message that is not on its way: one that waits, failed, or may have run. @param {string} id */
  discard(id) {
    this.#change((queue) => queue.discard(id));
  }

  /** Tells what a stream brought: it may acknowledge a message, or say what became of it. @param {any} event */
  heard({ type, seq, data }) {
    if (type === "user.message") this.#queue.heard({ kept: data.message_id, seq });
    else if (type === "message.dispatched") this.#queue.heard({ kept: data.message_id });
    else if (type === "message.failed") {
      this.#queue.heard({ failed: data.message_id, reason: data.reason, uncertain: data.uncertain });
    } else return;
    this.#settle();
  }

  /** There is a credential again: goes on, as this client. @param {import("./client.js").Client} [client] */
  signedIn(client) {
    this.#client = client ?? this.#client;
    this.#queue.signedIn();
    this.#pump();
  }

  /** The server was reached by another way: tries at once, unless it asked to wait. */
  reachable() {
    this.#queue.reachable();
    this.#pump();
  }

  /** Stops sending at once; what it took is in the store. */
  close() {
    this.#isClosed = true;
    this.#stopTimer();
    this.#posting?.abort();
    this.#watchers.clear();
  }

  /** A change that someone asked for: done when it is stored, else not at all. @param {(queue: Queue) => void} change */
  #change(change) {
    const changed = this.#queue.clone();
    change(changed);
    const before = this.#queue;
    this.#queue = changed;
    try {
      this.#save();
    } catch (error) {
      this.#queue = before;
      throw error;
    }
    this.#pump();
  }

  /**
   * A change that has happened. In the store it may come late: what was acknowledged and stands there still is sent again
   * after a reload, and the server knows its id.
   */
  #settle() {
    try {
      this.#save();
      this.#fault = null;
    } catch (error) {
      this.#fault = /** @type {Error} */ (error);
    }
    this.#pump();
  }

  #save() {
    if (!this.#store) return;
    const { unsettled } = this.#queue;
    const text = JSON.stringify(unsettled);
    if (text === this.#stored) return;
    this.#store.save(unsettled);
    this.#stored = text;
  }

  /** Posts the next message if its time has come; else when it will be. */
  #pump() {
    if (this.#isClosed) return;
    this.#stopTimer();
    this.#stopTimer = () => {};
    this.#retryAt = null;
    // The stream may have acknowledged what is being posted: its answer need not be waited for.
    if (this.#posting !== null && this.#queue.inFlight === null) {
      this.#posting.abort();
      this.#posting = null;
    }
    const next = this.#queue.next(this.#client.clock.now());
    if (typeof next === "object" && "send" in next) this.#post(next.send);
    else if (typeof next === "object") {
      this.#retryAt = next.wait;
      this.#stopTimer = this.#client.clock.after(next.wait - this.#client.clock.now(), () => this.#pump());
    }
    for (const watcher of this.#watchers) watcher(this.state);
  }

  /** @param {import("./queue.js").Message} message */
  async #post(message) {
    const posting = new AbortController();
    this.#posting = posting;
    let answer;
    try {
      answer = (await this.#client.postMessage(this.#session, message, posting.signal)).seq;
    } catch (error) {
      answer = error instanceof ClientError ? error : new ClientError("unreachable", String(error));
    }
    if (posting !== this.#posting || this.#isClosed) return;
    this.#posting = null;
    this.#queue.answered(this.#client.clock.now(), message.message_id, answer, this.#client.jitter());
    this.#settle();
  }
}
