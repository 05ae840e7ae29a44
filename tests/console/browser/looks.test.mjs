// What the console looks like, in both sizes and both schemes; what axe has to say to it; what it weighs, and how soon
// there is something to read. Screenshots go to target/console.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { PHONE, firstBlocks, median, shows, stage } from "./support.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
const pictures = fileURLToPath(new URL("../../../target/console/", import.meta.url));
mkdirSync(pictures, { recursive: true });

const { server, browser } = await stage();
const others = [["demo", "Why are the nightly backups slow?"], ["demo", "Move the docs to the new theme"], ["sh", "Shell on the build machine"]];
for (const [agent, title] of others) await server.create(agent, title);
const waits = await server.create("demo", "Tidy up the release notes");
await server.send(waits, "ask");
await server.until(waits, "permission.requested");
const id = await server.create("parrot", "The gate opens late at high tide");
await server.send(id, "The gate opens late at high tide. Why?");
await server.until(id, "turn.ended");

/** Each view, from the page at the list. */
const VIEWS = {
  list: async () => {},
  session: async (page) => {
    await page.goto(`${server.url}/#/s/${id}`);
    await shows(page, "Shall I change the retry too?");
  },
  unfolded: async (page) => {
    await page.goto(`${server.url}/#/s/${id}`);
    await shows(page, "Shall I change the retry too?");
    for (const summary of await page.locator(".feed summary").all()) await summary.click();
    await page.locator(".diff").waitFor();
  },
  permission: async (page) => {
    await page.goto(`${server.url}/#/s/${waits}`);
    await page.locator(".waits").waitFor();
  },
  raw: async (page) => {
    await page.goto(`${server.url}/#/s/${id}`);
    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("button", { name: "Raw events" }).click();
    await shows(page, '"seq":');
  },
  new: async (page) => {
    await page.getByRole("button", { name: "New" }).click();
    await page.getByRole("dialog").waitFor();
  },
  server: async (page) => {
    await page.goto(`${server.url}/#/server`);
    await page.locator(".tree", { hasText: "log writer" }).waitFor();
  },
  unsent: async (page) => {
    const refusals = [{ code: "too_large", detail: "the message is over the limit of 16 MiB" }];
    await page.context().route("**/messages", (route) => {
      const problem = refusals.pop();
      return problem ? route.fulfill({ status: 413, contentType: "application/problem+json", json: problem }) : route.abort();
    });
    await page.context().route("**/interrupt", (route) => route.abort());
    await page.goto(`${server.url}/#/s/${waits}`);
    await page.locator(".waits").waitFor();
    for (const text of ["Here is the whole log", "And the notes of last week"]) {
      await page.fill("textarea", text);
      await page.getByRole("button", { name: "Send" }).click();
    }
    await page.getByText("failed: the message is over").waitFor();
    await page.getByText("next try in").waitFor();
    await page.getByRole("button", { name: "Interrupt" }).click();
    await page.locator(".toast").waitFor();
  },
  login: async (page) => {
    await page.context().clearCookies();
    await page.reload();
    await page.locator(".login").waitFor();
  },
};

const SIZES = { 360: PHONE, 1280: { viewport: { width: 1280, height: 800 } } };
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const OF_COLOURS = { type: "rule", values: ["color-contrast", "link-in-text-block"] };

/** What axe finds on the page as it is. Each rule takes its time: of another scheme on the same page those about colours tell. */
async function faults(page, runOnly) {
  const { violations } = await page.evaluate((runOnly) => window.axe.run({ runOnly, resultTypes: ["violations"], preload: false }), runOnly);
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`).join(" | ")}`);
}

for (const [size, options] of Object.entries(SIZES)) {
  test(`no view has a fault that axe knows, ${size} pixels wide, light and dark`, async () => {
    const context = await browser.context(server, { ...options, reducedMotion: "reduce" });
    const page = await context.newPage();
    for (const [view, go] of Object.entries(VIEWS)) {
      await page.goto("about:blank");
      await page.goto(server.url);
      await page.locator(".sessions li").first().waitFor();
      await go(page);
      await page.evaluate(axe);
      for (const [colorScheme, rules] of Object.entries({ light: RULES, dark: OF_COLOURS })) {
        await page.emulateMedia({ colorScheme });
        const name = `${view}-${size}-${colorScheme}`;
        await page.screenshot({ path: `${pictures}${name}.png` });
        assert.deepEqual(await faults(page, rules), [], name);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} is wider than its window`);
        assert.equal(await page.evaluate(() => document.getAnimations().length), 0, `${name} moves`);
      }
    }
  });
}

test("the page weighs little", async () => {
  const page = await (await browser.context(server)).newPage();
  const weights = [];
  page.on("response", async (response) => {
    if (!response.url().includes("/v1/")) weights.push(response.request().sizes().then(({ responseBodySize }) => ({ url: response.url(), responseBodySize })));
  });
  await page.goto(server.url);
  await page.locator(".nothing").waitFor();
  const all = await Promise.all(weights);
  const total = all.reduce((sum, { responseBodySize }) => sum + responseBodySize, 0);
  console.log(`the page weighs ${(total / 1000).toFixed(1)} kB compressed, in ${all.length} files`);
  assert.ok(all.length >= 3 && total > 10_000 && total <= 120 * 1024, JSON.stringify(all));
});

test("there is something to read soon", async () => {
  const context = await browser.context(server);
  const { times } = await firstBlocks(context, `${server.url}/#/s/${id}`, 9);
  // Printed and not asserted: it is about this machine, and what else runs on it.
  console.log(`the first event is on the screen ${median(times).toFixed(0)} ms after the page was asked for (median of ${times.length}, ${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)})`);
  assert.ok(times.every((time) => time > 0));
});
