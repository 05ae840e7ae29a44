// The operator's view: what the server has and does, and the switch that drains it. It is there for admins alone, where
// the public listener answers admin calls.

import { dialog, problemOf } from "./dialogs.js";
import { button, h } from "./dom.js";
import { bytes, words } from "./format.js";
import { Samples } from "./samples.js";
import { oneLine } from "./text.js";
import { since } from "./ticker.js";

const EVERY = 5000;
const SVG = "http://www.w3.org/2000/svg";

export class Operator {
  #app;
  #samples = new Samples();
  /** @type {any} */
  #status = null;
  /** @type {any} */
  #tree = null;
  /** @type {any[]} */
  #connections = [];
  #isShown = false;
  #isAllowed = false;
  #fault = "";
  /** @type {number | undefined} */
  #timer;

  /** @param {any} app */
  constructor(app) {
    this.#app = app;
    this.element = h("main", { class: "operator", id: "main", tabindex: -1 });
  }

  get isAllowed() {
    return this.#isAllowed;
  }

  /** Asks whether this view is for whoever is here; while it is shown, again and again. */
  async begin() {
    clearTimeout(this.#timer);
    try {
      this.#status = await this.#app.client.admin("GET", ["status"]);
      this.#isAllowed = true;
      this.#fault = "";
      if (this.#isShown) await this.#look();
    } catch (error) {
      const { status } = /** @type {any} */ (error);
      if (status === 401 || status === 403 || status === 404) {
        this.#isAllowed = false;
        return;
      }
      this.#fault = problemOf(error);
    } finally {
      this.#app.operatorChanged();
      if (this.#isShown) this.#show();
    }
    if (this.#isShown || !this.#isAllowed) this.#timer = setTimeout(() => this.begin(), EVERY);
  }

  async show() {
    this.#isShown = true;
    this.#show();
    await this.begin();
  }

  hide() {
    this.#isShown = false;
  }

  async #look() {
    const { client } = this.#app;
    const [history, tree, list] = await Promise.all([["history"], ["supervision"], ["connections"]].map((path) => client.admin("GET", path)));
    this.#samples = new Samples(history);
    this.#tree = tree;
    this.#connections = list.connections;
  }

  #show() {
    // Whoever is on a button here is not thrown out of it.
    if (this.element.contains(document.activeElement) && document.activeElement !== this.element && this.#status !== null && this.element.childElementCount > 2) {
      const { className } = /** @type {Element} */ (document.activeElement);
      this.#replace();
      /** @type {any} */ (this.element.querySelector(className ? `.${className.split(" ")[0]}` : "button"))?.focus();
    } else this.#replace();
  }

  #replace() {
    const head = h("header", { class: "head" }, h("a", { class: "back", href: "#/", "aria-label": "Back to the list" }, "‹"), h("h1", {}, "Server"), h("span", { class: "fill" }), this.#drain());
    const fault = this.#fault && h("p", { class: "fault", role: "alert" }, this.#fault);
    if (this.#status === null) return this.element.replaceChildren(head, fault || h("p", { class: "meta" }, "Asking the server"));
    const open = [.../** @type {any} */ (this.element.querySelectorAll("details[open]"))].map(({ dataset }) => dataset.name);
    const scroll = this.element.querySelector(".scroll")?.scrollTop ?? 0;
    const body = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Server" }, fault, this.#numbers(), this.#plots(), this.#streams(), this.#supervision());
    this.element.replaceChildren(head, body);
    body.scrollTop = scroll;
    for (const details of body.querySelectorAll("details")) if (open.includes(details.dataset.name)) details.open = true;
  }

  #drain() {
    if (this.#status === null) return "";
    const { draining } = this.#status;
    const act = (/** @type {string} */ method) => async () => {
      try {
        await this.#app.client.admin(method, ["drain"]);
        this.begin();
        return null;
      } catch (error) {
        return problemOf(error);
      }
    };
    if (draining) return button("End draining", () => act("DELETE")().then((problem) => problem && this.#app.toast(problem)), { class: "drain" });
    return button("Drain", () => dialog("Drain the server?", [h("p", {}, "It takes no new sessions and no new messages until you end it. Turns that run go on, streams stay open.")], "Drain", act("POST"), { danger: true }), { class: "drain" });
  }

  #numbers() {
    const { version, uptime_ms: uptime, sessions, streams, store, queued_messages: queued, draining } = this.#status;
    const states = Object.entries(sessions.by_state).map(([state, count]) => /** @type {[string, any]} */ ([words(state), count]));
    const one = (/** @type {string} */ name, /** @type {any} */ value) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value)));
    return h("section", { "aria-label": "Counts" }, h("h2", {}, "Now"),
      h("dl", { class: "numbers" }, ...states.map(([state, count]) => one(state, count)), one("live", sessions.live), one("wait for a place", sessions.waiting),
        one("queued messages", queued), one("streams", streams.open), one("in the background", streams.suspended), one("behind", streams.behind),
        one("largest lag", streams.max_lag), one("restarts", sessions.restarts), one("store", bytes(store.bytes)), one("free", bytes(store.free_bytes)),
        one("up", `${Math.floor(uptime / 3600_000)} h ${Math.floor(uptime / 60_000) % 60} min`), one("version", version), one("draining", draining ? "yes" : "no")));
  }

  #plots() {
    const plot = (/** @type {"events" | "lag" | "restarts"} */ what, /** @type {string} */ name) => {
      const { lines, last, max } = this.#samples.line(what);
      const label = `${name}: now ${last}, at most ${max} in the last hour`;
      return h("figure", {}, h("figcaption", {}, name, " ", h("span", { class: "meta" }, `now ${last} · max ${max}`)), chart(lines, label));
    };
    return h("section", { "aria-label": "The last hour" }, h("h2", {}, "The last hour"),
      h("div", { class: "plots" }, plot("events", "Events appended / s"), plot("lag", "Largest lag, events"), plot("restarts", "Restarts")));
  }

