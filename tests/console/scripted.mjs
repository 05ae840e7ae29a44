// A server that says what a test tells it to, and a clock that a test moves: for the client without a network.

import { Client } from "../../src/http/console/seawall.js";

/** A clock that stands still until it is moved. */
export class ManualClock {
  #now = 0;
  #timers = new Set();

  now() {
    return this.#now;
  }

  after(ms, then) {
    const timer = { at: this.#now + ms, then };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** When the next timer is due. */
  get next() {
    return Math.min(...[...this.#timers].map((timer) => timer.at));
  }

  async move(ms) {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const due = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#now = Math.max(this.#now, due.at);
      this.#timers.delete(due);
      due.then();
    }
    this.#now = end;
    await settled();
  }
}

/** All that can go on without a timer has gone on. */
export async function settled() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Answers in the order in which they are told; a request without an answer hangs. */
export class Server {
  requests = [];
  #answers = [];
  #waiting = [];

  constructor() {
    this.clock = new ManualClock();
    const fetch = (url, init) => this.#fetch(url, init);
    this.client = new Client({ url: "http://127.0.0.1:1", fetch, clock: this.clock, jitter: () => 1 });
  }

  answer(status, body = "", headers = {}) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    this.#give(() => new Response(status === 204 ? null : text, { status, headers }));
  }

  fail() {
    this.#give(() => {
      throw new TypeError("fetch failed");
    });
  }

  /** A stream that is written to by the test. */
  stream() {
    let control;
    const body = new ReadableStream({ start: (given) => (control = given) });
    this.#give((signal) => {
      signal.addEventListener("abort", () => {
        try {
          control.error(new Error("aborted"));
        } catch {
          // It has ended already.
        }
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    });
    const encoder = new TextEncoder();
    return {
      frame: (event, data, id) => {
        const name = event === "" ? "" : `event: ${event}\n`;
        const token = id === undefined ? "" : `id: ${id}\n`;
        control.enqueue(encoder.encode(`${name}data: ${JSON.stringify(data)}\n${token}\n`));
      },
      welcome(connection = "c1") {
        this.frame("welcome", { protocol: 1, connection_id: connection, heartbeat_ms: 20_000, draining: false });
      },
      event(seq, session = "A") {
        this.frame("", event(seq, session), `t${seq}`);
      },
      cut: () => control.error(new Error("cut")),
      end: () => control.close(),
    };
  }

  #give(answer) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(answer);
    else this.#answers.push(answer);
  }

  async #fetch(url, init) {
    this.requests.push({ url: url.replace("http://127.0.0.1:1", ""), ...init });
    const answer =
      this.#answers.shift() ??
      (await new Promise((resolve, reject) => {
        this.#waiting.push(resolve);
        init.signal?.addEventListener("abort", () => {
          this.#waiting = this.#waiting.filter((waiting) => waiting !== resolve);
          reject(new Error("aborted"));
        });
      }));
    return answer(init.signal);
  }
}

export function event(seq, session = "A") {
  return { session_id: session, seq, run: 1, ts: "2026-11-23T08:20:01.123Z", type: "interrupt.requested", data: { by: "me" } };
}

export function problem(status, code, detail = "no") {
  return { type: "about:blank", title: "T", status, detail, code };
}
