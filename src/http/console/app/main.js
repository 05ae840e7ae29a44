// The console: puts the views together and says to each what has happened. What a view does is its own matter.

import { Client, freshId } from "../seawall.js";
import { dialog, problemOf } from "./dialogs.js";
import { button, h, setText } from "./dom.js";
import { ListView } from "./list-view.js";
import { Live, indicator } from "./live.js";
import { loginView } from "./login.js";
import { Operator } from "./operator.js";
import { Outboxes } from "./outboxes.js";
import { Seen } from "./seen.js";
import { SessionView } from "./session-view.js";
import { Sessions } from "./sessions.js";
import { startTicker } from "./ticker.js";

class App {
  client = new Client({ url: new URL(".", location.href).href });
  sessions = new Sessions();
  seen = new Seen(this.client, () => this.listChanged());
  outboxes = new Outboxes(this.client, () => this.#messagesChanged());
  freshId = freshId;
  #live = new Live(this.client, (item) => this.#item(item), () => this.#standing());
  #operator = new Operator(this);
  #list = new ListView(this);
  /** @type {SessionView | null} */
  #session = null;
  #isSignedOut = false;
  #hasBegun = false;
  /** Said last, so that nothing is said twice. */
  #saidWord = "";

  #place = /** @type {HTMLElement} */ (document.getElementById("place"));
  #aside = /** @type {HTMLElement} */ (document.getElementById("aside"));
  #polite = /** @type {HTMLElement} */ (document.getElementById("polite"));
  #toasts = /** @type {HTMLElement} */ (document.getElementById("toasts"));
  #connection = /** @type {HTMLElement} */ (document.getElementById("connection"));
  #operatorLink = /** @type {HTMLElement} */ (document.getElementById("operator"));
  #signOut = /** @type {HTMLElement} */ (document.getElementById("sign-out"));

  begin() {
    this.#aside.append(this.#list.element);
    this.#signOut.addEventListener("click", () => this.#leave());
    addEventListener("hashchange", () => this.#route());
    addEventListener("keydown", (event) => this.#key(event));
    addEventListener("online", () => this.outboxes.reachable());
    document.addEventListener("visibilitychange", () => this.#session?.update());
    setInterval(() => this.#standing(), 1000);
    startTicker();
    // Before anything can be sent: what is kept must have a place.
    if (!this.outboxes.open()) this.toast("This browser keeps nothing: what is not sent is gone with this page.");
    this.#route();
  }

  /** The session that is open. */
  get open() {
    return this.#session?.id ?? null;
  }

  /** @param {string} hash */
  go(hash) {
    location.hash = hash;
  }

  listChanged() {
    this.#list.update();
    this.#title();
  }

  operatorChanged() {
    this.#operatorLink.hidden = !this.#operator.isAllowed;
  }

  /** To those who do not see it. @param {string} text */
  announce(text) {
    this.#polite.textContent = text;
  }

  /** @param {string} text */
  toast(text) {
    const close = () => box.remove();
    const box = h("div", { class: "toast" }, h("span", {}, text), button("Close", close));
    this.#toasts.append(box);
    setTimeout(close, 15_000);
  }

  /** @param {unknown} error @param {string} [before] */
  failed(error, before = "") {
    if (/** @type {any} */ (error)?.isSignedOut) this.#signedOut();
    this.toast(before + problemOf(error));
  }

  /** @param {string} id */
  deleted(id) {
    this.sessions.change({ session_id: id, deleted: true });
    this.seen.forget(id);
    this.listChanged();
    if (this.open === id) this.go("#/");
  }

  #route() {
    const [, kind, id] = location.hash.split("/");
    this.#session?.close();
    this.#session = null;
    this.#operator.hide();
    if (this.#isSignedOut) return this.#login();
    let view = null;
    if (kind === "s" && id) view = this.#session = new SessionView(this, id);
    else if (kind === "server") view = this.#operator;
    document.body.dataset.view = view === null ? "list" : kind === "s" ? "session" : "operator";
    this.#place.replaceChildren(view?.element ?? h("main", { id: "main", class: "nothing", tabindex: -1 }, h("h1", { class: "hidden" }, "Sessions"), h("p", { class: "meta" }, "Choose a session, or make a new one.")));
    this.#live.follow(this.open);
    if (view === this.#operator) this.#operator.show();
    // A phone's keyboard would cover what is to be read.
    if (this.#session && !matchMedia("(pointer: coarse)").matches) this.#session.focus();
    this.#title();
    this.listChanged();
  }

  /** @param {any} item */
  #item(item) {
    const { type, data } = item;
    if (type === "welcome") this.#reached();
    else if (type === "sessions") {
      this.sessions.replace(data.sessions ?? data);
      for (const session of data.sessions ?? data) this.#look(session);
      this.listChanged();
    } else if (type === "session") {
      const id = this.sessions.change(data);
      if (!data.deleted) this.#look(data);
      this.listChanged();
      if (id === this.open) this.#session?.update();
    } else if (type === "event") this.outboxes.heard(data);
    this.#session?.item(item);
  }

  /** @param {any} session */
  #look(session) {
    if (session.id !== this.open || document.visibilityState !== "visible") this.seen.look(session);
  }

  #reached() {
    this.outboxes.reachable();
    this.#signOut.hidden = false;
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this.#operator.begin();
  }

  #standing() {
    const { standing } = this.#live;
    const { word, tone, detail } = indicator(standing, navigator.onLine, Date.now());
    setText(/** @type {Element} */ (this.#connection.lastElementChild), word);
    this.#connection.dataset.tone = tone;
    this.#connection.title = detail;
    // Neither the countdown is said second by second, nor that what was live is so again after a click.
    const said = word.replace(/ in \d+ s$/, "");
    if (said !== "connecting" && said !== this.#saidWord) {
      if (this.#saidWord !== "") this.announce(`Connection: ${said}`);
      this.#saidWord = said;
    }
    if (standing.kind === "signed_out") this.#signedOut();
  }

  #signedOut() {
    if (this.#isSignedOut) return;
    this.#isSignedOut = true;
    this.#hasBegun = false;
    this.#login();
  }

  #login() {
    this.#signOut.hidden = true;
    this.#operatorLink.hidden = true;
    document.body.dataset.view = "login";
    const view = loginView(this.client, this.outboxes.pending, () => this.#signedIn());
    this.#place.replaceChildren(h("main", { id: "main", tabindex: -1 }, view.element));
    view.focus();
  }

  #signedIn() {
    this.#isSignedOut = false;
    this.outboxes.signedIn();
    this.#route();
  }

  #leave() {
    const { pending } = this.outboxes;
    const end = async () => {
      try {
        this.outboxes.discard();
        await this.client.logout();
      } catch (error) {
        if (!(/** @type {any} */ (error).isSignedOut)) return problemOf(error);
      }
      // What was shown is for whoever was here.
      location.hash = "#/";
      location.reload();
      return null;
    };
    const loss = pending > 0 ? `${pending} messages that were not sent are discarded.` : "This browser forgets its cookie.";
    dialog("Sign out?", [h("p", {}, loss)], "Sign out", end, { danger: pending > 0 });
  }

  #messagesChanged() {
    this.#session?.update();
    const waits = [...(this.#session ? [this.outboxes.get(this.#session.id)] : [])].some((outbox) => outbox?.state.signedOut);
    if (waits) this.#signedOut();
  }

  #title() {
    const count = new Set([...this.sessions.needing, ...this.seen.unread]).size;
    const title = this.open === null ? "" : this.sessions.get(this.open)?.title;
    document.title = `${count > 0 ? `(${count}) ` : ""}${title ? `${title} · ` : ""}Seawall`;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || this.#isSignedOut) return;
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
    const act = /** @type {Record<string, () => void>} */ ({
      "/": () => this.#list.focusSearch(), n: () => this.#list.create(), j: () => this.#list.step(1), k: () => this.#list.step(-1),
      i: () => this.#session?.focus(), "?": () => this.#help(),
    })[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #help() {
    const keys = [["/", "search"], ["n", "new session"], ["j, k", "next and previous session"], ["i", "write a message"], ["Enter", "send; with Shift a new line, with Ctrl interrupt and send"], ["Escape", "interrupt, while writing"]];
    dialog("Keys", [h("dl", { class: "keys" }, ...keys.flatMap(([key, what]) => [h("dt", {}, key), h("dd", {}, what)]))], "Close", () => null);
  }
}

new App().begin();
