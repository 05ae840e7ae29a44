// Server-sent events: bytes in, in any split; events out. It knows lines and fields, never what the events mean.

/** A line or an event is longer than this reader takes; the rest of the stream cannot be understood. */
export class EventTooLong extends Error {}

/**
 * One event as a reader sees it. `id`: the last event id of the stream at this event; `retry`: milliseconds, where this
 * frame named them.
 * @typedef {{event: string, data: string, id: string, retry?: number}} ServerEvent
 */

export class Decoder {
  #limit;
  #text = new TextDecoder();
  /** The line that has not ended yet, in the pieces in which it came. */
  #pieces = /** @type {string[]} */ ([]);
  #length = 0;
  #afterCr = false;
  #event = "";
  /** @type {string[] | null} */
  #data = null;
  /** @type {string | null} */
  #id = null;
  /** @type {number | undefined} */
  #retry;
  #lastId = "";
  #ready = /** @type {ServerEvent[]} */ ([]);

  /** @param {number} limit the most characters of a line, and of an event's data */
  constructor(limit) {
    this.#limit = limit;
  }

  /** @param {Uint8Array} bytes */
  feed(bytes) {
    let text = this.#text.decode(bytes, { stream: true });
    if (text === "") return;
    // An LF behind a CR belongs to it.
    if (this.#afterCr && text[0] === "\n") text = text.slice(1);
    this.#afterCr = false;
    let begin = 0;
    const ends = /\r\n|\n|\r/g;
    for (let end = ends.exec(text); end; end = ends.exec(text)) {
      this.#piece(text.slice(begin, end.index));
      this.#line();
      begin = ends.lastIndex;
      this.#afterCr = end[0] === "\r" && begin === text.length;
    }
    this.#piece(text.slice(begin));
  }

  /** The next event, in order; undefined: more bytes are needed. */
  next() {
    return this.#ready.shift();
  }

  /** @param {string} piece */
  #piece(piece) {
    if (piece === "") return;
    this.#length += piece.length;
    if (this.#length > this.#limit) throw new EventTooLong(`an event of the stream is over ${this.#limit} characters`);
    this.#pieces.push(piece);
  }

  #line() {
    const line = this.#pieces.join("");
    this.#pieces = [];
    if (line === "") {
      this.#length = 0;
      this.#end();
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (name === "event") this.#event = value;
    else if (name === "data") (this.#data ??= []).push(value);
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^\d+$/.test(value)) this.#retry = Number(value);
    // What an event holds counts until it ends; comments and unknown fields do not.
    if (name !== "data") this.#length -= line.length;
  }

  #end() {
    if (this.#id !== null) this.#lastId = this.#id;
    if (this.#data !== null) {
      const event = { event: this.#event || "message", data: this.#data.join("\n"), id: this.#lastId };
      this.#ready.push(this.#retry === undefined ? event : { ...event, retry: this.#retry });
    }
    this.#event = "";
    this.#data = null;
    this.#id = null;
    this.#retry = undefined;
  }
}
