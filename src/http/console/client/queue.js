// The queue of an outbox: state and input in, what to do next out. Pure: time, randomness and answers are handed in,
// and what it says to send is sent elsewhere. tests/data/outbox holds its rules as histories.

import { Pace, verdict } from "./retry.js";

/** Messages that the server has not acknowledged, failed ones included. The next one is refused to its caller. */
export const OUTBOX_MAX = 100;

/** Messages that the server had, kept to show what became of them. The log has them all. */
const SETTLED_MAX = 100;

/**
 * @typedef {object} Message the body of a post
 * @property {string} message_id
 * @property {string} [text]
 * @property {object[]} [content]
 * @property {boolean} [interrupt]
 */

/**
 * One message and what is known of it. `pending`: on its way, or waiting for it; `accepted`: acknowledged; `failed`: it
 * will not run unless it is sent again; `uncertain`: the agent was lost while it had it.
 * @typedef {object} Entry
 * @property {Message} message
 * @property {"pending" | "accepted" | "failed" | "uncertain"} state
 * @property {string} [reason] a fixed word, of `failed`
 * @property {string} [detail] a sentence, of `failed`
 * @property {boolean} [kept] the server has it: it must never be posted under another id by itself
 * @property {number} [seq] of its `user.message`
 */

/** @typedef {"full" | "known" | "unknown" | "in_flight" | "not_failed" | "kept"} Refusal */

/** @type {Record<Refusal, string>} */
const SENTENCES = {
  full: `${OUTBOX_MAX} messages wait for the server already; discard some, or wait`,
  known: "a message with this id is in the queue already",
  unknown: "there is no such message in the queue",
  in_flight: "the message is on its way; wait for its answer",
  not_failed: "the message has not failed",
  kept: "the server has the message; withdraw it there",
};

/** Nothing has changed. */
export class QueueError extends Error {
  /** @param {Refusal} refusal */
  constructor(refusal) {
    super(SENTENCES[refusal]);
    this.name = "QueueError";
    this.refusal = refusal;
  }
}

/**
 * What to do now. `send`: post it, and hand the answer to `answered`; it is in flight from here on.
 * @typedef {{send: Message} | {wait: number} | "busy" | "signed_out" | "idle"} Next
 */

/**
 * What a session's stream said of a message.
 * @typedef {{kept: string, seq?: number} | {failed: string, reason: string, uncertain: boolean}} Heard
 */

export class Queue {
  /** @type {Entry[]} */
  #entries = [];
  /** @type {string | null} */
  #inFlight = null;
  #signedOut = false;
  #pace = new Pace();
  /** No try begins earlier than this, */
  #due = -Infinity;
  /** and none earlier than that, whatever happens: the server asked for it. */
  #asked = -Infinity;

  /** @returns {readonly Entry[]} */
  get entries() {
    return this.#entries;
  }

  get inFlight() {
    return this.#inFlight;
  }

  get isSignedOut() {
    return this.#signedOut;
  }

  /** What must outlive this page: all that the server does not have. What it has is in its log. */
  get unsettled() {
    return this.#entries.filter((entry) => !entry.kept);
  }

  clone() {
    const copy = new Queue();
    copy.#entries = this.#entries.map((entry) => ({ ...entry }));
    copy.#inFlight = this.#inFlight;
    copy.#signedOut = this.#signedOut;
    copy.#pace = this.#pace.clone();
    copy.#due = this.#due;
    copy.#asked = this.#asked;
    return copy;
  }

