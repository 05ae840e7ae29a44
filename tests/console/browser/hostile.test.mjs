// An agent that wants to do something to the page does nothing but be shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { open, say, shows, stage } from "./support.mjs";

const { server, browser } = await stage();

const HOSTILE = [
  "<script>document.title = 'owned'</script>",
  "<img src=x onerror=\"document.title = 'owned'\">",
  "<iframe src=\"javascript:parent.document.title='owned'\"></iframe>",
  "[click](javascript:document.title='owned')",
  "[click](data:text/html,<script>alert(1)</script>)",
  "<javascript:document.title='owned'>",
  "</article></div><style>*{display:none}</style>",
];

/** The page's own elements, and whatever else there is. */
const strangers = (page) =>
  page.evaluate(() => [...document.querySelectorAll(".feed *")].filter((element) =>
    /^(script|img|iframe|style|object|embed|form|base|meta|link|svg)$/i.test(element.tagName) ||
    [...element.attributes].some(({ name, value }) => /^on/i.test(name) || name === "style" || /javascript:|data:/i.test(value))).map((element) => element.outerHTML));

test("markup, scripts and links of an agent that speaks ACP are text", async () => {
  const page = await open(await browser.context(server), server, await server.create());
  for (const text of HOSTILE) {
    await say(page, text);
    await shows(page, `You said: ${text}`);
  }
  await say(page, "[look](https://example.org/x) and https://example.org/y");
  // The second is the end of the answer, which comes in pieces.
  await page.locator(".feed a[href='https://example.org/y']").waitFor();
  await shows(page, "look (example.org)");
  assert.deepEqual(await strangers(page), []);
  const links = await page.locator(".feed a").evaluateAll((all) => all.map((link) => [link.getAttribute("href"), link.rel, link.target]));
  assert.deepEqual(links, [["https://example.org/x", "noopener noreferrer", "_blank"], ["https://example.org/y", "noopener noreferrer", "_blank"]]);
  assert.doesNotMatch(await page.title(), /owned/);
});

test("nothing of a tool call, a plan or a thought gets out of its place", async () => {
  const page = await open(await browser.context(server), server, await server.create("parrot"));
  const evil = "<img src=x onerror=alert(1)>\u001b[31m\u202e";
  await say(page, JSON.stringify([
    { sessionUpdate: "tool_call", toolCallId: evil, title: evil, kind: evil, status: "completed", locations: [{ path: evil, line: 3 }], rawInput: { [evil]: evil },
      content: [{ type: "content", content: { type: "text", text: evil } }, { type: "diff", path: evil, oldText: evil, newText: evil }, { type: evil }] },
    { sessionUpdate: "plan", entries: [{ content: evil, priority: "high", status: evil }] },
    { sessionUpdate: "agent_thought_chunk", content: { type: "text", text: evil } },
    { sessionUpdate: "agent_message_chunk", content: { type: "image", data: "AAAA", mimeType: "image/svg+xml" } },
    { sessionUpdate: evil, x: evil },
  ]));
  await page.locator(".block.tool summary").click();
  await page.locator(".block.tool .parts").waitFor();
  await page.locator(".block.plan").waitFor();
  assert.deepEqual(await strangers(page), []);
  const text = await page.locator(".feed").innerText();
  assert.match(text, /<img src=x onerror=alert\(1\)>/);
  assert.doesNotMatch(text, /\u001b|\u202e/);
});

test("terminal codes and markup of an agent that prints lines are text", async () => {
  const id = await server.create("sh", "<b>bold</b>");
  const page = await open(await browser.context(server), server, id);
  await say(page, "printf '\\033[31mred\\033[0m \\033]0;owned\\007plain \\033[2J\\033]8;;javascript:x\\033\\134link\\n'; echo '<script>document.title=1</script>'");
  await shows(page, "<script>document.title=1</script>");
  await shows(page, "red plain link");
  await page.locator("h1", { hasText: "<b>bold</b>" }).waitFor();
  assert.deepEqual(await strangers(page), []);
  // The raw view has the codes as JSON writes them.
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("button", { name: "Raw events" }).click();
  await shows(page, "\\u001b[31mred");
  assert.deepEqual(await strangers(page), []);
});

test("what would run, runs not: the policy holds also where the page would not", async () => {
  const page = await (await browser.context(server)).newPage();
  const answer = await page.goto(server.url);
  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*|http/);
  const held = await page.evaluate(async () => {
    const violation = new Promise((resolve) => addEventListener("securitypolicyviolation", (event) => resolve(event.violatedDirective), { once: true }));
    const script = document.createElement("script");
    try {
      script.textContent = "document.title = 'owned'";
    } catch {
      return "trusted types";
    }
    document.body.append(script);
    return violation;
  });
  assert.match(held, /trusted types|script-src|require-trusted-types-for/);
  assert.doesNotMatch(await page.title(), /owned/);
  // It was asked for here.
  browser.faults = browser.faults.filter((fault) => !/TrustedScript|inline script|violates/i.test(fault));
});
