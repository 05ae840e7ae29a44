// A session's events as the blocks that people read. Pure: events in, in any pages; blocks out, each under a key that
// stays and a revision that grows when it changes. What a block looks like is not known here.

import { words } from "./format.js";

/**
 * @typedef {object} Block
 * @property {string} key
 * @property {number} rev
 * @property {"user" | "message" | "thought" | "tool" | "plan" | "output" | "raw" | "ask" | "marker" | "gap"} kind
 * @property {number} seq of its first event that is here
 * @property {string} ts
 */

/** Events that change no block of their own. */
const SILENT = new Set(["turn.started", "session.titled", "interrupt.completed"]);

export class Transcript {
  /** Those that are here, ascending. @type {any[]} */
  events = [];
  /** @type {any[]} */
  blocks = [];
  /** All up to here was read, or is behind a gap. */
  head = 0;
  /** Open permissions and questions by id. @type {Map<string, any>} */
  asks = new Map();
  /** Whether a turn runs: what runs is at the end. */
  isRunning = false;
  /** The session was told to finish. */
  #isClosing = false;
  /** The agent was told to leave: its end is no failure. */
  #isLeaving = false;
  #rev = 0;
  /** The lowest seq that is stored. */
  #stored = 0;
  /** @type {Map<string, any>} */
  #byKey = new Map();
  /** @type {Map<string, any>} */
  #tools = new Map();
  /** @type {any} */
  #plan = null;

  /** The lowest seq that is here; 0: none. */
  get first() {
    return this.events.length > 0 ? this.events[0].seq : 0;
  }

  /** The next event of the stream. False: it was here. @param {any} event */
  add(event) {
    if (event.seq <= this.head) return false;
    this.#hole(event.seq);
    this.events.push(event);
    this.head = event.seq;
    this.#apply(event);
    return true;
  }

  /** The stream leaves out what is behind `after`, up to and with `upto`. @param {number} upto */
  skip(upto) {
    if (upto <= this.head) return;
    this.#hole(upto + 1);
    this.head = upto;
  }

  /** A page of history, wherever it belongs; also of what was left out. @param {any[]} page */
  insert(page) {
    const known = new Set(this.events.map(({ seq }) => seq));
    const fresh = page.filter(({ seq }) => !known.has(seq));
    if (fresh.length === 0) return;
    const events = [...this.events, ...fresh].sort((a, b) => a.seq - b.seq);
    const { head } = this;
    this.clear();
    for (const event of events) this.add(event);
    this.skip(head);
  }

  /** The log is another one than it was. */
  clear() {
    this.events = [];
    this.blocks = [];
    this.head = 0;
    this.asks.clear();
    this.isRunning = false;
    this.#isClosing = false;
    this.#isLeaving = false;
    this.#byKey.clear();
    this.#tools.clear();
    this.#plan = null;
  }

  /** What is below this is stored no more: a gap that ends there is for good. @param {number} first */
  stored(first) {
    this.#stored = first;
    for (const block of this.blocks) {
      if (block.kind === "gap" && !block.isLost && block.upto < first) this.#change(block.key, { isLost: true });
    }
  }

  /** Whether a message's event is here. @param {string} id */
  hasMessage(id) {
    return this.#byKey.has(`m:${id}`);
  }

