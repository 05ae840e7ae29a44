// The way to one server with one credential, and the calls of its API, one method each. Every method asks once and
// answers with what the server said; none tries again behind the caller's back.

import { systemClock } from "./clock.js";
import { ClientError, refusal, retryAfter } from "./error.js";
import { History } from "./history.js";
import { CALL_TIMEOUT } from "./retry.js";
import { Stream } from "./stream.js";

/**
 * @typedef {object} ClientOptions
 * @property {string} [url] the server's root; a path before `/v1` is kept. Without it: where the page came from
 * @property {string} [token] without it: the cookie of a login
 * @property {typeof fetch} [fetch]
 * @property {import("./clock.js").Clock} [clock]
 * @property {() => number} [jitter] from 0 to 1
 */

export class Client {
  #base;
  #token;
  #fetch;

  /** @param {ClientOptions} [options] */
  constructor({ url, token, fetch = globalThis.fetch, clock = systemClock, jitter = Math.random } = {}) {
    const base = new URL(url ?? globalThis.location.origin);
    const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(base.hostname);
    if (token !== undefined && base.protocol !== "https:" && !isLoopback) {
      throw new TypeError(`${base.href}: the token would cross the network in the clear; use https`);
    }
    this.#base = base.href.replace(/\/$/, "");
    this.#token = token;
    this.#fetch = fetch;
    this.clock = clock;
    this.jitter = jitter;
  }

  /** The server's root. */
  get url() {
    return this.#base;
  }

  /** Follows sessions, the list, or both. Connects when it is first asked for an item. @param {import("./place.js").StreamRequest} request */
  stream(request) {
    return new Stream(this, request);
  }

  /**
   * The stored events with `after < seq <= upto`; without `upto`: up to the head at the time of the last page.
   * @param {string} session @param {number} after @param {number} [upto]
   */
  history(session, after, upto) {
    return new History(this, session, after, upto);
  }

  /** The cookie that stands for a token. @param {string} token */
  login(token) {
    return this.call("POST", ["login"], { body: { token } });
  }

  logout() {
    return this.call("POST", ["logout"]);
  }

  /** @param {{agent: string, cwd?: string, title?: string, session_id?: string, message?: object, env?: object}} body */
  createSession(body) {
    return this.call("POST", ["sessions"], { body });
  }

  /** @param {{state?: string, agent?: string, q?: string, limit?: number, cursor?: string}} [query] */
  sessions(query) {
    return this.call("GET", ["sessions"], { query });
  }

  /** @param {string} id */
  session(id) {
    return this.call("GET", ["sessions", id]);
  }

  /** `null` takes the title away. @param {string} id @param {string | null} title */
  rename(id, title) {
    return this.call("PATCH", ["sessions", id], { body: { title } });
  }

  /** @param {string} id */
  deleteSession(id) {
    return this.call("DELETE", ["sessions", id]);
  }

  /** One post; an outbox posts until there is an answer. @param {string} id @param {import("./queue.js").Message} message @param {AbortSignal} [signal] */
  async postMessage(id, message, signal) {
    const receipt = await this.call("POST", ["sessions", id, "messages"], { body: message, signal });
    if (typeof receipt?.seq === "number" && receipt.accepted === true) return receipt;
    throw new ClientError("malformed", `the answer of ${this.url} is no receipt`);
  }

  /** @param {string} id @param {string} message */
  withdraw(id, message) {
    return this.call("DELETE", ["sessions", id, "messages", message]);
  }

  /** @param {string} id */
  interrupt(id) {
    return this.call("POST", ["sessions", id, "interrupt"], { body: {} });
  }

  /** @param {string} id @param {number} [graceMs] */
  stop(id, graceMs) {
    return this.call("POST", ["sessions", id, "stop"], { body: graceMs === undefined ? {} : { grace_ms: graceMs } });
  }

  /** @param {string} id */
  resume(id) {
    return this.call("POST", ["sessions", id, "resume"], { body: {} });
  }

  /** @param {string} id @param {string} permission @param {{outcome: string, option_id?: string}} answer */
  answerPermission(id, permission, answer) {
    return this.call("POST", ["sessions", id, "permissions", permission], { body: answer });
  }

