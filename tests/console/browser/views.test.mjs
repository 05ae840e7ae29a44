// The views: the list with what can be done to a session, and the operator's; by mouse and by keyboard.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Server, eventually, live, open, say, shows, stage } from "./support.mjs";

const { server, browser } = await stage();

const row = (page, text) => page.locator(".sessions li", { hasText: text });
const titles = (page) => page.locator(".sessions .title").allInnerTexts();
async function menu(page, name) {
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("button", { name, exact: true }).click();
}

test("a session is made, renamed, stopped, resumed and deleted, and the other page sees it all", async () => {
  const page = await open(await browser.context(server), server);
  const other = await open(await browser.context(server), server);
  await page.getByRole("button", { name: "New" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Agent").fill("nobody");
  await dialog.getByLabel("Title").fill("Mend the gate");
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.locator(".fault", { hasText: "nobody" }).waitFor();
  await dialog.getByLabel("Agent").fill("demo");
  await dialog.getByRole("button", { name: "Create" }).click();
  await page.locator("h1", { hasText: "Mend the gate" }).waitFor();
  await row(other, "Mend the gate").waitFor();
  await shows(page, "Agent started");
  await menu(page, "Rename");
  await page.getByLabel("Title").fill("Mend the door");
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await page.locator("h1", { hasText: "Mend the door" }).waitFor();
  await row(other, "Mend the door").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await shows(page, "Session ended: stopped");
  await row(other, "Mend the door").locator(".badge", { hasText: "stopped" }).waitFor();
  await page.getByRole("button", { name: "Resume" }).click();
  await shows(page, "Session resumed");
  await row(other, "Mend the door").locator(".badge", { hasText: "idle" }).waitFor();
  await menu(page, "Delete");
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal(await row(page, "Mend the door").count(), 1);
  await menu(page, "Delete");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.locator(".nothing").waitFor();
  await row(other, "Mend the door").waitFor({ state: "detached" });
});

test("what needs an answer is first, what is new is marked until it is read", async () => {
  const [first, second] = [await server.create("demo", "first one"), await server.create("demo", "second one")];
  const page = await open(await browser.context(server), server);
  await row(page, "second one").waitFor();
  // Both are starting: which of them did something last is not known.
  assert.deepEqual((await titles(page)).slice(0, 2).sort(), ["first one", "second one"]);
  assert.equal(await page.locator(".unread").count(), 0, "what was there before is not new");
  await server.send(first, "ask");
  await row(page, "first one").locator(".badge.alert", { hasText: "needs you" }).waitFor();
  await eventually("the order", async () => /first one$/.test((await titles(page))[0]));
  await server.send(second, "hello");
  await row(page, "second one").locator(".unread").waitFor();
  assert.match((await titles(page))[0], /first one$/, "what needs an answer stays first");
  assert.match(await page.title(), /^\(2\) Seawall/);
  await row(page, "second one").locator("a").click();
  await shows(page, "You said: hello");
  await row(page, "second one").locator(".unread").waitFor({ state: "detached" });
  // Nobody watches any more: that is an event, and nothing to read.
  await row(page, "first one").locator("a").click();
  await server.until(second, "session.state", 4);
  await eventually("the list knows", async () => (await page.evaluate((id) => Number(localStorage.getItem(`seawall.seen.${id}`)), second)) >= (await server.call("GET", `sessions/${second}`)).head_seq);
  assert.equal(await row(page, "second one").locator(".unread").count(), 0);
  for (const id of [first, second]) await server.call("DELETE", `sessions/${id}`);
});

test("a search finds by title, also what the list stream does not name", async () => {
  const needle = await server.create("demo", "needle in the hay");
  await server.create("demo", "straw");
  const context = await browser.context(server);
  // The list stream names the newest 200, and these are newer.
  const view = await server.call("GET", `sessions/${needle}`);
  const newer = Array.from({ length: 200 }, (_, number) => ({ ...view, id: `newer-${number}`, title: `Newer ${number}`, updated_at: "2999-01-01T00:00:00.000Z" }));
  const frame = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  const body = frame("welcome", { protocol: 1, connection_id: "c", heartbeat_ms: 20000, draining: false }) + frame("sessions", { sessions: newer });
  await context.route("**/v1/sessions/stream", (route) => route.fulfill({ contentType: "text/event-stream", body }));
  const page = await context.newPage();
  await page.goto(server.url);
  await row(page, "Newer 199").waitFor();
  await page.getByLabel("Search sessions").fill("needle");
  await row(page, "needle in the hay").waitFor();
  assert.deepEqual(await titles(page), ["needle in the hay"]);
  await page.getByLabel("Search sessions").fill("nothing of the kind");
  await page.getByText("No session has that").waitFor();
  await server.call("DELETE", `sessions/${needle}`);
});

test("a question is answered in place", async () => {
  const id = await server.create();
  const context = await browser.context(server);
  // No agent of ours asks any: the server's words are put into its mouth.
  const ask = { question_id: "q1", expires_at: new Date(Date.now() + 90_000).toISOString(), questions: [
    { question: "Which way?", options: [{ label: "Left", description: "along the wall" }, { label: "Right" }] },
    { question: "What for?", options: [] },
  ] };
  const event = (seq, type, data) => ({ session_id: id, seq, run: 1, ts: new Date().toISOString(), type, data });
  await context.route(`**/sessions/${id}/events*`, (route) => route.fulfill({ json: { events: [event(1, "question.requested", ask)], first_seq: 1, head_seq: 1, has_more: false } }));
  const frame = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
  const snapshot = { session_id: id, state: "ACTIVE", client_state: "requires_action", run: 1, head_seq: 1, pending_permissions: [], pending_questions: [ask], title: null, agent: "demo" };
  await context.route("**/v1/stream*", (route) => route.fulfill({ contentType: "text/event-stream", body: frame("welcome", { protocol: 1, connection_id: "c", heartbeat_ms: 20000, draining: false }) + frame("snapshot", snapshot) }));
  let answered;
  await context.route("**/questions/q1", (route) => ((answered = route.request().postDataJSON()), route.fulfill({ json: {} })));
  const page = await context.newPage();
  await page.goto(`${server.url}/#/s/${id}`);
  await page.locator(".waits .deadline", { hasText: /expires in 1 min/ }).waitFor();
  await page.getByLabel(/Left/).check();
  await page.getByRole("textbox", { name: "Answer" }).fill("the view");
  await page.getByRole("button", { name: "Answer" }).click();
  await eventually("an answer", () => answered);
  assert.deepEqual(answered, { outcome: "answered", answers: { "Which way?": "Left", "What for?": "the view" } });
});

test("a session that is deleted elsewhere says so", async () => {
  const id = await server.create();
  const page = await open(await browser.context(server), server, id);
  await shows(page, "Agent started");
  await server.call("DELETE", `sessions/${id}`);
  await page.locator(".banner", { hasText: "This session was deleted." }).waitFor();
  assert.equal(await page.locator(".composer").isVisible(), false);
  await live(page);
});

test("all of it goes by keyboard", async () => {
  const page = await open(await browser.context(server), server);
  await page.keyboard.press("n");
  await page.getByRole("dialog").waitFor();
  await page.getByRole("dialog").getByLabel("Agent").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.name), "agent");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type("by keys");
  await page.keyboard.press("Enter");
  await page.locator("h1", { hasText: "by keys" }).waitFor();
  // It is where one writes.
  await page.keyboard.type("ask");
  await page.keyboard.press("Enter");
  await page.locator(".waits").waitFor();
  for (let press = 0; press < 30 && (await page.evaluate(() => document.activeElement.textContent)) !== "Reject"; press += 1) await page.keyboard.press("Shift+Tab");
  assert.equal(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), "solid", "the focus is seen");
  await page.keyboard.press("Enter");
  await shows(page, "You rejected it: no.");
  await page.locator(".brand").focus();
  await page.keyboard.press("/");
  await page.keyboard.type("keys");
  assert.equal(await page.getByLabel("Search sessions").inputValue(), "keys");
  await page.keyboard.press("Tab");
  await page.keyboard.press("j");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /by keys/);
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  // What is seen is said as well.
  await say(page, "spoken");
  await page.locator("#polite", { hasText: "The turn has ended: end turn. You said: spoken" }).waitFor({ state: "attached" });
});

