// The list of sessions as it is known here: what the list stream says, what a search found, in the order in which people
// want it. Pure.

/** The list stream's first frame names so many at most. */
const NEWEST = 200;

export class Sessions {
  /** @type {Map<string, any>} */
  #all = new Map();

  /** What the list stream begins with: of the newest ones it is the whole truth. @param {any[]} sessions */
  replace(sessions) {
    const named = new Set(sessions.map(({ id }) => id));
    const oldest = sessions.length < NEWEST ? "" : sessions[sessions.length - 1].updated_at;
    for (const [id, session] of this.#all) if (!named.has(id) && session.updated_at >= oldest) this.#all.delete(id);
    for (const session of sessions) this.put(session);
  }

  /** @param {any} session */
  put(session) {
    const known = this.#all.get(session.id);
    // A page of a search may be older than what the stream has said since.
    if (known && (known.head_seq > session.head_seq || known.updated_at > session.updated_at)) return;
    this.#all.set(session.id, session);
  }

  /** One frame of the list stream; the id of what has changed. @param {any} change */
  change(change) {
    if (change.deleted) {
      this.#all.delete(change.session_id);
      return change.session_id;
    }
    this.put(change);
    return change.id;
  }

  /** What a stream of one session says of it, sooner than the list does. @param {string} id @param {object} fields */
  patch(id, fields) {
    const known = this.#all.get(id);
    if (known) this.#all.set(id, { ...known, ...fields });
  }

  /** @param {string} id */
  get(id) {
    return this.#all.get(id);
  }

  get size() {
    return this.#all.size;
  }

  /** Agents that sessions have, the most used first. */
  get agents() {
    const uses = new Map();
    for (const { agent } of this.#all.values()) uses.set(agent, (uses.get(agent) ?? 0) + 1);
    return [...uses].sort((a, b) => b[1] - a[1]).map(([agent]) => agent);
  }

  /** Those that a text is found in: what needs an answer first, then the newest activity. @param {string} [text] */
  sorted(text = "") {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (/** @type {any} */ { id, title, cwd, agent }) => {
      const all = `${title ?? ""}\n${cwd}\n${agent}\n${id}`.toLowerCase();
      return words.every((word) => all.includes(word));
    };
    const needs = (/** @type {any} */ session) => (session.client_state === "requires_action" ? 0 : 1);
    return [...this.#all.values()].filter(matches).sort(
      (a, b) =>
        needs(a) - needs(b) ||
        // Equal times occur: then the order is at least always the same.
        (a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : a.id < b.id ? -1 : 1),
    );
  }

  /** Those that need an answer, by id. */
  get needing() {
    return [...this.#all.values()].filter(({ client_state: state }) => state === "requires_action").map(({ id }) => id);
  }
}
