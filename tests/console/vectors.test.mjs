// The queue and the place against the vectors that every implementation runs: tests/data/outbox, tests/data/stream.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { refusal } from "../../src/http/console/client/error.js";
import { ClientError, Place, Queue, QueueError } from "../../src/http/console/seawall.js";

const folder = (name) => new URL(`../data/${name}/`, import.meta.url);
const vectors = (name) =>
  readdirSync(folder(name))
    .filter((file) => file.endsWith(".json"))
    .map((file) => JSON.parse(readFileSync(new URL(file, folder(name)), "utf8")));

function done(change) {
  try {
    change();
    return "ok";
  } catch (error) {
    if (error instanceof QueueError) return error.refusal;
    throw error;
  }
}

const message = (message_id, text) => ({ message_id, text });

function restored({ id, text, state }) {
  const [word, reason] = state.split(":");
  const entry = { message: message(id, text), state: word, kept: word === "uncertain" };
  return reason === undefined ? entry : { ...entry, reason, detail: "" };
}

function refused({ status, code, retry_after }) {
  const document = { type: "about:blank", title: "T", status, detail: "D", code };
  return refusal(status, JSON.stringify(document), retry_after === undefined ? undefined : retry_after * 1000);
}

const STEPS = {
  push: (queue, now, { id, text }) => done(() => queue.push(message(id, text))),
  push_many: (queue, now, { prefix, from, to }) =>
    done(() => {
      for (let number = from; number <= to; number += 1) queue.push(message(`${prefix}${number}`, "x"));
    }),
  restore: (queue, now, { entries }) => done(() => queue.restore(entries.map(restored))),
  next: (queue, now) => {
    const next = queue.next(now);
    return typeof next === "object" && "send" in next ? { send: next.send.message_id } : next;
  },
  receipt: (queue, now, { id, seq }) => queue.answered(now, id, seq, 0.5),
  refused: (queue, now, input) => queue.answered(now, input.id, refused(input), input.jitter),
  lost: (queue, now, { id, jitter }) => queue.answered(now, id, new ClientError("unreachable", "c"), jitter),
  kept: (queue, now, { id, seq }) => queue.heard({ kept: id, seq }),
  failed: (queue, now, { id, reason, uncertain }) => queue.heard({ failed: id, reason, uncertain }),
  signed_in: (queue) => queue.signedIn(),
  reachable: (queue) => queue.reachable(),
  retry: (queue, now, { id, fresh }) => done(() => queue.retry(id, fresh)),
  replace: (queue, now, { id, fresh, text }) => done(() => queue.replace(id, message(fresh, text))),
  discard: (queue, now, { id }) => done(() => queue.discard(id)),
};

function stateOf(queue, form) {
  if ("entries" in form) {
    const shown = ({ message, state, reason }) =>
      `${message.message_id} ${state === "failed" ? `failed:${reason}` : state}`;
    return { entries: queue.entries.map(shown) };
  }
  const counts = {};
  for (const { state } of queue.entries) counts[state] = (counts[state] ?? 0) + 1;
  return { counts };
}

const outboxes = vectors("outbox");
const streams = vectors("stream");

test("there are vectors", () => {
  assert.ok(outboxes.length >= 12 && streams.length >= 5);
});

for (const { name, scenario, steps } of outboxes) {
  test(`outbox, scenario ${scenario}: ${name}`, () => {
    // Every second run changes a copy instead, as an outbox does before it stores.
    for (const copies of [false, true]) {
      let queue = new Queue();
      for (const [index, { at, do: input, gives, then }] of steps.entries()) {
        if (copies) queue = queue.clone();
        const given = STEPS[input.type](queue, at, input);
        const where = `step ${index}: ${JSON.stringify(input)}`;
        if (gives !== undefined) assert.deepEqual(given, gives, where);
        if (then !== undefined) assert.deepEqual(stateOf(queue, then), then, where);
      }
    }
  });
}

for (const { name, scenario, begin, steps } of streams) {
  test(`stream, scenario ${scenario}: ${name}`, () => {
    const known = Object.entries(begin).filter(([, seq]) => seq !== null);
    const place = new Place({ sessions: Object.keys(begin), after: Object.fromEntries(known) });
    for (const [index, { frame, gives, cursor, token }] of steps.entries()) {
      const { type, session, id, ...data } = frame;
      const step = place.advance({ type, data: { session_id: session, ...data } }, id ?? "");
      const given = typeof step === "object" ? { hole: { after: step.hole.after, upto: step.hole.upto } } : step;
      const where = `step ${index}: ${JSON.stringify(frame)}`;
      assert.deepEqual(given, gives, where);
      if (cursor !== undefined) {
        const cursors = place.sessions.map((session) => [session, place.cursors.get(session) ?? null]);
        assert.deepEqual(Object.fromEntries(cursors), cursor, where);
      }
      if (token !== undefined) assert.equal(place.token, token, where);
    }
  });
}

test("nothing is left to follow when the last session is gone", () => {
  const place = new Place({ sessions: ["A"] });
  place.advance({ type: "gone", data: { session_id: "A" } }, "");
  assert.ok(place.isEmpty);
});
