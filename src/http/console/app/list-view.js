// The list of sessions: what needs an answer first, then the newest. Links, so that each opens in a tab as well.

import { dialog, field, problemOf } from "./dialogs.js";
import { button, h, setText } from "./dom.js";
import { standing } from "./format.js";
import { oneLine } from "./text.js";
import { since } from "./ticker.js";

/** A search asks the server when typing pauses. */
const PAUSE = 250;

export class ListView {
  #app;
  #search;
  #list;
  #empty;
  #more;
  /** @type {Map<string, {element: HTMLElement, shown: string}>} */
  #rows = new Map();
  /** @type {number | undefined} */
  #timer;
  /** @type {string | null | undefined} */
  #cursor;
  #isScheduled = false;

  /** @param {any} app */
  constructor(app) {
    this.#app = app;
    this.#search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search sessions", on: { input: () => this.#searched() } });
    this.#list = h("ul", { class: "sessions", "aria-label": "Sessions" });
    this.#empty = h("p", { class: "meta empty", hidden: true });
    this.#more = button("Older sessions", () => this.#older(), { class: "more", hidden: true });
    this.element = h("nav", { class: "list", "aria-label": "Sessions" },
      h("div", { class: "row" }, this.#search, button("New", () => this.create(), { class: "yes", title: "New session (n)" })),
      h("div", { class: "scroll" }, this.#list, this.#empty, this.#more));
  }

  focusSearch() {
    this.#search.focus();
  }

  /** @param {number} by */
  step(by) {
    const links = [.../** @type {NodeListOf<HTMLElement>} */ (this.#list.querySelectorAll("a"))];
    const at = links.findIndex((link) => link === document.activeElement || link.getAttribute("aria-current") === "page");
    links[Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
  }

  update() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#show();
    });
  }

  #show() {
    const { sessions, seen, open } = this.#app;
    const wanted = sessions.sorted(this.#search.value);
    const ids = new Set(wanted.map((/** @type {any} */ { id }) => id));
    for (const [id, { element }] of this.#rows) {
      if (ids.has(id)) continue;
      element.remove();
      this.#rows.delete(id);
    }
    let before = this.#list.firstElementChild;
    for (const session of wanted) {
      const row = this.#row(session, seen.isUnread(session.id), session.id === open);
      if (row === before) before = before.nextElementSibling;
      else this.#list.insertBefore(row, before);
    }
    this.#empty.hidden = wanted.length > 0;
    setText(this.#empty, this.#search.value ? "No session has that in its title, folder, agent or id." : "No sessions yet.");
    this.#more.hidden = this.#cursor === null || (sessions.size < 200 && this.#cursor === undefined);
  }

  /** @param {any} session @param {boolean} isUnread @param {boolean} isOpen */
  #row(session, isUnread, isOpen) {
    const { id, title, agent, cwd, updated_at: updated, queued_messages: queued, store } = session;
    const { word, tone } = standing(session);
    const shown = JSON.stringify([title, agent, cwd, updated, queued, store, word, tone, isUnread, isOpen]);
    let row = this.#rows.get(id);
    if (!row) {
      row = { element: h("li"), shown: "" };
      this.#rows.set(id, row);
    }
    if (row.shown === shown) return row.element;
    row.shown = shown;
    const hasFocus = row.element.contains(document.activeElement);
    const link = h("a", { href: `#/s/${id}`, "aria-current": isOpen && "page", class: isUnread ? "unread" : "" },
      h("span", { class: "title" }, isUnread && h("span", { class: "hidden" }, "New: "), oneLine(title) || `${oneLine(agent, 40)} ${id.slice(0, 8)}`),
      h("span", { class: `badge ${tone}` }, word),
      h("span", { class: "meta" }, `${oneLine(agent, 40)} · ${oneLine(cwd, 80)}`, queued > 0 && ` · ${queued} queued`, store && " · store unavailable"),
      since(updated));
    row.element.replaceChildren(link);
    if (hasFocus) link.focus();
    return row.element;
  }

  #searched() {
    this.update();
    clearTimeout(this.#timer);
    const q = this.#search.value.trim();
    if (q === "") return;
    // What is older than the list stream names is found by the server.
    this.#timer = setTimeout(() => this.#load({ q, limit: 50 }), PAUSE);
  }

  async #older() {
    if (this.#cursor === undefined) await this.#load({ limit: 200 }, true);
    if (this.#cursor) await this.#load({ limit: 200, cursor: this.#cursor }, true);
  }

  /** @param {object} query @param {boolean} [isPage] */
  async #load(query, isPage = false) {
    try {
      const { sessions, next_cursor: cursor } = await this.#app.client.sessions(query);
      for (const session of sessions) this.#app.sessions.put(session);
      if (isPage) this.#cursor = cursor;
      this.update();
    } catch (error) {
      this.#app.failed(error);
    }
  }

  create() {
    const { client, sessions } = this.#app;
    const agents = sessions.agents.length > 0 ? sessions.agents : ["demo"];
    const content = [
      field("Agent", { name: "agent", required: true, list: "agents", value: oneLine(agents[0], 80) }),
      h("datalist", { id: "agents" }, ...agents.map((/** @type {string} */ agent) => h("option", { value: agent }))),
      field("Folder", { name: "cwd", placeholder: "the agent's own" }),
      field("Title", { name: "title", maxlength: 200 }),
    ];
    const id = this.#app.freshId();
    dialog("New session", content, "Create", async (fields) => {
      const value = (/** @type {string} */ name) => String(fields.get(name) ?? "").trim() || undefined;
      try {
        // Under one id, so that a second press makes no second session.
        const made = await client.createSession({ agent: value("agent") ?? "", cwd: value("cwd"), title: value("title"), session_id: id });
        sessions.put(made);
        this.#app.go(`#/s/${made.id}`);
        return null;
      } catch (error) {
        return problemOf(error);
      }
    });
  }
}
