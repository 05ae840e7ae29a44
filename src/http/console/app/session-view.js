// One session: what is above its transcript, the transcript, and what waits below it.

import { makeBlock, showBlock } from "./blocks.js";
import { Composer } from "./composer.js";
import { Condition } from "./condition.js";
import { dialog, field, problemOf } from "./dialogs.js";
import { button, h, setText } from "./dom.js";
import { standing, words } from "./format.js";
import { pendingMessages } from "./pending.js";
import { Scroller } from "./scroller.js";
import { clean, oneLine } from "./text.js";
import { Transcript } from "./transcript.js";

/** Events of the page that is shown first, and of those that are loaded when somebody scrolls. */
const FIRST_PAGE = 200;
const OLDER_PAGE = 500;
/** The first page is asked for again after so long, or as soon as the server is heard of. */
const AGAIN = 2000;

export class SessionView {
  #app;
  #id;
  #transcript = new Transcript();
  /** Events that came before the first page did. @type {any[] | null} */
  #early = [];
  /** Where the stream began; what is between the first page and that is a gap. */
  #begun = 0;
  #first = Infinity;
  #isLoading = false;
  #isClosed = false;
  #isRaw = false;
  #isScheduled = false;
  #wake = () => {};
  #condition = new Condition();
  #head;
  #title;
  #badge;
  #resume;
  #toBottom;
  #note;
  #tail;
  #pending;
  #asks;
  #working;
  #scroller;
  #composer;

