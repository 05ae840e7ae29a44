// The outbox in time: what is posted when, what is stored, and what survives.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox, TabStorage } from "../../src/http/console/seawall.js";
import { ManualClock, Server, problem, settled } from "./scripted.mjs";

const message = (message_id, text = "x") => ({ message_id, text });
const receipt = (seq) => ({ accepted: true, session_id: "S", message_id: "m", seq, duplicate: false });
const states = (outbox) => outbox.state.entries.map(({ message, state }) => `${message.message_id} ${state}`);

class MemoryStore {
  saved = [];
  load() {
    return structuredClone(this.saved);
  }
  save(entries) {
    if (this.isFull) throw new Error("full");
    this.saved = structuredClone(entries);
  }
}

test("messages go one at a time, without any stream", async () => {
  const server = new Server();
  const outbox = new Outbox(server.client, "S");
  outbox.push(message("a"));
  outbox.push(message("b"));
  await settled();
  assert.equal(server.requests.length, 1);
  server.answer(202, receipt(5));
  await settled();
  assert.deepEqual(server.requests.map(({ body }) => JSON.parse(body).message_id), ["a", "b"]);
  server.answer(202, receipt(6));
  await settled();
  assert.deepEqual(states(outbox), ["a accepted", "b accepted"]);
});

// Scenarios 49 and 51.
test("a hung reply, a malformed 2xx and no connection are tried again by timer with the same body", async () => {
  const server = new Server();
  const outbox = new Outbox(server.client, "S");
  outbox.push(message("a", "once"));
  await server.clock.move(15_000);
  server.answer(200, "what?");
  await server.clock.move(250);
  server.fail();
  await server.clock.move(500);
  server.answer(202, { accepted: true });
  await server.clock.move(1000);
  assert.equal(outbox.state.retryAt, server.clock.now() + 2000);
  server.answer(202, receipt(5));
  await server.clock.move(2000);
  assert.equal(server.requests.length, 5);
  assert.equal(new Set(server.requests.map(({ body }) => body)).size, 1);
  assert.deepEqual(states(outbox), ["a accepted"]);
});

test("what is not stored is not taken", () => {
  const server = new Server();
  const store = new MemoryStore();
  const outbox = new Outbox(server.client, "S", store);
  outbox.push(message("a"));
  store.isFull = true;
  assert.throws(() => outbox.push(message("b")), /full/);
  assert.deepEqual(states(outbox), ["a pending"]);
});

test("the store holds what the server does not have, and is empty in the end", async () => {
  const server = new Server();
  const store = new MemoryStore();
  const outbox = new Outbox(server.client, "S", store);
  outbox.push(message("a"));
  outbox.push(message("b"));
  assert.deepEqual(store.saved.map((entry) => entry.message.message_id), ["a", "b"]);
  server.answer(202, receipt(5));
  await settled();
  assert.deepEqual(store.saved.map((entry) => entry.message.message_id), ["b"]);
  outbox.close();

  const next = new Server();
  const again = new Outbox(next.client, "S", store);
  await settled();
  assert.equal(JSON.parse(next.requests[0].body).message_id, "b");
  again.heard({ type: "user.message", seq: 6, data: { message_id: "b" } });
  assert.deepEqual(states(again), ["b accepted"]);
  assert.deepEqual(store.saved, []);
  assert.ok(next.requests[0].signal.aborted, "its answer is not waited for");
});

test("a store that fails later is told, and costs nothing", async () => {
  const server = new Server();
  const store = new MemoryStore();
  const outbox = new Outbox(server.client, "S", store);
  outbox.push(message("a"));
  store.isFull = true;
  server.answer(202, receipt(1));
  await settled();
  assert.match(outbox.state.fault.message, /full/);
  assert.deepEqual(states(outbox), ["a accepted"]);
});

// Scenario 50.
test("a 401 halts it until a login, any other refusal fails the message alone", async () => {
  const server = new Server();
  const outbox = new Outbox(server.client, "S");
  outbox.push(message("a"));
  outbox.push(message("b"));
  server.answer(401, problem(401, "unauthorized"));
  await settled();
  assert.ok(outbox.state.signedOut);
  server.answer(413, problem(413, "too_large"));
  server.answer(202, receipt(2));
  outbox.signedIn();
  await settled();
  assert.deepEqual(states(outbox), ["a failed", "b accepted"]);
  assert.equal(outbox.state.entries[0].reason, "too_large");
});

// -- storage of tabs

