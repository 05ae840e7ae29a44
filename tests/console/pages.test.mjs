// What the console makes of events and texts, without a page: blocks, markdown, positions, the list.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Condition } from "../../src/http/console/app/condition.js";
import { ago, left, standing } from "../../src/http/console/app/format.js";
import { Heights } from "../../src/http/console/app/heights.js";
import { indicator } from "../../src/http/console/app/live.js";
import { parse, safeHref } from "../../src/http/console/app/markdown.js";
import { Samples } from "../../src/http/console/app/samples.js";
import { Sessions } from "../../src/http/console/app/sessions.js";
import { clean, oneLine } from "../../src/http/console/app/text.js";
import { Transcript } from "../../src/http/console/app/transcript.js";

// -- texts

test("terminal codes do nothing and are not seen", () => {
  for (const [given, seen] of [
    ["\x1b[31mred\x1b[0m", "red"],
    ["a\x1b[2J\x1b[Hb", "ab"],
    ["\x1b]0;title\x07x", "x"],
    ["\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "link"],
    ["\x1bPq...\x1b\\x", "x"],
    ["\x9b1mx", "x"],
    ["bell\x07 back\x08space", "bell backspace"],
    ["one\r\ntwo\rthree", "one\ntwo\nthree"],
    ["tab\tstays", "tab\tstays"],
    ["\x1b]unfinished", ""],
    ["\u202egnp.exe", "\ufffdgnp.exe"],
    ["", ""],
    [undefined, ""],
  ]) {
    assert.equal(clean(given), seen, JSON.stringify(given));
  }
  assert.equal(oneLine(" a \n b\t"), "a b");
  assert.equal(oneLine("x".repeat(300)).length, 200);
});

// -- markdown

/** The tree in short: tag(children), links with their target. */
function brief(node) {
  if (typeof node === "string") return node;
  const { tag, children, href, host, language } = node;
  const more = href === undefined ? (language ?? "") : `${href}${host === undefined ? "" : ` → ${host}`}`;
  return `<${tag}${more && ` ${more}`}>${children.map(brief).join("")}</${tag}>`;
}
const shown = (text) => parse(text).flatMap((block) => block.nodes).map(brief).join("");

test("markdown becomes a tree", () => {
  for (const [given, seen] of [
    ["# One\ntext", "<h2>One</h2><p>text</p>"],
    ["a\nb\n\nc", "<p>a\nb</p><p>c</p>"],
    ["**b** _i_ *j* ~~d~~ `c*c*`", "<p><strong>b</strong> <em>i</em> <em>j</em> <del>d</del> <code>c*c*</code></p>"],
    ["**a *b* c**", "<p><strong>a <em>b</em> c</strong></p>"],
    ["snake_case_name 2 * 3 * 4", "<p>snake_case_name 2 * 3 * 4</p>"],
    ["```js\nlet a = `1`;\n```\nx", "<pre js>let a = `1`;</pre><p>x</p>"],
    ["```\nstill open\n\nyes", "<pre>still open\n\nyes</pre>"],
    ["~~~\n```\n~~~", "<pre>```</pre>"],
    ["- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"],
    ["3. a\n4. b", "<ol><li>a</li><li>b</li></ol>"],
    ["- a\n\n  more\n- b", "<ul><li>a<p>more</p></li><li>b</li></ul>"],
    ["> q\n> - a", "<blockquote><p>q</p><ul><li>a</li></ul></blockquote>"],
    ["---", "<hr></hr>"],
    ["| a | b |\n|---|:-:|\n| 1 | `2` |", "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td><code>2</code></td></tr></tbody></table>"],
    ["\\*no\\*", "<p>*no*</p>"],
    ["``a`b``", "<p><code>a`b</code></p>"],
    ["", ""],
  ]) {
    assert.equal(shown(given), seen, JSON.stringify(given));
  }
});

test("links lead to the web and to mail alone, and say where", () => {
  for (const [given, seen] of [
    ["[x](https://a.org/b)", "<p><a https://a.org/b → a.org>x</a></p>"],
    ["https://a.org/b.", "<p><a https://a.org/b>https://a.org/b</a>.</p>"],
    ["(https://a.org)", "<p>(<a https://a.org/>https://a.org</a>)</p>"],
    ["<https://a.org>", "<p><a https://a.org/>https://a.org</a></p>"],
    ["[https://bank.org](https://evil.org)", "<p><a https://evil.org/ → evil.org>https://bank.org</a></p>"],
    ["[https://bank.org.evil](https://bank.org)", "<p><a https://bank.org/ → bank.org>https://bank.org.evil</a></p>"],
    ["[m](mailto:a@b.c)", "<p><a mailto:a@b.c → a@b.c>m</a></p>"],
    ["![alt](https://a.org/x.png)", "<p><a https://a.org/x.png → a.org>alt</a></p>"],
    ["[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"],
    ["[x](JaVaScRiPt:alert)", "<p>[x](JaVaScRiPt:alert)</p>"],
    ["[x](data:text/html,x)", "<p>[x](data:text/html,x)</p>"],
    ["[x](/v1/logout)", "<p>[x](/v1/logout)</p>"],
    ["[x](vbscript:x)", "<p>[x](vbscript:x)</p>"],
  ]) {
    assert.equal(shown(given), seen, given);
  }
  assert.equal(safeHref("java\nscript:alert(1)"), null);
  assert.equal(safeHref(" javascript:alert(1)"), null);
  assert.equal(safeHref("//a.org"), null);
});

test("raw HTML is text", () => {
  const text = '<script>alert(1)</script> <img src=x onerror="x()"> &lt;';
  assert.equal(shown(text), `<p>${text}</p>`);
});

test("only known tags come out of any text", () => {
  const tags = new Set("p h2 h3 h4 h5 h6 pre code ul ol li blockquote hr table thead tbody tr th td a strong em del".split(" "));
  const signs = ["*", "_", "`", "[", "](", ")", "<", ">", "#", "-", "|", "\n", " ", "~~", "```", "a", "https://x.y", "javascript:", "1.", "\\", "!", "    "];
  let seed = 7;
  const random = (max) => (seed = (seed * 48271) % 2147483647) % max;
  const look = (node) => {
    if (typeof node === "string") return;
    assert.ok(tags.has(node.tag), node.tag);
    if (node.href !== undefined) assert.match(node.href, /^(https?|mailto):/);
    node.children.forEach(look);
  };
  for (let turn = 0; turn < 3000; turn += 1) {
    const text = Array.from({ length: random(40) }, () => signs[random(signs.length)]).join("");
    parse(text).flatMap((block) => block.nodes).forEach(look);
  }
});

test("texts that are made to hurt take no time", () => {
  const begin = performance.now();
  for (const text of ["*".repeat(1e5), "[".repeat(1e5), "`".repeat(9e4), "> ".repeat(5e4), "- ".repeat(5e4), "**a ".repeat(3e4), "[a](".repeat(3e4), "|-".repeat(5e4), "1 ".repeat(5e5), "<https://".repeat(2e4), "_a".repeat(5e4), `${"a|".repeat(1e4)}\n${"-|".repeat(1e4)}`, "(((".repeat(3e4) + "https://a" + ")".repeat(3e4)]) {
    parse(text);
  }
  // A bound for what is quadratic, not a measure: it takes a hundredth.
  assert.ok(performance.now() - begin < 20_000);
});

test("a long paragraph is several, with nothing lost", () => {
  const text = Array.from({ length: 5000 }, (_, number) => `${number} `).join("");
  const blocks = parse(text);
  assert.ok(blocks.length > 5);
  assert.equal(blocks.map(({ source }) => source).join(""), text);
});

// -- blocks

let seq = 0;
const at = (type, data) => ({ session_id: "A", seq: (seq += 1), run: 1, ts: "2026-11-23T08:20:01.123Z", type, data });
function told(...events) {
  seq = 0;
  const transcript = new Transcript();
  const all = events.map(([type, data]) => at(type, data));
  for (const event of all) transcript.add(event);
  return { transcript, all };
}
const kinds = ({ blocks }) => blocks.map(({ kind }) => kind);

const TURN = [
  ["session.state", { from: null, to: "CREATED", reason: null }],
  ["user.message", { message_id: "m1", content: [{ type: "text", text: "go" }], by: "ann" }],
  ["message.dispatched", { message_id: "m1" }],
  ["turn.started", { turn_id: "t1", message_id: "m1" }],
  ["agent.thought", { block_id: "b1", delta: "hm", final: false }],
  ["agent.thought", { block_id: "b1", delta: "", final: true }],
  ["agent.message", { block_id: "b2", delta: "one ", final: false }],
  ["agent.tool_call", { tool_call_id: "x", title: "Read", kind: "read", status: "pending" }],
  ["agent.message", { block_id: "b2", delta: "two", final: true }],
  ["agent.tool_update", { tool_call_id: "x", status: "completed", content: [{ type: "content", content: { type: "text", text: "done" } }] }],
  ["agent.plan", { entries: [{ content: "a", status: "pending" }] }],
  ["agent.plan", { entries: [{ content: "a", status: "completed" }] }],
  ["turn.ended", { turn_id: "t1", message_id: "m1", stop_reason: "end_turn" }],
];

test("a turn is told in blocks, one for each thing", () => {
  const { transcript } = told(...TURN);
  assert.deepEqual(kinds(transcript), ["marker", "user", "thought", "message", "tool", "plan"]);
  const [, user, thought, message, tool, plan] = transcript.blocks;
  assert.deepEqual([user.status, thought.text, message.text, message.isOpen], ["done", "hm", "one two", false]);
  assert.deepEqual([tool.title, tool.status, tool.content.length], ["Read", "completed", 1]);
  assert.equal(plan.entries[0].status, "completed");
  assert.equal(transcript.isRunning, false);
});

test("pages in any order make the same blocks as the whole", () => {
  const { transcript: whole, all } = told(...TURN, ...TURN.slice(1));
  const plain = ({ blocks }) => blocks.map(({ rev: _, ...block }) => block);
  for (const size of [1, 3, 7]) {
    const newest = all.slice(-size);
    const pages = new Transcript();
    for (const event of newest) pages.add(event);
    for (let end = all.length - size; end > 0; end -= size) pages.insert(all.slice(Math.max(0, end - size), end));
    assert.deepEqual(plain(pages), plain(whole), `pages of ${size}`);
    assert.equal(pages.head, all.length);
  }
});

test("an event that was here is not shown again", () => {
  const { transcript, all } = told(...TURN);
  for (const event of all) assert.equal(transcript.add(event), false);
  transcript.insert(all);
  assert.equal(transcript.events.length, all.length);
});

test("a gap stands where it is until pages fill it", () => {
  seq = 0;
  const all = Array.from({ length: 20 }, (_, number) => at("agent.output", { stream: number % 2 ? "stderr" : "stdout", text: `${number}` }));
  const transcript = new Transcript();
  transcript.add(all[0]);
  transcript.skip(15);
  assert.deepEqual(kinds(transcript), ["output", "gap"]);
  for (const event of all.slice(15)) transcript.add(event);
  assert.deepEqual([transcript.blocks[1].after, transcript.blocks[1].upto], [1, 15]);
  transcript.insert(all.slice(10, 15));
  assert.deepEqual([transcript.blocks[1].after, transcript.blocks[1].upto], [1, 10]);
  transcript.insert(all.slice(1, 10));
  assert.equal(transcript.blocks.length, 20);
});

test("a gap of what is stored no more is for good", () => {
  seq = 0;
  const all = Array.from({ length: 20 }, () => at("agent.dreamt", {}));
  const transcript = new Transcript();
  transcript.add(all[0]);
  transcript.skip(15);
  transcript.stored(10);
  assert.equal(transcript.blocks[0].isLost, false);
  transcript.insert(all.slice(9, 15));
  assert.deepEqual([transcript.blocks[0].upto, transcript.blocks[0].isLost], [9, true]);
  transcript.stored(12);
  assert.equal(transcript.blocks.length, 1);
});

test("permissions are open until they are settled, by whomever", () => {
  const ask = { permission_id: "p1", tool_call: { title: "Edit" }, options: [], expires_at: "2026-11-23T09:00:00Z" };
  const { transcript } = told(["permission.requested", ask]);
  assert.ok(transcript.asks.has("p1"));
  transcript.add(at("permission.resolved", { permission_id: "p1", outcome: "selected", option_id: "once", by: "ann" }));
  assert.equal(transcript.asks.size, 0);
  const [block] = transcript.blocks;
  assert.deepEqual([block.outcome, block.option, block.by], ["selected", "once", "ann"]);
});

test("uncertainty is told at the message", () => {
  const { transcript } = told(TURN[1], TURN[2], ["message.failed", { message_id: "m1", reason: "transport_lost", uncertain: true }]);
  assert.equal(transcript.blocks[0].status, "uncertain");
});

test("an agent that was told to leave is no failure, and its session is parked unless it ends too", () => {
  const exited = ["transport.exited", { exit_code: null, signal: 15, stderr_tail: "" }];
  const stopping = ["transport.stopping", { rung: "sigterm", deadline_ms: 4000 }];
  const closing = ["session.state", { from: "ACTIVE", to: "CLOSING", reason: "stopped" }];
  const markers = (...events) => told(...events).transcript.blocks.map(({ text, tone }) => [text, tone]);
  const parked = ["Agent parked: the next message starts it again", "quiet"];
  assert.deepEqual(markers(stopping, exited), [parked]);
  assert.deepEqual(markers(closing, stopping, exited), [["Agent left: signal 15", "quiet"]]);
  assert.deepEqual(markers(stopping, exited, exited), [parked, ["Agent left: signal 15", "bad"]]);
});

test("a call with an id that was used is another call", () => {
  const call = ["agent.tool_call", { tool_call_id: "x", title: "Read", status: "pending" }];
  const { transcript } = told(call, ["agent.tool_update", { tool_call_id: "x", status: "failed" }], call);
  assert.deepEqual(transcript.blocks.map(({ status }) => status), ["failed", "pending"]);
});

test("types of the future and broken data break nothing", () => {
  const { transcript } = told(["agent.dreamt", {}], ["agent.raw", { raw: { a: 1 } }], ["agent.tool_update", { tool_call_id: "?" }]);
  assert.deepEqual(kinds(transcript), ["raw", "tool"]);
});

test("twenty thousand events are blocks in no time", () => {
  seq = 0;
  const all = Array.from({ length: 20_000 }, (_, number) => at("agent.tool_call", { tool_call_id: `${number}`, title: "x", status: "completed" }));
  const transcript = new Transcript();
  for (const event of all) transcript.add(event);
  assert.equal(transcript.blocks.length, 20_000);
});

// -- positions

test("what is measured moves what is below, the rest is estimated", () => {
  const heights = new Heights(10);
  heights.keys(["a", "b", "c", "d"]);
  assert.equal(heights.total, 40);
  heights.measure(1, 100);
  assert.deepEqual([0, 1, 2, 3, 4].map((index) => heights.offset(index)), [0, 10, 110, 120, 130]);
  assert.deepEqual(heights.range(0, 5), { from: 0, to: 1 });
  assert.deepEqual(heights.range(50, 115), { from: 1, to: 3 });
  assert.deepEqual(heights.range(1000, 2000), { from: 3, to: 4 });
  heights.keys(["z", "y", "a", "b", "c", "d"]);
  assert.equal(heights.offset(4), 130, "what is known stays with its key");
  assert.equal(heights.indexAt(129), 3);
  assert.equal(heights.indexOf("c"), 4);
  heights.keys([]);
  assert.deepEqual(heights.range(0, 100), { from: 0, to: 0 });
});

// -- the list

const session = (id, updated_at, more = {}) => ({ id, agent: "demo", title: null, cwd: "/w", state: "ACTIVE", client_state: "idle", head_seq: 1, updated_at, ...more });

test("what needs an answer is first, then the newest", () => {
  const sessions = new Sessions();
  sessions.replace([session("a", "1"), session("b", "3"), session("c", "2", { client_state: "requires_action" })]);
  const ids = (text) => sessions.sorted(text).map(({ id }) => id).join("");
  assert.equal(ids(), "cba");
  assert.deepEqual(sessions.needing, ["c"]);
  sessions.change(session("a", "9", { title: "Fix the Door" }));
  assert.equal(ids(), "cab");
  assert.equal(ids("door fix"), "a");
  assert.equal(ids("nothing"), "");
  sessions.put(session("a", "1"));
  assert.equal(sessions.get("a").updated_at, "9", "older news change nothing");
  sessions.change({ session_id: "c", deleted: true });
  assert.equal(ids(), "ab");
  sessions.replace([session("b", "3")]);
  assert.equal(ids(), "b", "the list is the whole truth");
});

test("times and states are said shortly", () => {
  assert.deepEqual([ago(-3000), ago(90_000), ago(7_200_000), ago(86400_000 * 3)], ["now", "2 min", "2 h", "3 d"]);
  assert.deepEqual([left(59_000), left(61_000), left(3_660_000), left(-5)], ["59 s", "1 min 1 s", "1 h 1 min", "0 s"]);
  assert.equal(standing({ state: "ENDED", client_state: "idle", end_reason: "restart_limit" }).tone, "bad");
  assert.equal(standing({ state: "DETACHED", client_state: "requires_action" }).word, "needs you");
});

test("samples are drawn by the server's clock, and a pause is no line", () => {
  assert.deepEqual(new Samples().line("lag"), { lines: [], last: 0, max: 0 });
  const sample = (secs, over_ms, appended, restarts) => ({ at: new Date(secs * 1000).toISOString(), over_ms, appended, restarts, streams: 1, max_lag: 2 });
  const samples = new Samples({ samples: [sample(0, 15_000, 30, 0), sample(900, 900_000, 90, 3), sample(1800, 900_000, 0, 0), sample(1801, 1000, 50, 1)] });
  assert.deepEqual(samples.all.map(({ events }) => events), [2, 0.1, 0, 10], "one that has only begun is no flood");
  const { lines, last, max } = samples.line("restarts");
  assert.deepEqual([last, max], [1, 3]);
  assert.deepEqual(lines.map((points) => points.map(({ y }) => y)), [[0], [1], [0, 1 / 3]]);
  assert.equal(lines[2][1].x, 1);
  assert.ok(Math.abs(lines[0][0].x - 0.5) < 0.001);
});

test("the connection is told as it is, with when it is tried again", () => {
  const word = (standing, isOnline = true) => indicator(standing, isOnline, 10_000).word;
  assert.equal(word({ kind: "connecting" }), "connecting");
  assert.equal(word({ kind: "live" }), "live");
  assert.equal(word({ kind: "live", draining: true }), "live, draining");
  assert.equal(word({ kind: "live" }, false), "live", "a server on this device needs no network");
  assert.equal(word({ kind: "waiting", retryAt: 13_500 }), "reconnecting in 4 s");
  assert.equal(word({ kind: "waiting", retryAt: 9_000 }), "reconnecting");
  assert.equal(word({ kind: "waiting", retryAt: 13_500 }, false), "offline");
  assert.equal(word({ kind: "signed_out" }), "signed out");
  assert.deepEqual(indicator({ kind: "over", cause: "no" }, true, 0), { word: "stopped", tone: "bad", detail: "no" });
});

test("how a session stands follows its snapshot and its events", () => {
  const condition = new Condition();
  const ask = { permission_id: "p1", tool_call: {}, options: [] };
  assert.equal(condition.isKnown, false);
  condition.snapshot({ state: "ACTIVE", client_state: "requires_action", title: "t", agent: "a", pending_permissions: [ask] });
  assert.deepEqual([condition.isKnown, condition.asks.size], [true, 1]);
  const after = (type, data) => (condition.event({ type, data }), condition.client_state);
  assert.equal(after("permission.requested", { ...ask, permission_id: "p2" }), "requires_action");
  assert.equal(after("permission.resolved", { permission_id: "p1" }), "requires_action", "another one is open");
  assert.equal(after("permission.resolved", { permission_id: "p2" }), "running");
  assert.equal(after("turn.ended", {}), "idle");
  assert.equal(after("permission.resolved", { permission_id: "p9" }), "idle", "no turn runs");
  assert.equal(after("turn.started", {}), "running");
  after("session.state", { to: "ENDED", client_state: "idle", reason: "stopped" });
  after("session.titled", { title: "other" });
  assert.deepEqual([condition.state, condition.client_state, condition.end_reason, condition.title], ["ENDED", "idle", "stopped", "other"]);
});
