// What was read of each session, in this browser, and so what is new. A session's own doings (nobody watches any more) are
// nothing to read: where the head has grown, the server is asked once whether something was said.

const PREFIX = "seawall.seen.";
/** Events that somebody would want to know of. */
const SAID = "agent.message,agent.output,permission.requested,question.requested,transport.gave_up,turn.ended";

export class Seen {
  #client;
  #onChange;
  /** Sessions with something new. */
  #unread = new Set();
  /** @type {Map<string, number>} */
  #asked = new Map();

  /** @param {import("../seawall.js").Client} client @param {() => void} onChange */
  constructor(client, onChange) {
    this.#client = client;
    this.#onChange = onChange;
  }

  /** @param {string} id */
  isUnread(id) {
    return this.#unread.has(id);
  }

  /** Sessions with something new. */
  get unread() {
    return [...this.#unread];
  }

  /** All up to here is on somebody's screen. @param {string} id @param {number} seq */
  read(id, seq) {
    this.#asked.delete(id);
    if (this.#unread.delete(id)) this.#onChange();
    if (seq > (this.#of(id) ?? 0)) this.#keep(id, seq);
  }

  /** A session as the list has it. @param {{id: string, head_seq: number}} session */
  async look({ id, head_seq: head }) {
    const seen = this.#of(id);
    // What was there before this browser came is not new.
    if (seen === undefined) return this.#keep(id, head);
    if (head <= seen || this.#unread.has(id) || this.#asked.get(id) === head) return;
    this.#asked.set(id, head);
    try {
      const page = await this.#client.events(id, { after: seen, limit: 1, types: SAID });
      if (this.#asked.get(id) !== head) return;
      if (page.events.length === 0) this.#keep(id, head);
      else {
        this.#unread.add(id);
        this.#onChange();
      }
    } catch {
      // The next change asks again.
      this.#asked.delete(id);
    }
  }

  /** @param {string} id */
  forget(id) {
    this.#unread.delete(id);
    try {
      localStorage.removeItem(PREFIX + id);
    } catch {
      // Storage is switched off.
    }
  }

  /** @param {string} id */
  #of(id) {
    try {
      const text = localStorage.getItem(PREFIX + id);
      return text === null ? undefined : Number(text);
    } catch {
      return undefined;
    }
  }

  /** @param {string} id @param {number} seq */
  #keep(id, seq) {
    try {
      localStorage.setItem(PREFIX + id, String(seq));
    } catch {
      // Storage is full or switched off: nothing is new then.
    }
  }
}