  /** @param {Message} message */
  push(message) {
    if (this.#find(message.message_id)) throw new QueueError("known");
    this.#room();
    this.#entries.push({ message, state: "pending" });
  }

  /** Puts what an earlier page left before all that came since: all of it, or nothing. @param {Entry[]} entries */
  restore(entries) {
    const waiting = entries.filter((entry) => !entry.kept).length;
    if (this.unsettled.length + waiting > OUTBOX_MAX) throw new QueueError("full");
    const ids = new Set(this.#entries.map((entry) => entry.message.message_id));
    for (const { message } of entries) {
      if (ids.has(message.message_id)) throw new QueueError("known");
      ids.add(message.message_id);
    }
    this.#entries.unshift(...entries);
    this.#trim();
  }

  /** @param {number} now @returns {Next} */
  next(now) {
    if (this.#inFlight !== null) return "busy";
    if (this.#signedOut) return "signed_out";
    const entry = this.#entries.find((entry) => entry.state === "pending");
    if (!entry) return "idle";
    if (this.#due > now) return { wait: this.#due };
    this.#inFlight = entry.message.message_id;
    return { send: entry.message };
  }

  /**
   * What became of the post of this message.
   * @param {number} now
   * @param {string} id
   * @param {number | import("./error.js").ClientError} answer the seq of the receipt, or why there is none
   * @param {number} jitter from 0 to 1
   */
  answered(now, id, answer, jitter) {
    if (this.#inFlight !== id) return;
    this.#inFlight = null;
    const entry = this.#find(id);
    if (!entry) return;
    if (typeof answer === "number") {
      this.#pace.reset();
      this.#keep(entry, answer);
      return;
    }
    switch (verdict(answer)) {
      case "again": {
        const { delay, asked } = this.#pace.after(answer, jitter);
        this.#due = now + delay;
        this.#asked = now + asked;
        return;
      }
      case "signed_out":
        this.#signedOut = true;
        return;
      case "refused":
        this.#pace.reset();
        Object.assign(entry, { state: "failed", reason: answer.code, detail: answer.message });
    }
  }

  /** @param {Heard} heard */
  heard(heard) {
    if ("kept" in heard) {
      const entry = this.#find(heard.kept);
      if (entry) this.#keep(entry, heard.seq);
      return;
    }
    const entry = this.#find(heard.failed);
    if (!entry) return;
    this.#land(entry);
    entry.kept = true;
    entry.state = heard.uncertain ? "uncertain" : "failed";
    if (!heard.uncertain) {
      entry.reason = heard.reason;
      entry.detail = `the server reports: ${heard.reason.replaceAll("_", " ")}`;
    }
    this.#trim();
  }

  /** Another credential: what waits goes on. */
  signedIn() {
    this.#signedOut = false;
    this.reachable();
  }

  /** The server answers again: no reason to wait, but for its own wish. */
  reachable() {
    this.#pace.reset();
    this.#due = Math.min(this.#due, this.#asked);
  }

  /** The same message to the end of the queue, under `fresh` where its own id is used up. @param {string} id @param {string} fresh */
  retry(id, fresh) {
    const entry = this.#failed(id);
    const isUsedUp = entry.kept || (entry.state === "failed" && entry.reason === "message_conflict");
    this.replace(id, isUsedUp ? { ...entry.message, message_id: fresh } : entry.message);
  }

  /** Another message to the end of the queue in the place of one that failed. @param {string} id @param {Message} message */
  replace(id, message) {
    const entry = this.#failed(id);
    if (message.message_id !== id && this.#find(message.message_id)) throw new QueueError("known");
    // One that the server had takes no place yet; it needs one like every other.
    if (entry.kept) this.#room();
    this.#remove(entry);
    this.#entries.push({ message, state: "pending" });
  }

  /** @param {string} id */
  discard(id) {
    const entry = this.#find(id);
    if (!entry) throw new QueueError("unknown");
    if (this.#inFlight === id) throw new QueueError("in_flight");
    if (entry.state === "accepted") throw new QueueError("kept");
    this.#remove(entry);
  }

  /** @param {string} id */
  #find(id) {
    return this.#entries.find((entry) => entry.message.message_id === id);
  }

  /** @param {Entry} entry */
  #remove(entry) {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
  }

  /** @param {string} id */
  #failed(id) {
    const entry = this.#find(id);
    if (!entry) throw new QueueError("unknown");
    if (this.#inFlight === id) throw new QueueError("in_flight");
    if (entry.state === "pending" || entry.state === "accepted") throw new QueueError("not_failed");
    return entry;
  }

  #room() {
    if (this.unsettled.length >= OUTBOX_MAX) throw new QueueError("full");
  }

  /** The server has it. What it said of it later stands. @param {Entry} entry @param {number} [seq] */
  #keep(entry, seq) {
    this.#land(entry);
    entry.seq ??= seq;
    if (entry.kept) return;
    entry.kept = true;
    entry.state = "accepted";
    delete entry.reason;
    delete entry.detail;
    this.#trim();
  }

  /** What the server has need not be waited for: its answer may be lost on the way while a stream goes on. @param {Entry} entry */
  #land(entry) {
    if (this.#inFlight === entry.message.message_id) this.#inFlight = null;
  }

  /** Of what the server had, the newest stay; accepted ones go first. */
  #trim() {
    let surplus = this.#entries.filter((entry) => entry.kept).length - SETTLED_MAX;
    for (; surplus > 0; surplus -= 1) {
      const accepted = this.#entries.find((entry) => entry.state === "accepted");
      const oldest = accepted ?? this.#entries.find((entry) => entry.kept);
      if (oldest) this.#remove(oldest);
    }
  }
}
