// A range of a session's stored events, page by page, oldest first. What is live is the stream's.

/** How many events to ask for at once; the server ends a page of large ones early. */
const PAGE = 1000;

export class History {
  #client;
  #session;
  #upto;
  #done;

  /** @param {import("./client.js").Client} client @param {string} session @param {number} after @param {number} [upto] */
  constructor(client, session, after, upto) {
    this.#client = client;
    this.#session = session;
    /** The seq of the last event that was read. */
    this.cursor = after;
    this.#upto = upto ?? Infinity;
    this.#done = this.#upto <= after;
  }

  /** The next page; null after the last. @returns {Promise<any[] | null>} */
  async nextPage() {
    if (this.#done) return null;
    const page = await this.#client.events(this.#session, { after: this.cursor, limit: PAGE });
    const events = page.events.filter((/** @type {any} */ event) => event.seq <= this.#upto);
    if (events.length > 0) this.cursor = events[events.length - 1].seq;
    // A page without events has nothing to go on from, whatever it says of more.
    this.#done = !page.has_more || events.length < page.events.length || events.length === 0 || this.cursor === this.#upto;
    return events;
  }
}
