// What a browser's tab keeps of its outboxes in localStorage, and who takes over what a closed tab left. Each page has
// keys of its own under a fresh name, so that no page writes where another one does; a Web Lock under that name says that it
// is still there, and is let go by the browser also when the page crashes. Whoever gets the lock of a page that is gone
// adopts what it left: it stores the messages under its own name first and removes the others then. A crash in between
// leaves them twice, under the same message ids, which the server takes once.

import { systemClock } from "./clock.js";
import { freshId } from "./id.js";

const VERSION = 1;
const PREFIX = "seawall.outbox.";
/** Where a page's name stands for the page that a reload puts in its place. */
const TAB = "seawall.tab";
/** A page that is reloaded has so long to take its own messages before another page does. */
const GRACE = 3000;

/** It could not be kept, and so it was not taken. */
export class StorageError extends Error {}

/** @typedef {import("./queue.js").Entry} Entry */

/**
 * Takes what a page that is gone left of a session, and says true when it is stored here; else that stays for somebody else.
 * @typedef {(session: string, entries: Entry[]) => boolean} Adopt
 */

export class TabStorage {
  #local;
  #tab;
  #locks;
  #clock;
  #owner = freshId();
  /** @type {string | null} */
  #before = null;
  #watched = new Set(/** @type {string[]} */ ([]));
  #release = () => {};
  #isClosed = false;

  /**
   * @param {{local?: Storage, tab?: Storage, locks?: LockManager, clock?: import("./clock.js").Clock}} [parts] of another
   *   browser than this one
   */
  constructor({ local, tab, locks, clock = systemClock } = {}) {
    // Either may throw: they can be switched off.
    this.#local = local ?? globalThis.localStorage;
    this.#tab = tab ?? globalThis.sessionStorage;
    // It is missing on pages that came over plain HTTP from another machine: such a page adopts its own alone.
    this.#locks = locks ?? globalThis.navigator?.locks;
    this.#clock = clock;
    this.#before = this.#tab.getItem(TAB);
    this.#tab.setItem(TAB, this.#owner);
    this.ready = this.#hold();
  }

  /** Shows that this page is here. It is asked for before anything is kept, and so nobody is before it. */
  async #hold() {
    if (!this.#locks) return;
    await new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
      const held = new Promise((/** @type {(value?: unknown) => void} */ release) => (this.#release = release));
      this.#locks.request(PREFIX + this.#owner, () => {
        resolve();
        return held;
      });
    });
  }

  /** Where an outbox of this page keeps what the server does not have. @param {string} session @returns {import("./outbox.js").Store} */
  store(session) {
    const key = `${PREFIX}${this.#owner}.${session}`;
    return { load: () => this.#read(key) ?? [], save: (entries) => this.#write(key, entries) };
  }

  /**
   * Takes over what pages that are gone left: its own from before a reload at once, that of others when their page goes.
   * @param {Adopt} adopt
   */
  adopt(adopt) {
    for (const owner of this.#others()) this.#watch(owner, adopt);
    globalThis.addEventListener?.("storage", ({ key }) => {
      const owner = ownerOf(key);
      if (owner !== null && owner !== this.#owner) this.#watch(owner, adopt);
    });
  }

  /** Lets others have what is here. */
  close() {
    this.#isClosed = true;
    this.#release();
  }

  /** @param {string} owner @param {Adopt} adopt */
  async #watch(owner, adopt) {
    if (this.#watched.has(owner)) return;
    this.#watched.add(owner);
    const take = () => this.#take(owner, adopt);
    if (!this.#locks) {
      if (owner === this.#before) take();
      return;
    }
    const name = PREFIX + owner;
    while (!this.#isClosed && this.#keysOf(owner).length > 0) {
      // It is granted when that page is gone.
      const isDone = await this.#locks.request(name, () => owner === this.#before && take());
      if (isDone) break;
      await new Promise((/** @type {(value?: unknown) => void} */ resolve) => this.#clock.after(GRACE, resolve));
      if (await this.#locks.request(name, { ifAvailable: true }, (lock) => lock !== null && take())) break;
    }
    this.#watched.delete(owner);
  }

  /** Nobody else does so now: the caller holds the lock. @param {string} owner @param {Adopt} adopt */
  #take(owner, adopt) {
    if (this.#isClosed) return true;
    for (const key of this.#keysOf(owner)) {
      const entries = this.#read(key);
      // What cannot be read is left as it is.
      if (entries === null) continue;
      try {
        if (adopt(key.slice(PREFIX.length + owner.length + 1), entries)) this.#local.removeItem(key);
      } catch {
        // There was no room: the next page may have some.
      }
    }
    return true;
  }

  #others() {
    const owners = this.#keys().map(ownerOf).filter((owner) => owner !== null && owner !== this.#owner);
    return new Set(/** @type {string[]} */ (owners));
  }

  /** @param {string} owner */
  #keysOf(owner) {
    return this.#keys().filter((key) => ownerOf(key) === owner);
  }

  #keys() {
    return Array.from({ length: this.#local.length }, (_, index) => this.#local.key(index) ?? "");
  }

  /** @param {string} key @returns {Entry[] | null} */
  #read(key) {
    try {
      const text = this.#local.getItem(key);
      if (text === null) return [];
      const { version, entries } = JSON.parse(text);
      return version === VERSION && Array.isArray(entries) && entries.every(isEntry) ? entries : null;
    } catch {
      return null;
    }
  }

  /** @param {string} key @param {Entry[]} entries */
  #write(key, entries) {
    try {
      if (entries.length === 0) this.#local.removeItem(key);
      else this.#local.setItem(key, JSON.stringify({ version: VERSION, entries }));
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new StorageError(`this browser keeps no more messages: ${cause}`);
    }
  }
}

/** @param {string | null} key */
function ownerOf(key) {
  if (key === null || !key.startsWith(PREFIX)) return null;
  return key.slice(PREFIX.length).split(".", 1)[0];
}

/** @param {any} entry */
function isEntry(entry) {
  const states = ["pending", "accepted", "failed", "uncertain"];
  return typeof entry?.message?.message_id === "string" && states.includes(entry.state);
}