  /** @param {string} id @param {string} question @param {{outcome: string, answers?: object}} answer */
  answerQuestion(id, question, answer) {
    return this.call("POST", ["sessions", id, "questions", question], { body: answer });
  }

  /** A page of a session's history; without either end: the newest. @param {string} id @param {{after?: number, before?: number, limit?: number, types?: string}} [query] */
  events(id, query) {
    return this.call("GET", ["sessions", id, "events"], { query });
  }

  /** Says that the stream of this connection goes to the background; it arrives also from a page that is frozen next. @param {string} connection */
  suspend(connection) {
    return this.call("POST", ["connections", connection, "suspend"], { keepalive: true });
  }

  /** An admin call of the public listener, where `server.admin_api` is on. @param {string} method @param {string[]} path @param {object} [query] */
  admin(method, path, query) {
    return this.call(method, ["admin", ...path], { query });
  }

  /**
   * One request, one answer: the body of a 2xx, or a ClientError.
   * @param {string} method
   * @param {string[]} path below /v1, each segment as it is
   * @param {{body?: unknown, query?: object, signal?: AbortSignal, keepalive?: boolean}} [options]
   * @returns {Promise<any>}
   */
  async call(method, path, { body, query, signal, keepalive } = {}) {
    const headers = /** @type {Record<string, string>} */ ({ accept: "application/json" });
    if (body !== undefined) headers["content-type"] = "application/json";
    const init = { method, headers, keepalive, body: body === undefined ? undefined : JSON.stringify(body) };
    return this.#inTime(signal, async (signal) => {
      const response = await this.#ask(this.endpoint(path, query), { ...init, signal });
      const text = await response.text();
      if (text === "") return undefined;
      try {
        return JSON.parse(text);
      } catch (error) {
        throw new ClientError("malformed", `the answer of ${this.url} is not understood: ${error}`);
      }
    });
  }

  /**
   * Opens a connection of a stream: it says where the stream is and checks that events will come; it reads none.
   * @param {string} url
   * @param {Record<string, string>} headers
   * @param {AbortSignal} signal ends it, also when it is open
   */
  async open(url, headers, signal) {
    return this.#inTime(signal, async (signal) => {
      const response = await this.#ask(url, { headers: { accept: "text/event-stream", ...headers }, signal });
      const kind = response.headers.get("content-type") ?? "nothing";
      if (!kind.startsWith("text/event-stream")) {
        throw new ClientError("malformed", `expected text/event-stream and got ${kind}`);
      }
      return response;
    });
  }

  /** @param {string[]} path @param {object} [query] */
  endpoint(path, query = {}) {
    const url = new URL(`${this.#base}/v1/${path.map(encodeURIComponent).join("/")}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, String(value));
    }
    return url.href;
  }

  /** @param {string} url @param {RequestInit} init */
  async #ask(url, init) {
    const headers = /** @type {Record<string, string>} */ ({ ...init.headers });
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    const credentials = this.#token === undefined ? "same-origin" : "omit";
    const fetch = this.#fetch;
    const response = await fetch(url, { ...init, headers, credentials, cache: "no-store", redirect: "manual" });
    if (response.ok) return response;
    const body = await response.text().catch(() => "");
    throw refusal(response.status, body, retryAfter(response.headers.get("retry-after"), this.clock.now()));
  }

  /**
   * Gives up after CALL_TIMEOUT. What `outer` ends is told as unreachable: nobody waits for it.
   * @template T
   * @param {AbortSignal | undefined} outer
   * @param {(signal: AbortSignal) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #inTime(outer, work) {
    const control = new AbortController();
    const end = () => control.abort();
    let isLate = false;
    const done = this.clock.after(CALL_TIMEOUT, () => {
      isLate = true;
      end();
    });
    outer?.addEventListener("abort", end);
    if (outer?.aborted) end();
    try {
      return await work(control.signal);
    } catch (error) {
      outer?.removeEventListener("abort", end);
      if (error instanceof ClientError) throw error;
      if (isLate) throw new ClientError("timed_out", `${this.url} did not answer within ${CALL_TIMEOUT / 1000} s`);
      const cause = error instanceof Error ? error.message : String(error);
      throw new ClientError("unreachable", `no connection to ${this.url}: ${cause}`);
    } finally {
      done();
    }
  }
}
