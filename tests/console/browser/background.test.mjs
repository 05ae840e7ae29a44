// Pages in the background: a phone's, which is frozen, and a browser's many tabs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE, Server, eventually, hide, live, open, said, show, shows, stage } from "./support.mjs";

const { server, browser } = await stage();

const connections = async () => (await server.call("GET", "admin/connections")).connections;

test("a phone's page is suspended when it is hidden, and has all of it when it is shown", async () => {
  const id = await server.create();
  const page = await open(await browser.context(server, PHONE), server, id);
  await server.send(id, "slow 5 1");
  await shows(page, "1 2 3 4 5");
  await hide(page);
  await eventually("a suspended stream", async () => (await connections()).every(({ suspended }) => suspended));
  await eventually("a suspended session", async () => (await server.call("GET", `sessions/${id}`)).state === "SUSPENDED");
  await server.send(id, "meanwhile");
  await server.until(id, "turn.ended", 2);
  const heard = await page.locator(".feed").innerText();
  assert.doesNotMatch(heard, /meanwhile/, "nothing is sent to who does not look");
  await show(page);
  await shows(page, "You said: meanwhile");
  await live(page);
  assert.deepEqual((await said(page)).map((text) => text.trim()), ["1 2 3 4 5", "You said: meanwhile"]);
  assert.equal((await connections()).filter(({ suspended }) => !suspended).length, 1);
});

test("a hidden page whose grace is over comes back exactly as well", async () => {
  const quick = await Server.start('[sessions]\nsuspend_grace = "1s"\n');
  const id = await quick.create();
  const page = await open(await browser.context(quick, PHONE), quick, id);
  await hide(page);
  await eventually("no stream", async () => (await quick.call("GET", "admin/connections")).connections.length === 0);
  for (let turn = 1; turn <= 3; turn += 1) {
    await quick.send(id, `turn ${turn}`);
    await quick.until(id, "turn.ended", turn);
  }
  await show(page);
  await shows(page, "You said: turn 3");
  assert.deepEqual((await said(page)).map((text) => text.trim()), ["You said: turn 1", "You said: turn 2", "You said: turn 3"]);
  await quick.end();
});

test("however many tabs there are, the one that is looked at is live", async () => {
  const context = await browser.context(server);
  const pages = [];
  // A browser has six connections to one server.
  for (let tab = 0; tab < 9; tab += 1) {
    const page = await open(context, server);
    pages.push(page);
    if (tab < 8) await hide(page);
  }
  await eventually("few streams", async () => (await connections()).filter(({ suspended }) => !suspended).length <= 4);
  await hide(pages[8]);
  await show(pages[0]);
  await live(pages[0]);
  const id = await server.create("demo", "seen by the first tab");
  await pages[0].locator(".sessions", { hasText: "seen by the first tab" }).waitFor();
  await server.call("DELETE", `sessions/${id}`);
});
