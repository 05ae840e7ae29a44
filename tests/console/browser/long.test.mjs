// A session of twenty thousand events: it opens with its newest page, and can be scrolled to its beginning.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PHONE, eventually, firstBlocks, median, open, say, shows, stage } from "./support.mjs";

const EVENTS = 20_000;

const { server, browser } = await stage();
const id = await server.create("parrot");
await server.send(id, `tools ${EVENTS}`);
await eventually("all of them", async () => (await server.call("GET", `sessions/${id}`)).head_seq > EVENTS);

const mounted = (page) => page.locator(".feed > .block").count();

test("it opens with its newest page, at its end", async () => {
  const context = await browser.context(server);
  const { page, times } = await firstBlocks(context, `${server.url}/#/s/${id}`, 5);
  await shows(page, `Tool ${EVENTS}`);
  await eventually("its end", () => page.locator(".over > .scroll").evaluate((view) => view.scrollHeight - view.scrollTop - view.clientHeight < 2));
  console.log(`a session of ${EVENTS} events: its first block after ${median(times).toFixed(0)} ms (median of ${times.length})`);
});

test("scrolling up loads page after page, moves nothing that is read, and keeps the page small", async () => {
  const page = await open(await browser.context(server), server, id);
  await shows(page, `Tool ${EVENTS}`);
  const view = page.locator(".over > .scroll");
  const first = () => page.locator(".feed > .block").first().getAttribute("aria-posinset");
  let largest = 0;
  await eventually("the beginning", async () => {
    await view.evaluate((view) => (view.scrollTop = Math.max(0, view.scrollTop - 20_000)));
    largest = Math.max(largest, await mounted(page));
    return (await page.getByText("Session created").count()) > 0;
  });
  assert.equal(await first(), "1");
  assert.ok(largest < 300, `${largest} blocks on the page`);
  const size = Number(await page.locator(".feed > .block").first().getAttribute("aria-setsize"));
  assert.ok(size > EVENTS * 0.5, `${size} blocks`);
  // Frames while it is scrolled by its whole height, a window at a time.
  const slow = await view.evaluate(async (view) => {
    const frame = () => new Promise(requestAnimationFrame);
    const times = [];
    let before = await frame();
    for (let step = 0; step < 120; step += 1) {
      view.scrollTop += 700;
      const now = await frame();
      times.push(now - before);
      before = now;
    }
    return times.sort((a, b) => a - b);
  });
  console.log(`scrolling ${size} blocks: a frame takes ${slow[60].toFixed(1)} ms (median), ${slow[108].toFixed(1)} ms (90 %)`);
  // What is read stays in place while more comes below.
  const anchor = page.locator(".feed > .block", { hasText: /Tool \d+/ }).nth(5);
  const text = (await anchor.innerText()).trim();
  const place = () => page.evaluate((text) => [...document.querySelectorAll(".feed > .block")].find((block) => block.innerText.trim() === text)?.getBoundingClientRect().top, text);
  const top = await place();
  await server.send(id, "tools 12");
  await eventually("more", async () => Number(await page.locator(".feed > .block").first().getAttribute("aria-setsize")) > size + 10);
  assert.ok(Math.abs((await place()) - top) < 2, `${top} became ${await place()}`);
  await page.getByRole("button", { name: "Newest" }).click();
  await shows(page, "tools 12");
});

test("a page that comes above what is read leaves it where it is", async () => {
  const context = await browser.context(server);
  const page = await open(context, server, id);
  await shows(page, "Tool ");
  let hold;
  const held = new Promise((resolve) => (hold = resolve));
  await context.route("**/events?before=*", async (route) => (await held, route.continue()));
  const view = page.locator(".over > .scroll");
  const size = async () => Number(await page.locator(".feed > .block").first().getAttribute("aria-setsize"));
  const before = await size();
  await view.evaluate((view) => (view.scrollTop = 300));
  const atTop = () => page.evaluate(() => {
    const edge = document.querySelector(".over > .scroll").getBoundingClientRect().top;
    const block = [...document.querySelectorAll(".feed > .block")].find((block) => block.getBoundingClientRect().bottom > edge + 1);
    return { text: block.innerText, top: block.getBoundingClientRect().top - edge };
  });
  await eventually("its first block", async () => (await page.locator(".feed > .block").first().getAttribute("aria-posinset")) === "1");
  const read = await atTop();
  hold();
  await eventually("the page above", async () => (await size()) > before);
  const after = await atTop();
  assert.equal(after.text, read.text);
  assert.ok(Math.abs(after.top - read.top) < 2, `${read.top} became ${after.top}`);
});

test("a flood stays at the bottom and shows all of it", async () => {
  const flood = await server.create();
  const page = await open(await browser.context(server), server, flood);
  await say(page, "flood 20000");
  await eventually("the end of it", async () => (await page.locator(".block.message .text > :last-child").last().innerText()).trim().endsWith("20000"));
  const text = (await page.locator(".block.message .text").innerText()).replace(/\s+/g, " ").trim();
  assert.equal(text, Array.from({ length: 20_000 }, (_, index) => index + 1).join(" "));
  assert.ok(await page.locator(".over > .scroll").evaluate((view) => view.scrollHeight - view.scrollTop - view.clientHeight < 60));
});

test("who was away for longer than is replayed gets a gap, which loads when it is seen", async () => {
  const away = await server.create("parrot");
  const context = await browser.context(server, PHONE);
  const page = await open(context, server, away);
  await page.fill("textarea", "before");
  await page.getByRole("button", { name: "Send" }).click();
  await shows(page, "before");
  await context.setOffline(true);
  await page.locator('#connection:not([data-tone="good"])').waitFor();
  await server.send(away, "tools 1200");
  await eventually("all of them", async () => (await server.call("GET", `sessions/${away}`)).head_seq > 1200);
  await context.setOffline(false);
  await shows(page, "Tool 1200");
  const view = page.locator(".over > .scroll");
  await eventually("all of it, without a gap", async () => {
    await view.evaluate((view) => (view.scrollTop = 0));
    return (await page.getByText("Session created").count()) > 0 && (await page.locator(".block.gap").count()) === 0 && Number(await page.locator(".feed > .block").first().getAttribute("aria-setsize")) > 1200;
  });
});
