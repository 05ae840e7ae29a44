// The page's one stream: the list, and the session that is open. One, because a browser has six connections to a server for
// all its tabs together; for the same reason few tabs in the background keep theirs. What it says of the connection is what
// is known, and when the next try is.

import { ClientError } from "../seawall.js";

/** Tabs in the background that may keep their stream, so that their titles tell what happens. */
const BACKGROUND_TABS = 2;

/**
 * @typedef {object} Standing
 * @property {"connecting" | "live" | "waiting" | "signed_out" | "over"} kind
 * @property {number} [retryAt] of `waiting`
 * @property {string} [cause]
 * @property {boolean} [draining]
 */

export class Live {
  /** @type {Standing} */
  standing = { kind: "connecting" };
  #client;
  #onItem;
  #onStanding;
  /** @type {import("../seawall.js").Stream | null} */
  #stream = null;
  /** @type {string | null} */
  #session = null;
  #release = () => {};

  /**
   * @param {import("../seawall.js").Client} client
   * @param {(item: any) => void} onItem
   * @param {(standing: Standing) => void} onStanding
   */
  constructor(client, onItem, onStanding) {
    this.#client = client;
    this.#onItem = onItem;
    this.#onStanding = onStanding;
    document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? this.#hidden() : this.#shown()));
    addEventListener("pageshow", () => this.#shown());
    addEventListener("online", () => this.reachable());
    addEventListener("offline", () => this.#offline());
  }

  /** Follows this session and the list; from its head, or from behind the last event that was shown. @param {string | null} session @param {number} [after] */
  follow(session, after) {
    this.#session = session;
    const isHidden = this.#stream?.isSuspended;
    this.#stream?.close();
    const request = { sessions: session === null ? [] : [session], list: true };
    const stream = this.#client.stream(after === undefined || session === null ? request : { ...request, after: { [session]: after } });
    this.#stream = stream;
    if (isHidden) stream.suspend({ cut: true });
    if (this.standing.kind !== "waiting") this.#stand({ kind: "connecting" });
    this.#run(stream);
  }

  reachable() {
    this.#stream?.reachable();
    this.#onStanding(this.standing);
  }

  /** The device says so: then what is open is dead, unless the server is on this very device. */
  #offline() {
    if (this.standing.kind === "live") this.#stand({ kind: "connecting" });
    this.#stream?.renew();
    this.#onStanding(this.standing);
  }

  /** @param {import("../seawall.js").Stream} stream */
  async #run(stream) {
    let isDismissed = false;
    try {
      for await (const item of stream) {
        if (stream !== this.#stream) return;
        isDismissed = item.type === "bye" && item.data.retry_ms === null;
        this.#note(item, stream);
        this.#onItem(item);
      }
      if (stream === this.#stream) this.#stand(isDismissed ? { kind: "signed_out" } : { kind: "over" });
    } catch (error) {
      if (stream !== this.#stream) return;
      const isSignedOut = error instanceof ClientError && error.isSignedOut;
      this.#stand(isSignedOut ? { kind: "signed_out" } : { kind: "over", cause: String(/** @type {any} */ (error)?.message ?? error) });
    }
  }

  /** @param {any} item @param {import("../seawall.js").Stream} stream */
  #note({ type, data }, stream) {
    if (type === "welcome") this.#stand({ kind: "live", draining: data.draining });
    else if (type === "server") this.#stand({ ...this.standing, draining: data.draining });
    else if (type === "lost" && !stream.isSuspended) this.#stand({ kind: "waiting", retryAt: data.retry_at, cause: data.cause.message });
    else if (type === "bye" && data.retry_ms !== null) this.#stand({ kind: "waiting", retryAt: Date.now() + data.retry_ms, cause: `the server says: ${data.reason}` });
  }

  /** @param {Standing} standing */
  #stand(standing) {
    this.standing = standing;
    this.#onStanding(standing);
  }

  async #hidden() {
    // A phone freezes what is hidden: the server is told now, while there is time.
    if (matchMedia("(pointer: coarse)").matches) {
      this.#stream?.suspend();
      return;
    }
    const keeps = await this.#keepsStream();
    if (document.visibilityState !== "hidden") this.#release();
    else if (!keeps) this.#stream?.suspend({ cut: true });
  }

  /** Whether this tab gets one of the few places of the background; it has it until it is shown. */
  async #keepsStream() {
    if (!navigator.locks) return true;
    for (let place = 0; place < BACKGROUND_TABS; place += 1) {
      const isMine = await new Promise((resolve) => {
        navigator.locks.request(`seawall.background.${place}`, { ifAvailable: true }, (lock) => {
          resolve(lock !== null);
          return lock === null ? undefined : new Promise((release) => (this.#release = () => release(undefined)));
        });
      });
      if (isMine) return true;
    }
    return false;
  }

  #shown() {
    this.#release();
    if (this.#stream?.isSuspended) {
      this.#stand({ kind: "connecting" });
      this.#stream.resume();
    } else this.#stream?.reachable();
  }
}

/** The indicator: a word, a tone, and what more there is to say. @param {Standing} standing @param {boolean} isOnline @param {number} now */
export function indicator(standing, isOnline, now) {
  if (standing.kind === "signed_out") return { word: "signed out", tone: "bad", detail: "Sign in to go on; nothing is lost." };
  if (standing.kind === "over") return { word: "stopped", tone: "bad", detail: standing.cause ?? "Reload the page." };
  if (standing.kind === "live") {
    return standing.draining
      ? { word: "live, draining", tone: "wait", detail: "The server takes no new work; messages wait here." }
      : { word: "live", tone: "good", detail: "Events arrive as they happen." };
  }
  if (!isOnline) return { word: "offline", tone: "bad", detail: "This device has no network." };
  if (standing.kind === "connecting") return { word: "connecting", tone: "wait", detail: "" };
  const seconds = Math.max(0, Math.ceil(((standing.retryAt ?? now) - now) / 1000));
  return { word: seconds > 0 ? `reconnecting in ${seconds} s` : "reconnecting", tone: "wait", detail: standing.cause ?? "" };
}