  /** @param {number} next the seq that comes */
  #hole(next) {
    if (this.head === 0 || next <= this.head + 1) return;
    // Nothing that is open goes on over a gap.
    this.#plan = null;
    this.#isClosing = false;
    this.#isLeaving = false;
    this.#put({ kind: "gap", key: `gap:${next - 1}`, after: this.head, upto: next - 1, isLost: next - 1 < this.#stored }, { seq: this.head + 1, ts: "" });
  }

  /** @param {any} event */
  #apply(event) {
    const { type, data, seq } = event;
    switch (type) {
      case "user.message":
        return this.#put({ kind: "user", key: `m:${data.message_id}`, id: data.message_id, content: data.content, by: data.by, status: "queued" }, event);
      case "message.dispatched":
        return this.#change(`m:${data.message_id}`, { status: "dispatched" });
      case "message.failed":
        return this.#failed(event);
      case "turn.started":
        this.isRunning = true;
        this.#plan = null;
        return;
      case "turn.ended":
        return this.#turnEnded(event);
      case "agent.message":
        return this.#chunk("message", event);
      case "agent.thought":
        return this.#chunk("thought", event);
      case "agent.tool_call":
        return this.#tool(event, true);
      case "agent.tool_update":
        return this.#tool(event, false);
      case "agent.plan":
        return this.#planned(event);
      case "agent.output":
        return this.#output(event);
      case "agent.raw":
        return this.#put({ kind: "raw", key: `raw:${seq}`, value: data.raw }, event);
      case "permission.requested":
        return this.#asked(data.permission_id, "permission", event);
      case "question.requested":
        return this.#asked(data.question_id, "question", event);
      case "permission.resolved":
        return this.#settled(data.permission_id, data);
      case "question.resolved":
        return this.#settled(data.question_id, data);
      default:
        return SILENT.has(type) ? undefined : this.#marked(event);
    }
  }

  /** @param {object} block @param {{seq: number, ts: string}} event */
  #put(block, { seq, ts }) {
    const made = { ...block, seq, ts, rev: (this.#rev += 1) };
    const key = /** @type {any} */ (made).key;
    const before = this.#byKey.get(key);
    this.#byKey.set(key, made);
    if (before) this.blocks[this.blocks.indexOf(before)] = made;
    else this.blocks.push(made);
    return made;
  }

  /** @param {string} key @param {object} fields */
  #change(key, fields) {
    const block = this.#byKey.get(key);
    if (block) Object.assign(block, fields, { rev: (this.#rev += 1) });
    return block;
  }

  /** @param {any} event */
  #failed({ seq, ts, data }) {
    const status = data.uncertain ? "uncertain" : "failed";
    const known = this.#change(`m:${data.message_id}`, { status, reason: data.reason });
    // Its own event is on a page that is not here.
    if (!known) this.#marker(`A message ${data.uncertain ? "may or may not have run" : `failed: ${words(data.reason)}`}`, "bad", { seq, ts });
  }

  /** @param {any} event */
  #turnEnded({ seq, ts, data }) {
    this.isRunning = false;
    this.#plan = null;
    if (data.message_id) {
      const message = this.#byKey.get(`m:${data.message_id}`);
      if (message?.status === "dispatched") this.#change(message.key, { status: "done" });
    }
    if (data.stop_reason === "end_turn") return;
    const tone = data.stop_reason === "cancelled" ? "quiet" : "bad";
    this.#marker(`Turn ${words(data.stop_reason)}`, tone, { seq, ts });
  }

  /** @param {string} kind @param {any} event */
  #chunk(kind, event) {
    const { block_id: id, delta, content, final, truncated } = event.data;
    const text = content === undefined ? (delta ?? "") : contentText(content);
    const key = `b:${id}`;
    const known = this.#byKey.get(key);
    if (!known) {
      // An empty end of something on another page shows nothing.
      if (text !== "") this.#put({ kind, key, text, isOpen: !final, truncated }, event);
      return;
    }
    this.#change(key, { text: known.text + text, isOpen: !final, truncated: known.truncated || truncated });
  }

  /** @param {any} event @param {boolean} isCall */
  #tool(event, isCall) {
    const { tool_call_id: id, ...fields } = event.data;
    const known = this.#tools.get(id);
    // Agents count their calls anew in each turn: a call with a known id is another call.
    if (isCall || !known) {
      const key = `t:${event.seq}`;
      this.#tools.set(id, this.#put({ kind: "tool", key, id, ...toolFields(fields) }, event));
      return;
    }
    this.#change(known.key, toolFields(fields));
  }

  /** A turn has one plan, which changes. @param {any} event */
  #planned(event) {
    const { entries } = event.data;
    if (this.#plan) this.#change(this.#plan.key, { entries });
    else this.#plan = this.#put({ kind: "plan", key: `p:${event.seq}`, entries }, event);
  }

  /** Lines that follow each other are one block, up to a size. @param {any} event */
  #output(event) {
    const { stream, text, truncated } = event.data;
    const last = this.blocks[this.blocks.length - 1];
    if (last?.kind === "output" && last.stream === stream && last.text.length < 4000) {
      this.#change(last.key, { text: `${last.text}\n${text}`, truncated: last.truncated || truncated });
    } else this.#put({ kind: "output", key: `o:${event.seq}`, stream, text, truncated }, event);
  }

  /** @param {string} id @param {string} what @param {any} event */
  #asked(id, what, event) {
    const block = this.#put({ kind: "ask", key: `a:${id}`, id, what, ask: event.data, outcome: null }, event);
    this.asks.set(id, block);
  }

  /** @param {string} id @param {any} data */
  #settled(id, data) {
    this.asks.delete(id);
    const { outcome, by, option_id: option, answers } = data;
    this.#change(`a:${id}`, { outcome, by, option, answers });
  }

  /** @param {string} text @param {string} tone @param {{seq: number, ts: string}} event @param {string} [detail] */
  #marker(text, tone, event, detail) {
    this.#put({ kind: "marker", key: `k:${event.seq}`, text, tone, detail }, event);
  }

  /** @param {any} event */
  #marked(event) {
    const { type, data } = event;
    if (type === "session.state") this.#isClosing = data.to === "CLOSING";
    if (type === "transport.stopping") this.#isLeaving = true;
    if (type === "transport.exited" || (type === "session.state" && data.to === "ENDED")) this.isRunning = false;
    const marker = MARKERS[type]?.(data);
    if (type === "transport.exited" && this.#isLeaving) {
      this.#isLeaving = false;
      const text = this.#isClosing ? marker?.[0] ?? "" : "Agent parked: the next message starts it again";
      return this.#marker(text, "quiet", event, marker?.[2]);
    }
    if (marker) this.#marker(marker[0], marker[1] ?? "quiet", event, marker[2]);
  }
}

