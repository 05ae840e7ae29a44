// Where a stream is in each of its sessions, and what an item does to that. Pure: it decides what is new, what was
// shown before and what is missing; it connects to nothing. tests/data/stream holds its rules as histories.

/**
 * What to follow, and from where.
 * @typedef {object} StreamRequest
 * @property {string[]} [sessions] at most 64
 * @property {boolean} [list] the list of sessions too
 * @property {Record<string, number>} [after] the last event that was shown of each session; one that is not named
 *   begins at its head
 * @property {string} [token] where another stream was; goes before `after`
 */

/**
 * What an item is to its reader. `known`: it was shown before. A hole: the events after `after`, up to and with `upto`,
 * did not arrive, and no gap was told.
 * @typedef {"show" | "known" | {hole: {session: string, after: number, upto: number}}} Step
 */

export class Place {
  /** @param {StreamRequest} request */
  constructor({ sessions = [], list = false, after = {}, token }) {
    this.sessions = [...sessions];
    this.list = list;
    /** @type {string | undefined} */
    this.token = token;
    /** @type {Map<string, number>} */
    this.cursors = new Map(token === undefined ? Object.entries(after) : []);
  }

  /** There is nothing left to follow. */
  get isEmpty() {
    return this.sessions.length === 0 && !this.list;
  }

  /**
   * Moves on by an item that arrived with this last event id.
   * @param {{type: string, data: any}} item
   * @param {string} id
   * @returns {Step}
   */
  advance({ type, data }, id) {
    const session = data?.session_id;
    const cursor = this.cursors.get(session);
    switch (type) {
      case "event":
        if (cursor !== undefined && data.seq <= cursor) return "known";
        if (cursor !== undefined && data.seq > cursor + 1) {
          return { hole: { session, after: cursor, upto: data.seq - 1 } };
        }
        this.cursors.set(session, data.seq);
        break;
      case "gap":
        // The one item that may move a cursor back: the log is shorter than what was shown.
        this.cursors.set(session, data.resume_at);
        break;
      case "snapshot":
        if (cursor === undefined) this.cursors.set(session, data.head_seq);
        break;
      case "gone":
        this.sessions = this.sessions.filter((known) => known !== session);
        this.cursors.delete(session);
        return "show";
      default:
        return "show";
    }
    if (id !== "") this.token = id;
    return "show";
  }
}