  #streams() {
    const rows = this.#connections.slice(0, 200).map(({ credential, peer, opened_at: opened, suspended, lag, bytes: sent, sessions }) =>
      h("tr", {}, h("td", {}, oneLine(credential, 40)), h("td", {}, peer ?? ""), h("td", {}, since(opened)), h("td", {}, String(sessions.length)), h("td", {}, String(lag)), h("td", {}, bytes(sent)), h("td", {}, suspended ? "background" : "open")));
    const heads = ["Credential", "Peer", "Open for", "Sessions", "Lag", "Sent", "State"].map((name) => h("th", { scope: "col" }, name));
    return h("section", { "aria-label": "Streams" }, h("h2", {}, "Streams"),
      h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Streams" }, h("table", {}, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows))));
  }

  #supervision() {
    return h("section", { "aria-label": "Supervision" }, h("h2", {}, "Supervision"), this.#tree === null ? "" : h("ul", { class: "tree" }, this.#node(this.#tree)));
  }

  /** @param {any} node */
  #node({ name, session_id: session, pid, state, failures, since: begun, last_failure: last, children = [] }) {
    const line = [h("span", { class: `badge ${state === "running" ? "idle" : state === "hanging" ? "bad" : "wait"}` }, state), " ", oneLine(name, 40),
      session && ` ${session.slice(0, 8)}`, pid && ` pid ${pid}`, " ",
      h("span", { class: "meta" }, begun && since(begun), failures > 0 && ` · ${failures} failures`, last && ` · last: ${oneLine(last.cause, 120)}`)].filter(Boolean);
    if (children.length === 0 && !session) return h("li", {}, ...line);
    const below = children.slice(0, 500).map((/** @type {any} */ child) => this.#node(child));
    // Within the line it would be a button in a button.
    if (session) below.unshift(h("li", {}, h("a", { href: `#/s/${session}` }, "Open the session")));
    const details = h("details", { "data-name": `${name}${session ?? ""}` }, h("summary", {}, ...line), h("ul", {}, ...below));
    details.open = name === "supervisor";
    return h("li", {}, details);
  }
}

/** @param {{x: number, y: number}[][]} lines @param {string} label */
function chart(lines, label) {
  const svg = document.createElementNS(SVG, "svg");
  const set = (/** @type {Element} */ element, /** @type {Record<string, string>} */ names) => Object.entries(names).forEach(([name, value]) => element.setAttribute(name, value));
  set(svg, { viewBox: "0 0 300 60", preserveAspectRatio: "none", role: "img", "aria-label": label });
  for (const points of lines) {
    const line = document.createElementNS(SVG, "polyline");
    set(line, { points: points.map(({ x, y }) => `${(x * 300).toFixed(1)},${(58 - y * 54).toFixed(1)}`).join(" ") });
    svg.append(line);
  }
  return svg;
}