test("the operator sees the server, and drains it", async () => {
  const page = await open(await browser.context(server), server);
  await page.getByRole("link", { name: "Server" }).click();
  await page.locator(".numbers", { hasText: "streams" }).waitFor();
  await page.locator(".tree", { hasText: "log writer" }).waitFor();
  await page.locator(".operator td", { hasText: "first" }).first().waitFor();
  assert.equal(await page.locator(".plots svg").count(), 3);
  await page.getByRole("button", { name: "Drain" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Drain" }).click();
  await page.locator("#connection", { hasText: "live, draining" }).waitFor();
  await page.getByRole("button", { name: "End draining" }).click();
  await page.locator("#connection", { hasText: /^\s*live\s*$/ }).waitFor();
  // A crash is a restart, and is drawn.
  const id = await server.create();
  await server.send(id, "crash");
  await server.until(id, "transport.restarting");
  const restarts = (page) => page.locator("figure", { hasText: "Restarts" });
  await restarts(page).locator("figcaption", { hasText: "max 1" }).waitFor();
  await page.close();
  // A page of another browser has the plot of what was before it.
  const later = await browser.context(server);
  const other = await later.newPage();
  await eventually("a line", async () => {
    await other.goto("about:blank");
    await other.goto(`${server.url}/#/server`);
    await restarts(other).locator("figcaption", { hasText: "max 1" }).waitFor();
    return /\d \d/.test(await restarts(other).locator("polyline").first().getAttribute("points"));
  });
});

test("who is no admin sees no operator's view; who may only read is told so", async () => {
  const secret = "viewer-".padEnd(40, "x");
  const sha256 = createHash("sha256").update(secret).digest("hex");
  const operator = "operator-".padEnd(40, "x");
  const tokens = [["looker", "viewer", sha256], ["doer", "operator", createHash("sha256").update(operator).digest("hex")]];
  const guarded = await Server.start(tokens.map(([name, role, digest]) => `[[auth.tokens]]\nname = "${name}"\nrole = "${role}"\nsha256 = "${digest}"\n`).join(""), { token: operator });
  const id = await guarded.create();
  const page = await open(await browser.context({ url: guarded.url, token: secret }), guarded, id);
  await shows(page, "Agent started");
  await page.locator("#sign-out").waitFor();
  assert.equal(await page.locator("#operator").isVisible(), false);
  await say(page, "may I?");
  await page.locator(".unsent.failed", { hasText: "forbidden" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out" }).click();
  await page.locator(".login").waitFor();
  await guarded.end();
});

test("where the public listener answers no admin calls, there is no operator's view", async () => {
  const plain = await Server.start("", { isAdmin: false });
  const context = await browser.context(plain);
  const page = await context.newPage();
  const asked = page.waitForResponse("**/v1/admin/status");
  await page.goto(plain.url);
  assert.equal((await asked).status(), 404);
  await live(page);
  assert.equal(await page.locator("#operator").isVisible(), false);
  await plain.end();
});

test("the client library is there for pages of one's own", async () => {
  const id = await server.create();
  const page = await open(await browser.context(server), server);
  const heard = await page.evaluate(async (id) => {
    const { Client, Outbox, freshId } = await import("/client.js");
    const client = new Client();
    const outbox = new Outbox(client, id);
    outbox.push({ message_id: freshId(), text: "from a page of my own" });
    let text = "";
    const stream = client.stream({ sessions: [id], after: { [id]: 0 } });
    for await (const { type, data } of stream) {
      if (type !== "event") continue;
      outbox.heard(data);
      if (data.type === "agent.message") text += data.data.delta;
      if (data.type === "turn.ended") stream.close();
    }
    return { text, states: outbox.state.entries.map(({ state }) => state) };
  }, id);
  assert.deepEqual(heard, { text: "You said: from a page of my own", states: ["accepted"] });
});

test("a token that is no longer configured ends the session of the browser", async () => {
  const page = await open(await browser.context(server), server);
  await page.context().clearCookies();
  await server.kill();
  await server.run();
  await page.locator(".login").waitFor();
  await page.fill("#token", server.token);
  await page.keyboard.press("Enter");
  await live(page);
});
