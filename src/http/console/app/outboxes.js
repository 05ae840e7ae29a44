// The outboxes of this page, one for each session that has messages on their way, also of sessions that are not open.

import { Outbox, TabStorage } from "../seawall.js";

export class Outboxes {
  #client;
  #storage = /** @type {TabStorage | null} */ (null);
  /** @type {Map<string, Outbox>} */
  #all = new Map();
  #onChange;

  /** @param {import("../seawall.js").Client} client @param {(outbox: Outbox) => void} onChange */
  constructor(client, onChange) {
    this.#client = client;
    this.#onChange = onChange;
  }

  /** Goes on with what was left here. Whether this browser keeps anything. */
  open() {
    try {
      this.#storage = new TabStorage();
    } catch {
      // It is switched off here.
      return false;
    }
    this.#storage.adopt((session, left) => {
      const outbox = this.of(session);
      const known = new Set(outbox.state.entries.map((entry) => entry.message.message_id));
      // A crash between two writes may have left a message twice.
      outbox.restore(left.filter((entry) => !known.has(entry.message.message_id)));
      return true;
    });
    return true;
  }

  /** @param {string} session */
  of(session) {
    let outbox = this.#all.get(session);
    if (!outbox) {
      outbox = new Outbox(this.#client, session, this.#storage?.store(session));
      this.#all.set(session, outbox);
      const made = outbox;
      outbox.watch(() => this.#onChange(made));
    }
    return outbox;
  }

  /** @param {string} session */
  get(session) {
    return this.#all.get(session);
  }

  /** How many messages wait in all. */
  get pending() {
    return [...this.#all.values()].reduce((sum, outbox) => sum + outbox.pending, 0);
  }

  /** @param {any} event */
  heard(event) {
    this.#all.get(event.session_id)?.heard(event);
  }

  reachable() {
    for (const outbox of this.#all.values()) outbox.reachable();
  }

  signedIn() {
    for (const outbox of this.#all.values()) outbox.signedIn();
  }

  /** Forgets what waits: somebody else may sign in here next. */
  discard() {
    for (const outbox of this.#all.values()) {
      for (const { message, kept } of outbox.state.entries) {
        if (kept) continue;
        try {
          outbox.discard(message.message_id);
        } catch {
          // It is on its way, and will be answered or not.
        }
      }
    }
  }
}