  /** @param {any} app @param {string} id */
  constructor(app, id) {
    this.#app = app;
    this.#id = id;
    const outbox = app.outboxes.of(id);
    this.#composer = new Composer({
      session: id,
      push: (message) => this.#sent(() => outbox.push(message)),
      replace: (old, message) => this.#sent(() => outbox.replace(old, message)),
      interrupt: () => this.#ask("interrupt", () => app.client.interrupt(id)),
      stop: () => this.#ask("stop", () => app.client.stop(id)),
      fault: (text) => app.toast(text),
    });
    this.#title = h("h1", {});
    this.#badge = h("span", { class: "badge" });
    this.#resume = button("Resume", () => this.#ask("resume", () => app.client.resume(id)), { hidden: true });
    const raw = button("Raw events", () => this.#toggleRaw(raw), { "aria-pressed": "false", title: "The events as they are stored" });
    const more = h("div", { class: "menu", id: "more", popover: "auto" }, raw, button("Rename", () => this.#rename()), button("Delete", () => this.#delete(), { class: "danger" }));
    more.addEventListener("click", () => more.hidePopover());
    this.#head = h("header", { class: "head" },
      h("a", { class: "back", href: "#/", "aria-label": "Back to the list" }, "‹"), this.#title, this.#badge, h("span", { class: "fill" }),
      this.#resume, h("button", { type: "button", popovertarget: "more" }, "More"), more);
    this.#note = h("p", { class: "banner", hidden: true, role: "status" });
    this.#pending = h("div", { class: "outbox", role: "group", "aria-label": "Messages on their way" });
    this.#asks = h("div", { role: "group", "aria-label": "Open requests" });
    this.#working = h("div", { class: "working", hidden: true }, h("span", { class: "dots", "aria-hidden": "true" }), "working");
    this.#tail = h("div", { class: "tail" }, this.#asks, this.#working, this.#pending);
    this.#toBottom = button("↓ Newest", () => this.#scroller.toBottom(), { class: "bottom", hidden: true });
    this.#scroller = this.#makeScroller();
    this.element = h("main", { class: "session", id: "main", tabindex: -1 }, this.#head, this.#note,
      h("div", { class: "over" }, this.#scroller.element, this.#toBottom), this.#composer.element);
    this.#scroller.element.addEventListener("scroll", () => (this.#toBottom.hidden = this.#scroller.isPinned), { passive: true });
    this.#load();
    this.update();
  }

  get id() {
    return this.#id;
  }

  focus() {
    this.#composer.focus();
  }

  close() {
    this.#isClosed = true;
    this.#wake();
    this.#scroller.close();
  }

  /** One item of the stream. @param {any} item */
  item({ type, data }) {
    if (type === "welcome") this.#wake();
    if (data?.session_id !== this.#id) return;
    if (type === "event") this.#event(data);
    else if (type === "snapshot") this.#snapshot(data);
    else if (type === "gap") this.#gap(data);
    else if (type === "gone") this.#gone(data.reason);
  }

  /** The list, or an outbox, has changed. */
  update() {
    if (this.#isScheduled || this.#isClosed) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      if (!this.#isClosed) this.#show();
    });
  }

  #makeScroller() {
    const acts = this.#acts();
    const make = (/** @type {any} */ item) => (item.kind === "event" ? rawEvent(item.event) : makeBlock(item, acts));
    return new Scroller({
      label: "Transcript", make, tail: this.#tail,
      refresh: (element, item) => item.kind !== "event" && showBlock(element, item, acts),
      onTop: () => this.#older(),
      onShown: (items) => {
        const gap = items.find(({ kind, isLost }) => kind === "gap" && !isLost);
        if (gap) this.#fill(gap);
      },
    });
  }

  /** What blocks can be told to do. @returns {import("./blocks.js").Acts} */
  #acts() {
    return {
      withdraw: (/** @type {string} */ id) => this.#ask("withdraw", () => this.#app.client.withdraw(this.#id, id)),
      again: (/** @type {string} */ text) => this.#try(() => this.#app.outboxes.of(this.#id).push({ message_id: this.#app.freshId(), text })),
      edit: (/** @type {string} */ text) => this.#composer.edit(text),
      load: (/** @type {any} */ gap) => this.#fill(gap),
      answer: (/** @type {any} */ block, /** @type {any} */ answer) => this.#answer(block, answer),
    };
  }

  /** The newest page, until it is there. */
  async #load() {
    while (!this.#isClosed && this.#early !== null) {
      try {
        const page = await this.#app.client.events(this.#id, { limit: FIRST_PAGE });
        if (this.#isClosed) return;
        this.#insert(page);
        for (const event of page.events) this.#app.outboxes.heard(event);
        const early = this.#early ?? [];
        this.#early = null;
        this.#transcript.skip(this.#begun);
        for (const event of early) this.#transcript.add(event);
        this.#told("");
        this.#changed();
        // Not in the next frame but in this one: somebody waits for it.
        this.#show();
      } catch (error) {
        if (this.#isClosed) return;
        const cause = /** @type {any} */ (error);
        if (!cause.isTransient) {
          if (cause.status === 404) this.#gone("unknown");
          else this.#app.failed(error);
          if (!cause.isSignedOut) return;
        }
        this.#told("Not loaded yet: there is no connection. What you send waits here and goes as soon as there is one.");
        await new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
          const timer = setTimeout(resolve, AGAIN);
          this.#wake = () => (clearTimeout(timer), resolve());
        });
      }
    }
  }

  /** @param {any} event */
  #event(event) {
    this.#condition.event(event);
    if (this.#early !== null) this.#early.push(event);
    else if (this.#transcript.add(event)) this.#tell(event);
    this.#changed();
  }

  /** To those who do not see it. @param {any} event */
  #tell({ type, data }) {
    const say = (/** @type {string} */ text) => this.#app.announce(text);
    if (type === "permission.requested" || type === "question.requested") say("The agent needs an answer");
    else if (type === "turn.ended") say(`The turn has ended: ${words(data.stop_reason)}. ${this.#lastWords()}`);
    else if (type === "message.failed") say(data.uncertain ? "A message may or may not have run" : "A message has failed");
    else if (type === "interrupt.failed") say("The interrupt has failed");
  }

  /** The session as it is, said before anything live. @param {any} snapshot */
  #snapshot(snapshot) {
    this.#condition.snapshot(snapshot);
    this.#skip(snapshot.head_seq);
    this.#changed();
  }

  /** @param {any} gap */
  #gap({ after, reason, resume_at: upto }) {
    // What is here is of another log, or of one that has lost its end.
    if (after === null || reason === "cursor_ahead") {
      this.#transcript.clear();
      if (this.#early === null) {
        this.#early = [];
        this.#load();
      }
    } else this.#skip(upto);
    this.#changed();
  }

  /** The stream goes on behind this; what is not here up to there is a gap. @param {number} upto */
  #skip(upto) {
    this.#begun = upto;
    if (this.#early === null) this.#transcript.skip(upto);
  }

  /** @param {string} reason */
  #gone(reason) {
    this.#told(reason === "deleted" ? "This session was deleted." : "There is no such session, or you may not see it.");
    this.#composer.element.hidden = true;
  }

  #changed() {
    const { isKnown, state, client_state, title } = this.#condition;
    if (isKnown) this.#app.sessions.patch(this.#id, { state, client_state, title });
    this.update();
    this.#app.listChanged();
  }

  #show() {
    const condition = this.#condition;
    const listed = this.#app.sessions.get(this.#id);
    if (listed && !condition.isKnown) condition.begin(listed);
    const { state, client_state: client, title, agent } = condition;
    setText(this.#title, oneLine(title) || `${oneLine(agent, 40)} ${this.#id.slice(0, 8)}`);
    const { word, tone } = condition.isKnown ? standing(condition) : { word: "", tone: "off" };
    setText(this.#badge, word);
    this.#badge.className = `badge ${tone}`;
    this.#resume.hidden = state !== "ENDED";
    this.#working.hidden = client !== "running";
    this.#composer.show({ isRunning: client === "running" || client === "requires_action", isEnded: state === "ENDED" });
    this.#showTail();
    const items = this.#isRaw ? this.#transcript.events.map((event) => ({ kind: "event", key: `e:${event.seq}`, rev: 0, event })) : [...this.#transcript.blocks];
    this.#scroller.set(items);
    if (document.visibilityState === "visible") this.#app.seen.read(this.#id, this.#transcript.head);
  }

  #showTail() {
    const outbox = this.#app.outboxes.get(this.#id);
    const acts = {
      retry: (/** @type {string} */ id) => this.#try(() => outbox.retry(id, this.#app.freshId())),
      edit: (/** @type {string} */ id, /** @type {string} */ text) => this.#composer.edit(text, id),
      discard: (/** @type {string} */ id) => this.#try(() => outbox.discard(id)),
    };
    const fault = outbox?.state.fault;
    this.#pending.replaceChildren(...pendingMessages(outbox, this.#transcript, acts), ...(fault ? [h("p", { class: "fault" }, clean(fault.message))] : []));
    const missing = this.#early === null ? [...this.#condition.asks.values()].filter(({ id }) => !this.#transcript.asks.has(id)) : [];
    for (const child of [...this.#asks.children]) if (!missing.some(({ key }) => key === child.dataset.key)) child.remove();
    for (const block of missing) {
      if ([...this.#asks.children].some((child) => child.dataset.key === block.key)) continue;
      const element = makeBlock(block, this.#acts());
      element.dataset.key = block.key;
      this.#asks.append(element);
    }
  }

  /** @param {{events: any[], first_seq: number}} page */
  #insert({ events, first_seq: first }) {
    this.#first = first;
    this.#transcript.stored(first);
    this.#transcript.insert(events);
  }

  async #older() {
    const { first } = this.#transcript;
    if (this.#isLoading || first <= this.#first || first <= 1) return;
    await this.#page({ before: first, limit: OLDER_PAGE });
  }

  /** What the stream left out, from its end on: that is what is read first. @param {any} gap */
  async #fill({ after, upto }) {
    if (this.#isLoading) return;
    await this.#page({ before: upto + 1, limit: Math.min(OLDER_PAGE, upto - after) });
  }

  /** @param {{before: number, limit: number}} query */
  async #page(query) {
    this.#isLoading = true;
    try {
      const page = await this.#app.client.events(this.#id, query);
      this.#insert(page);
      this.update();
      this.#isLoading = false;
    } catch {
      // The indicator tells of the connection; the next scrolling asks again, but not at once.
      setTimeout(() => (this.#isLoading = false), AGAIN);
    }
  }

  /** @param {any} block @param {any} answer */
  async #answer({ what, id }, answer) {
    const { client } = this.#app;
    try {
      await (what === "permission" ? client.answerPermission(this.#id, id, answer) : client.answerQuestion(this.#id, id, answer));
      return null;
    } catch (error) {
      const { code, problem } = /** @type {any} */ (error);
      if (code === "permission_closed") return `Answered already${problem?.by ? ` by ${oneLine(problem.by, 40)}` : ""}.`;
      return problemOf(error);
    }
  }

  /** Asks once; a failure is told and never tried again by itself. @param {string} what @param {() => Promise<any>} call */
  async #ask(what, call) {
    try {
      const answer = await call();
      if (what === "interrupt" && answer?.requested === false) this.#app.toast("There is nothing to interrupt.");
    } catch (error) {
      this.#app.failed(error, `The ${what} has failed: `);
    }
  }

  /** @param {() => void} change */
  #try(change) {
    try {
      this.#sent(change);
    } catch (error) {
      this.#app.toast(problemOf(error));
    }
  }

  /** @param {() => void} change */
  #sent(change) {
    change();
    this.#scroller.toBottom();
    this.update();
  }

  #rename() {
    const content = [field("Title", { name: "title", maxlength: 200, value: this.#condition.title ?? "" })];
    dialog("Rename the session", content, "Rename", async (fields) => {
      try {
        const renamed = await this.#app.client.rename(this.#id, String(fields.get("title")).trim() || null);
        this.#condition.title = renamed.title;
        this.#changed();
        return null;
      } catch (error) {
        return problemOf(error);
      }
    });
  }

  #delete() {
    const content = [h("p", {}, "The agent is stopped, and all that was said is gone for good.")];
    const act = async () => {
      try {
        await this.#app.client.deleteSession(this.#id);
        this.#app.deleted(this.#id);
        return null;
      } catch (error) {
        return problemOf(error);
      }
    };
    dialog("Delete the session?", content, "Delete", act, { danger: true });
  }

  /** @param {HTMLElement} toggle */
  #toggleRaw(toggle) {
    this.#isRaw = !this.#isRaw;
    toggle.setAttribute("aria-pressed", String(this.#isRaw));
    this.update();
  }

  #lastWords() {
    const last = this.#transcript.blocks.findLast((block) => block.kind === "message");
    return last ? oneLine(last.text, 300) : "";
  }

  /** @param {string} text */
  #told(text) {
    setText(this.#note, text);
    this.#note.hidden = text === "";
  }
}

/** @param {any} event */
function rawEvent(event) {
  const text = JSON.stringify(event);
  return h("article", { class: "block event", "aria-label": `Event ${event.seq}` }, h("code", {}, clean(text.length > 5000 ? `${text.slice(0, 5000)}…` : text)));
}
