// The stream over connections that break: what is shown, from where it comes back, and when.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientError, Decoder } from "../../src/http/console/seawall.js";
import { Server, event, problem, settled } from "./scripted.mjs";

async function seqs(stream, count) {
  const seen = [];
  while (seen.length < count) {
    const item = await stream.next();
    if (item.type === "event") seen.push(item.data.seq);
  }
  return seen;
}

const last = (server) => server.requests[server.requests.length - 1];

test("events come in order, and a cut comes back from the token", async () => {
  const server = new Server();
  const stream = server.client.stream({ sessions: ["A"], after: { A: 4 } });
  let link = server.stream();
  link.welcome();
  link.event(5);
  link.event(6);
  link.event(5);
  assert.deepEqual(await seqs(stream, 2), [5, 6]);
  assert.match(last(server).url, /after=A%3A4/);
  const lost = stream.next();
  link.cut();
  const item = await lost;
  assert.equal(item.type, "lost");
  assert.equal(item.data.retry_at, 1000);
  link = server.stream();
  const more = seqs(stream, 2);
  await server.clock.move(999);
  assert.equal(server.requests.length, 1);
  await server.clock.move(1);
  assert.equal(last(server).headers["last-event-id"], "t6");
  assert.doesNotMatch(last(server).url, /after/);
  link.welcome("c2");
  link.event(6);
  link.event(7);
  link.event(8);
  assert.deepEqual(await more, [7, 8]);
});

test("a hole is filled from history before the event behind it is shown", async () => {
  const server = new Server();
  const stream = server.client.stream({ sessions: ["A"], after: { A: 1 } });
  const link = server.stream();
  link.welcome();
  link.event(2);
  link.event(6);
  server.answer(200, { events: [event(3), event(4)], has_more: true });
  server.answer(200, { events: [event(5), event(6)], has_more: false });
  assert.deepEqual(await seqs(stream, 5), [2, 3, 4, 5, 6]);
  assert.equal(stream.token, "t6");
  assert.match(last(server).url, /events\?after=4/);
});

test("a hole that history cannot fill is a lost connection, and nothing behind it is shown", async () => {
  const server = new Server();
  const stream = server.client.stream({ sessions: ["A"], after: { A: 1 } });
  const link = server.stream();
  link.event(4);
  server.answer(200, { events: [event(2)], has_more: false });
  assert.deepEqual(await seqs(stream, 1), [2]);
  const item = await stream.next();
  assert.equal(item.type, "lost");
  assert.match(item.data.cause.message, /history does not have what is between/);
});

test("silence of two and a half heartbeats is a lost connection", async () => {
  const server = new Server();
  const stream = server.client.stream({ list: true });
  server.stream().welcome();
  assert.equal((await stream.next()).type, "welcome");
  const next = stream.next();
  await server.clock.move(50_000);
  const item = await next;
  assert.equal(item.type, "lost");
  assert.equal(item.data.cause.kind, "timed_out");
});

test("delays grow while nothing but the welcome comes, and a 429's wish is obeyed", async () => {
  const server = new Server();
  const stream = server.client.stream({ list: true });
  const delays = [];
  for (let turn = 0; turn < 3; turn += 1) {
    server.fail();
    const item = await stream.next();
    delays.push(item.data.retry_in);
    server.clock.move(item.data.retry_in);
  }
  assert.deepEqual(delays, [1000, 2000, 4000]);
  await settled();
  server.answer(429, problem(429, "too_many_streams"), { "retry-after": "60" });
  assert.equal((await stream.next()).data.retry_in, 60_000);
  // Another way to the server does not hurry what the server asked for.
  stream.reachable();
  const next = stream.next();
  await server.clock.move(59_999);
  assert.equal(server.requests.length, 4);
  await server.clock.move(1);
  assert.equal(server.requests.length, 5);
  stream.close();
  assert.equal(await next, null);
});

test("a refusal ends it, and so does a bye without a way back", async () => {
  const server = new Server();
  const stream = server.client.stream({ sessions: ["A"] });
  server.answer(401, problem(401, "unauthorized"));
  await assert.rejects(stream.next(), (error) => error instanceof ClientError && error.isSignedOut);
  assert.equal(await stream.next(), null);

  const dismissed = server.client.stream({ sessions: ["A"] });
  const link = server.stream();
  link.frame("bye", { reason: "deleted", retry_ms: null });
  assert.equal((await dismissed.next()).type, "bye");
  assert.equal(await dismissed.next(), null);
});

test("after a bye it comes back in the time that was named, without a word of loss", async () => {
  const server = new Server();
  const stream = server.client.stream({ sessions: ["A"] });
  server.stream().frame("bye", { reason: "shutdown", retry_ms: 3000 });
  assert.equal((await stream.next()).type, "bye");
  const next = stream.next();
  await settled();
  assert.equal(server.clock.next, 3000);
  server.stream().welcome("c2");
  await server.clock.move(3000);
  assert.equal((await next).data.connection_id, "c2");
});

test("in the background silence is no loss, and it comes back from where it was", async () => {
  const server = new Server();
  const stream = server.client.stream({ sessions: ["A"], after: { A: 0 } });
  const link = server.stream();
  link.welcome();
  link.event(1);
  assert.deepEqual(await seqs(stream, 1), [1]);
  const next = seqs(stream, 1);
  await settled();
  server.answer(204);
  stream.suspend();
  await server.clock.move(100_000);
  assert.match(last(server).url, /connections\/c1\/suspend/);
  assert.equal(last(server).keepalive, true);
  assert.equal(server.requests.length, 2);
  const again = server.stream();
  stream.resume();
  await settled();
  assert.equal(last(server).headers["last-event-id"], "t1");
  again.welcome("c2");
  again.event(2);
  assert.deepEqual(await next, [2]);
});

test("a stream whose sessions are all gone is over", async () => {
  const server = new Server();
  const stream = server.client.stream({ sessions: ["A"] });
  const link = server.stream();
  link.frame("gone", { session_id: "A", reason: "deleted" });
  assert.equal((await stream.next()).type, "gone");
  link.end();
  assert.equal((await stream.next()).type, "lost");
  const next = stream.next();
  await server.clock.move(60_000);
  assert.equal(await next, null);
});

test("bytes in any split are the same events", () => {
  const text = ": hi\nretry: 5\nevent: gap\ndata: {\"a\":\"ü\"}\r\nid: t1\r\n\r\ndata\n\ndata:  x:y\rdata: z\r\r: bye\nid: t2\n\nevent: ping\n\n";
  const bytes = new TextEncoder().encode(text);
  const read = (size) => {
    const decoder = new Decoder(1000);
    const events = [];
    for (let at = 0; at < bytes.length; at += size) {
      decoder.feed(bytes.subarray(at, at + size));
      for (let event = decoder.next(); event; event = decoder.next()) events.push(event);
    }
    return events;
  };
  const whole = read(bytes.length);
  assert.deepEqual(whole, [
    { event: "gap", data: '{"a":"ü"}', id: "t1", retry: 5 },
    { event: "message", data: "", id: "t1" },
    { event: "message", data: " x:y\nz", id: "t1" },
  ]);
  for (let size = 1; size < 20; size += 1) assert.deepEqual(read(size), whole, `in ${size}`);
  assert.throws(() => new Decoder(10).feed(new TextEncoder().encode("data: 12345678901")), /over 10/);
});
