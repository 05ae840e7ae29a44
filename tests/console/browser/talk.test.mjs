// Talking to an agent: what is sent arrives once, what is said is shown once, whatever breaks in between.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Network, eventually, live, open, said, say, shows, stage } from "./support.mjs";

const { server, browser } = await stage();

/** The agent counts: each number once, in order. */
const counted = (count) => Array.from({ length: count }, (_, index) => `${index + 1} `).join("").trim();
const words = async (page) => (await said(page)).join("|").replace(/\s+/g, " ").trim();
const statuses = (page) => page.locator(".block.user").evaluateAll((all) => all.map((one) => `${one.querySelector(".words").textContent}: ${one.querySelector(".status")?.textContent ?? "ok"}`));

test("a message is sent, and the answer streams", async () => {
  const page = await open(await browser.context(server), server, await server.create());
  await say(page, "hello to you");
  await shows(page, "You said: hello to you");
  assert.deepEqual(await statuses(page), ["hello to you: ok"]);
  await say(page, "slow 30 20");
  await page.locator(".working").waitFor();
  await shows(page, "1 2 3");
  await eventually("the end", async () => (await words(page)).endsWith(counted(30)));
  await page.locator(".working").waitFor({ state: "hidden" });
});

test("two pages of one session show the same", async () => {
  const id = await server.create();
  const pages = [await open(await browser.context(server), server, id), await open(await browser.context(server), server, id)];
  await say(pages[0], "slow 20 20");
  await say(pages[1], "think");
  for (const page of pages) await shows(page, "I thought about it.");
  const texts = await Promise.all(pages.map((page) => page.locator(".feed").innerText()));
  assert.equal(texts[0].replace(/\b(now|\d+ s)\b/g, ""), texts[1].replace(/\b(now|\d+ s)\b/g, ""));
});

test("a permission that is answered on the other page is settled on both", async () => {
  const id = await server.create();
  const pages = [await open(await browser.context(server), server, id), await open(await browser.context(server), server, id)];
  await say(pages[0], "ask");
  for (const page of pages) await page.locator(".waits").waitFor();
  assert.match(await pages[0].locator(".waits .deadline").innerText(), /expires in 11 h 5\d min/);
  await pages[1].locator(".sessions .badge.alert").waitFor();
  await pages[1].getByRole("button", { name: "Allow", exact: true }).click();
  for (const page of pages) {
    await shows(page, "Tidying up the demo: Allow, by first");
    await shows(page, "You allowed it: once.");
    await page.locator(".waits").waitFor({ state: "detached" });
  }
});

test("an interrupt ends the turn and is a quiet note", async () => {
  const page = await open(await browser.context(server), server, await server.create());
  await say(page, "slow 10000 50");
  await shows(page, "1 2");
  await page.getByRole("button", { name: "Interrupt" }).click();
  await shows(page, "Turn cancelled");
  await shows(page, "Interrupted by first");
  await say(page, "hang");
  await page.locator(".working").waitFor();
  await page.fill("textarea", "after all");
  await page.keyboard.press("Control+Enter");
  await shows(page, "You said: after all");
});

test("a server that is killed in the middle of a turn loses nothing that was shown and shows nothing twice", async () => {
  const id = await server.create();
  const page = await open(await browser.context(server), server, id);
  await say(page, "slow 1000 20");
  await shows(page, "1 2 3 4 5");
  await server.kill();
  await page.locator('#connection:not([data-tone="good"])').waitFor();
  assert.match(await page.locator("#connection").innerText(), /reconnecting/);
  const before = await words(page);
  await say(page, "written meanwhile");
  await page.locator(".unsent", { hasText: "written meanwhile" }).waitFor();
  await server.run();
  await live(page);
  await shows(page, "You said: written meanwhile");
  await shows(page, "uncertain: it may have run");
  const [first] = (await said(page)).map((text) => text.trim());
  assert.ok(first.startsWith(before), "what was shown is there still");
  assert.equal(first, counted(first.split(" ").length), "each number once, in order");
  assert.equal(await page.locator(".unsent").count(), 0);
  // What is uncertain is sent again by people alone.
  await page.locator(".block.user.block", { hasText: "slow 1000 20" }).getByRole("button", { name: "Edit" }).click();
  assert.equal(await page.inputValue("textarea"), "slow 1000 20");
  const stored = await server.events(id);
  assert.equal(stored.filter(({ type, data }) => type === "user.message" && data.content[0].text === "written meanwhile").length, 1);
});

test("a network that is cut again and again costs nothing, and what was sent meanwhile goes once", async () => {
  const id = await server.create();
  const network = await Network.to(server);
  const behind = { url: network.url, token: server.token };
  const page = await open(await browser.context(behind), behind, id);
  await say(page, "slow 150 20");
  for (let cut = 0; cut < 4; cut += 1) {
    await eventually("more", async () => (await words(page)).split(" ").length > 5 + cut * 10);
    network.cut();
    await page.locator('#connection:not([data-tone="good"])').waitFor();
    await say(page, `cut ${cut}`);
    await page.locator(".unsent", { hasText: `cut ${cut}` }).waitFor();
    network.mend();
    await live(page);
  }
  await shows(page, "You said: cut 3");
  assert.equal(await words(page), [counted(150), ...[0, 1, 2, 3].map((cut) => `You said: cut ${cut}`)].join("|"));
  assert.deepEqual(await statuses(page), ["slow 150 20: ok", "cut 0: ok", "cut 1: ok", "cut 2: ok", "cut 3: ok"]);
  network.end();
});

