// The client in Node.js against the real server, over a network that is cut again and again and a server that is killed:
// it has every event of the log once and in order, and every message was taken once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Client, Outbox } from "../../src/http/console/seawall.js";
import { Network, Server, eventually } from "./browser/support.mjs";

let server;
before(async () => (server = await Server.start("[streams]\nmax_replay_gap = 100000\n")));
after(() => server?.end());

const session = (events, id) => events.filter((event) => event.session_id === id);

test("three sessions on one stream are whole over twenty cuts and a kill", async () => {
  const network = await Network.to(server);
  const client = new Client({ url: network.url, token: server.token });
  const ids = await Promise.all([1, 2, 3].map(() => server.create()));
  for (const id of ids) await server.send(id, "slow 100000 10");
  const stream = client.stream({ sessions: ids, after: Object.fromEntries(ids.map((id) => [id, 0])) });
  const outbox = new Outbox(client, ids[0]);
  const seen = [];
  const reading = (async () => {
    for await (const { type, data } of stream) {
      assert.notEqual(type, "gap");
      if (type === "welcome") outbox.reachable();
      if (type !== "event") continue;
      seen.push(data);
      outbox.heard(data);
    }
  })();
  for (let cut = 1; cut <= 20; cut += 1) {
    await eventually("more events", () => seen.length > cut * 40);
    outbox.push({ message_id: `cut-${cut}`, text: `cut ${cut}` });
    network.cut();
    if (cut === 10) {
      await server.kill();
      await server.run();
      for (const id of ids) await server.send(id, "slow 100000 10");
    }
    network.mend();
  }
  // A message that comes later would bring its session back.
  await eventually("all messages are taken", () => outbox.pending === 0);
  for (const id of ids) await server.call("POST", `sessions/${id}/stop`, {});
  for (const id of ids) {
    await eventually("all of it", async () => {
      const { state, head_seq: head } = await server.call("GET", `sessions/${id}`);
      return state === "ENDED" && stream.cursor(id) === head;
    });
  }
  stream.close();
  await reading;
  for (const id of ids) assert.deepEqual(session(seen, id), await server.events(id));
  const taken = session(seen, ids[0]).filter(({ type, data }) => type === "user.message" && data.message_id.startsWith("cut-"));
  assert.deepEqual(taken.map(({ data }) => data.message_id), Array.from({ length: 20 }, (_, cut) => `cut-${cut + 1}`));
  outbox.close();
  network.end();
});