/** What people are told of what happens around the turns: text, tone, detail. @type {Record<string, (data: any) => string[] | undefined>} */
const MARKERS = {
  "session.state": ({ from, to, reason }) => {
    if (to === "ENDED") return [`Session ended: ${words(reason)}`, ["start_failed", "restart_limit", "error"].includes(reason) ? "bad" : "quiet"];
    if (from === null) return ["Session created"];
    if (from === "ENDED") return ["Session resumed"];
    return undefined;
  },
  "transport.started": ({ context }) => {
    if (context === "lost") return ["Agent started; it has forgotten what came before", "bad"];
    return context === "resumed" ? ["Agent started; it goes on where it was"] : ["Agent started"];
  },
  "transport.failed": ({ code, detail }) => [`Agent could not be started: ${words(code)}`, "bad", detail],
  "transport.exited": ({ exit_code: code, signal, stderr_tail: tail }) => {
    if (code === 0) return ["Agent left"];
    return [`Agent left: ${signal ? `signal ${signal}` : `code ${code ?? "unknown"}`}`, "bad", tail];
  },
  "transport.restarting": ({ attempt, delay_ms: delay }) => [`Agent is restarted (attempt ${attempt}, in ${(delay / 1000).toFixed(1)} s)`],
  "transport.gave_up": ({ attempt }) => [`Given up after ${attempt} restarts`, "bad"],
  "interrupt.requested": ({ by }) => [`Interrupted by ${by}`],
  "interrupt.failed": ({ reason, escalated_to: step }) => [`The agent did not obey the interrupt: ${words(reason)}${step === "none" ? "" : `; then ${words(step)}`}`, "bad"],
  "agent.inactive": () => ["The agent has been silent for long"],
};

/** Fields of a tool call that an update names; it leaves the others as they are. @param {any} fields */
function toolFields({ title, kind, status, content, locations, raw_input: input, raw_output: output }) {
  const named = Object.entries({ title, tool: kind, status, content, locations, input, output });
  return Object.fromEntries(named.filter(([, value]) => value !== undefined && value !== null));
}

/** A content block as text; what is no text is named. @param {any} block @returns {string} */
export function contentText(block) {
  if (typeof block === "string") return block;
  if (Array.isArray(block)) return block.map(contentText).join("\n");
  switch (block?.type) {
    case "text":
      return block.text ?? "";
    case "content":
      return contentText(block.content);
    case "resource_link":
      return `[${block.name ?? "file"}: ${block.uri ?? ""}]`;
    case "resource":
      return block.resource?.text ?? `[${block.resource?.uri ?? "resource"}]`;
    default:
      return `[${block?.type ?? "?"}]`;
  }
}