test("what waits survives a reload, and is sent once, in order", async () => {
  const id = await server.create();
  const network = await Network.to(server);
  const behind = { url: network.url, token: server.token };
  const context = await browser.context(behind);
  const page = await open(context, behind, id);
  // The page itself comes from what the browser has kept, as it would from an installed one.
  const shell = new Map();
  await context.route(/\/(assets\/.*)?$/, async (route) => {
    const url = route.request().url();
    if (!shell.has(url)) shell.set(url, await fetch(url.replace(network.url, server.url)).then(async (answer) => ({ status: answer.status, headers: Object.fromEntries(answer.headers), body: Buffer.from(await answer.arrayBuffer()) })));
    const { "content-encoding": _, "content-length": __, ...headers } = shell.get(url).headers;
    await route.fulfill({ ...shell.get(url), headers });
  });
  network.cut();
  await page.locator('#connection:not([data-tone="good"])').waitFor();
  for (const text of ["first", "second", "third"]) await say(page, text);
  await page.getByText("third", { exact: true }).waitFor();
  await page.reload();
  await page.locator(".unsent", { hasText: "third" }).waitFor();
  assert.deepEqual(await page.locator(".unsent .words").allInnerTexts(), ["first", "second", "third"]);
  await page.locator(".unsent", { hasText: "second" }).getByRole("button", { name: "Discard" }).click();
  await page.locator(".banner", { hasText: "Not loaded yet" }).waitFor();
  network.mend();
  await shows(page, "You said: third");
  const texts = (await server.events(id)).filter(({ type }) => type === "user.message").map(({ data }) => data.content[0].text);
  assert.deepEqual(texts, ["first", "third"]);
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith("seawall.outbox.")).length), 0);
  network.end();
});

test("a closed tab's messages are taken over by one other tab, an open one's by none", async () => {
  const id = await server.create();
  const network = await Network.to(server);
  const behind = { url: network.url, token: server.token };
  const context = await browser.context(behind);
  const pages = [await open(context, behind, id), await open(context, behind, id), await open(context, behind, id)];
  network.cut();
  for (const [number, page] of pages.entries()) {
    await page.bringToFront();
    await say(page, `of tab ${number}`);
    await page.locator(".unsent", { hasText: `of tab ${number}` }).waitFor();
  }
  for (const page of pages) assert.equal(await page.locator(".unsent").count(), 1);
  await pages[0].close();
  const counts = async () => (await Promise.all(pages.slice(1).map((page) => page.locator(".unsent .words").allInnerTexts()))).flat().sort();
  await eventually("an adoption", async () => (await counts()).length === 3);
  assert.deepEqual(await counts(), ["of tab 0", "of tab 1", "of tab 2"]);
  network.mend();
  await eventually("all are sent", async () => (await server.events(id)).filter(({ type }) => type === "user.message").length === 3);
  await eventually("none waits", async () => (await counts()).length === 0);
  network.end();
});

test("a refused message is shown as failed; it can be changed, sent again or dropped", async () => {
  const id = await server.create();
  const context = await browser.context(server);
  const page = await open(context, server, id);
  let refuse = true;
  await context.route("**/messages", (route) =>
    refuse ? route.fulfill({ status: 413, contentType: "application/problem+json", body: JSON.stringify({ code: "too_large", detail: "it is too large" }) }) : route.continue());
  for (const text of ["one", "two", "three"]) await say(page, text);
  await page.locator(".unsent.failed").nth(2).waitFor();
  assert.match(await page.locator(".unsent.failed").first().innerText(), /failed: it is too large \(too_large\)/);
  refuse = false;
  const failed = (text) => page.locator(".unsent.failed", { hasText: text });
  await failed("one").getByRole("button", { name: "Retry" }).click();
  await shows(page, "You said: one");
  await failed("two").getByRole("button", { name: "Edit" }).click();
  await say(page, "two, shorter");
  await shows(page, "You said: two, shorter");
  await failed("three").getByRole("button", { name: "Discard" }).click();
  await eventually("nothing is left", async () => (await page.locator(".unsent").count()) === 0);
});

test("a queued message can be withdrawn; interrupt and stop that fail say so and are not tried again", async () => {
  const id = await server.create();
  const context = await browser.context(server);
  const page = await open(context, server, id);
  await say(page, "hang");
  await page.locator(".working").waitFor();
  await say(page, "never mind");
  await page.locator(".block.user", { hasText: "never mind" }).getByRole("button", { name: "Withdraw" }).click();
  await shows(page, "failed: withdrawn");
  let asked = 0;
  await context.route("**/interrupt", (route) => ((asked += 1), route.abort()));
  await page.getByRole("button", { name: "Interrupt" }).click();
  await page.locator(".toast", { hasText: "The interrupt has failed" }).waitFor();
  assert.equal(asked, 1);
});

test("signed out in the middle: everything is kept, and goes on after a login", async () => {
  const id = await server.create();
  const context = await browser.context(server);
  const page = await open(context, server, id);
  await context.clearCookies();
  await say(page, "kept until then");
  await page.locator(".login").waitFor();
  assert.match(await page.locator(".login").innerText(), /1 message waits/);
  assert.match(await page.locator("#connection").innerText(), /signed out|live/);
  await page.fill("#token", "wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator(".login .fault", { hasText: "does not know this token" }).waitFor();
  await page.fill("#token", server.token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await shows(page, "You said: kept until then");
});