class FakeStorage {
  #map = new Map();
  get length() {
    return this.#map.size;
  }
  key(index) {
    return [...this.#map.keys()][index] ?? null;
  }
  getItem(key) {
    return this.#map.get(key) ?? null;
  }
  setItem(key, value) {
    this.#map.set(key, value);
  }
  removeItem(key) {
    this.#map.delete(key);
  }
}

/** Exclusive locks as a browser has them. */
class FakeLocks {
  #held = new Map();
  async request(name, options, callback = options) {
    if (options.ifAvailable && this.#held.has(name)) return callback(null);
    while (this.#held.has(name)) await this.#held.get(name);
    const run = (async () => callback({ name }))();
    this.#held.set(name, run.catch(() => {}));
    try {
      return await run;
    } finally {
      this.#held.delete(name);
    }
  }
}

function browser() {
  const [local, locks, clock] = [new FakeStorage(), new FakeLocks(), new ManualClock()];
  const tab = async (session = new FakeStorage()) => {
    const storage = new TabStorage({ local, locks, clock, tab: session });
    await storage.ready;
    return storage;
  };
  return { local, clock, tab };
}

const pending = (id) => ({ message: message(id), state: "pending" });

async function adopted(storage) {
  const seen = [];
  storage.adopt((session, entries) => {
    for (const entry of entries) seen.push(`${session} ${entry.message.message_id}`);
    storage.store(session).save([...storage.store(session).load(), ...entries]);
    return true;
  });
  await settled();
  return seen;
}

test("a page takes what it held before it was reloaded, at once", async () => {
  const { tab } = browser();
  const session = new FakeStorage();
  const first = await tab(session);
  first.store("S").save([pending("a"), pending("b")]);
  first.close();
  await settled();
  const second = await tab(session);
  assert.deepEqual(await adopted(second), ["S a", "S b"]);
});

test("a page that lives is not disturbed; when it closes, exactly one other takes what it left", async () => {
  const { tab, clock, local } = browser();
  const one = await tab();
  const two = await tab();
  const three = await tab();
  one.store("S").save([pending("a")]);
  one.store("T").save([pending("b")]);
  two.store("S").save([pending("c")]);
  const seen = [await adopted(two), await adopted(three)];
  await clock.move(60_000);
  assert.deepEqual(seen, [[], []]);
  one.close();
  await clock.move(2_999);
  assert.deepEqual(seen.flat(), [], "a reload has its time");
  await clock.move(1);
  assert.deepEqual(seen.flat().sort(), ["S a", "T b"]);
  await clock.move(60_000);
  assert.deepEqual(seen.flat().sort(), ["S a", "T b"]);
  const held = Array.from({ length: local.length }, (_, index) => local.getItem(local.key(index)));
  const ids = held.flatMap((text) => JSON.parse(text).entries.map((entry) => entry.message.message_id));
  assert.deepEqual(ids.sort(), ["a", "b", "c"]);
});

test("a reload within its time goes before every other page", async () => {
  const { tab, clock } = browser();
  const session = new FakeStorage();
  const one = await tab(session);
  one.store("S").save([pending("a")]);
  const two = await tab();
  const others = await adopted(two);
  one.close();
  await clock.move(1000);
  const reloaded = await tab(session);
  assert.deepEqual(await adopted(reloaded), ["S a"]);
  await clock.move(60_000);
  assert.deepEqual(others, []);
});

test("what cannot be adopted or read is left where it is", async () => {
  const { tab, clock, local } = browser();
  const one = await tab();
  one.store("S").save([pending("a")]);
  one.close();
  local.setItem("seawall.outbox.old.S", '{"version":2,"entries":[]}');
  local.setItem("seawall.outbox.older.S", "nonsense");
  const [two, three] = [await tab(), await tab()];
  two.adopt(() => {
    throw new Error("no room");
  });
  three.adopt(() => false);
  await clock.move(10_000);
  assert.equal(local.length, 3);
});

test("two pages that opened from one do not take each other's messages", async () => {
  const { tab, clock } = browser();
  const session = new FakeStorage();
  const one = await tab(session);
  one.store("S").save([pending("a")]);
  // A duplicated tab begins with a copy of the other one's session.
  const copy = new FakeStorage();
  copy.setItem("seawall.tab", session.getItem("seawall.tab"));
  const two = await tab(copy);
  const seen = await adopted(two);
  await clock.move(60_000);
  assert.deepEqual(seen, []);
});
