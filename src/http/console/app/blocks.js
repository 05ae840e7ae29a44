// What the blocks of a transcript look like. All that comes from an agent is cleaned and set as text.

import { showAsk } from "./asks.js";
import { button, h, setText, showMarkdown } from "./dom.js";
import { words } from "./format.js";
import { clean, oneLine } from "./text.js";
import { since } from "./ticker.js";
import { contentText } from "./transcript.js";

/** So much of one text is shown in a folded part; the raw view has all of it. */
const PART_MAX = 20_000;

/**
 * What blocks can be told to do.
 * @typedef {object} Acts
 * @property {(id: string) => void} withdraw
 * @property {(text: string) => void} again
 * @property {(text: string) => void} edit
 * @property {(gap: any) => void} load
 * @property {(block: any, answer: any) => Promise<string | null>} answer what went wrong, for people
 */

/** @param {any} block @param {Acts} acts @returns {HTMLElement} */
export function makeBlock(block, acts) {
  const element = h("article", { class: `block ${block.kind}`, "aria-label": LABELS[block.kind] ?? block.kind, "data-seq": block.seq });
  showBlock(element, block, acts);
  return element;
}

/** @type {Record<string, string>} */
const LABELS = {
  user: "Message", message: "Agent", thought: "Thought", tool: "Tool call", plan: "Plan", output: "Output", raw: "Raw message",
  ask: "Needs an answer", marker: "Note", gap: "Left out",
};

/** @param {HTMLElement} element @param {any} block @param {Acts} acts */
export function showBlock(element, block, acts) {
  const { kind } = block;
  if (kind === "message") return showMessage(element, block);
  if (kind === "thought") return showThought(element, block);
  if (kind === "ask") return showAsk(element, block, acts);
  // What somebody has unfolded stays so.
  const isOpen = element.querySelector("details")?.open ?? false;
  element.replaceChildren(...SHOWS[kind](block, acts));
  const details = element.querySelector("details");
  if (details && isOpen) details.open = true;
}

/** @param {HTMLElement} element @param {any} block */
function showMessage(element, block) {
  let text = element.querySelector(".text");
  if (!text) {
    text = h("div", { class: "text" });
    element.append(/** @type {Element} */ (text));
  }
  showMarkdown(/** @type {Element} */ (text), clean(block.text));
  element.classList.toggle("open", block.isOpen);
  if (block.truncated && !element.querySelector(".cut")) element.append(cut());
}

/** Open while it is being thought, then folded. @param {HTMLElement} element @param {any} block */
function showThought(element, block) {
  let details = element.querySelector("details");
  if (!details) {
    details = /** @type {HTMLDetailsElement} */ (h("details", {}, h("summary", {}, h("span", { class: "name" }), " ", h("span", { class: "peek" })), h("div", { class: "text" })));
    details.open = block.isOpen;
    element.append(details);
  } else if (!block.isOpen && element.classList.contains("open")) details.open = false;
  element.classList.toggle("open", block.isOpen);
  const text = clean(block.text);
  setText(/** @type {Element} */ (details.querySelector(".name")), block.isOpen ? "Thinking" : "Thought");
  setText(/** @type {Element} */ (details.querySelector(".peek")), oneLine(text.slice(0, 400), 120));
  showMarkdown(/** @type {Element} */ (details.querySelector(".text")), text);
}

/** @type {Record<string, (block: any, acts: Acts) => (Node | string)[]>} */
const SHOWS = {
  user: (block, acts) => {
    const text = clean(contentText(block.content));
    return [
      h("div", { class: "meta" }, h("span", { class: "by" }, oneLine(block.by, 40)), " ", since(block.ts), statusOf(block)),
      h("div", { class: "words" }, text),
      actions(block, contentText(block.content), acts),
    ];
  },
  tool: (block) => {
    const status = block.status ?? "pending";
    const summary = h("summary", {},
      h("span", { class: `state ${status}`, "aria-hidden": "true" }, SIGNS[status] ?? "·"),
      h("span", { class: "name" }, oneLine(block.title ?? block.id) || "Tool"),
      " ", h("span", { class: "peek" }, [block.tool && words(block.tool), words(status)].filter(Boolean).map((word) => oneLine(word, 30)).join(" · ")));
    return [folded(summary, () => toolParts(block))];
  },
  plan: ({ entries }) => {
    const list = Array.isArray(entries) ? entries : [];
    const isDone = (/** @type {any} */ entry) => entry?.status === "completed";
    return [
      h("div", { class: "meta" }, `Plan · ${list.filter(isDone).length} of ${list.length} done`),
      h("ul", { class: "steps" }, ...list.slice(0, 200).map((entry) =>
        h("li", { class: isDone(entry) ? "done" : "" },
          h("span", { class: `state ${oneLine(entry?.status, 20)}`, "aria-hidden": "true" }, SIGNS[entry?.status] ?? "·"),
          h("span", {}, oneLine(entry?.content, 500)), h("span", { class: "hidden" }, ` (${words(oneLine(entry?.status, 20))})`)))),
    ];
  },
  output: (block) => {
    const text = clean(block.text);
    return [
      block.stream === "stderr" && h("div", { class: "meta" }, "stderr"),
      h("pre", { class: block.stream, tabindex: 0, role: "group", "aria-label": words(block.stream) }, part(text)),
      block.truncated && cut(),
    ].filter((node) => node !== false);
  },
  raw: ({ value }) => {
    const kind = typeof value?.method === "string" ? oneLine(value.method, 60) : "";
    return [folded(h("summary", {}, h("span", { class: "name" }, "Unmapped message"), " ", h("span", { class: "peek" }, kind)), () => [pre(value)])];
  },
  marker: ({ text, tone, detail, ts }) => {
    const line = h("div", { class: `note ${tone}` }, h("span", {}, clean(text)), " ", since(ts));
    if (!detail) return [line];
    return [line, folded(h("summary", {}, "Details"), () => [h("pre", { tabindex: 0, role: "group", "aria-label": "Details" }, part(clean(detail)))])];
  },
  gap: (block, acts) => {
    const count = `${block.upto - block.after} events are`;
    if (block.isLost) return [h("div", { class: "note" }, `${count} not stored any more`)];
    return [h("div", { class: "note" }, `${count} not loaded `, button("Load", () => acts.load(block)))];
  },
};

/** Signs for those who see; screen readers are told the word. @type {Record<string, string>} */
const SIGNS = { pending: "○", in_progress: "◐", completed: "✓", failed: "✗" };

/** @param {any} block */
function statusOf({ status, reason }) {
  const word = { queued: "accepted, waits for the agent", failed: `failed: ${words(reason)}`, uncertain: "uncertain: it may have run" }[/** @type {string} */ (status)];
  return word ? h("span", { class: `status ${status}` }, word) : "";
}

/** @param {any} block @param {string} text @param {Acts} acts */
function actions({ id, status }, text, acts) {
  if (status === "queued") return h("div", { class: "acts" }, button("Withdraw", () => acts.withdraw(id)));
  if (status !== "failed" && status !== "uncertain") return "";
  return h("div", { class: "acts" }, button("Send again", () => acts.again(text)), button("Edit", () => acts.edit(text)));
}

/** A part that is made when it is first unfolded. @param {HTMLElement} summary @param {() => (Node | string)[]} make */
function folded(summary, make) {
  const details = h("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(h("div", { class: "parts" }, ...make()));
  });
  return details;
}

/** @param {any} block */
function toolParts({ locations, content, input, output }) {
  const parts = [];
  const paths = (Array.isArray(locations) ? locations : []).map(({ path, line }) => oneLine(line ? `${path}:${line}` : path, 300));
  if (paths.length > 0) parts.push(h("div", { class: "paths" }, ...paths.slice(0, 50).map((path) => h("code", {}, path))));
  for (const item of Array.isArray(content) ? content.slice(0, 50) : []) {
    if (item?.type === "diff") parts.push(h("div", { class: "meta" }, oneLine(item.path, 300)), diff(item));
    else parts.push(h("pre", { tabindex: 0, role: "group", "aria-label": "Result" }, part(clean(contentText(item)))));
  }
  if (input !== undefined) parts.push(h("div", { class: "meta" }, "Input"), pre(input));
  if (output !== undefined) parts.push(h("div", { class: "meta" }, "Output"), pre(output));
  return parts.length > 0 ? parts : [h("div", { class: "meta" }, "Nothing more is known of it.")];
}

/** @param {any} change */
function diff({ old_text: before, new_text: after }) {
  const lines = (/** @type {unknown} */ text, /** @type {string} */ sign, /** @type {string} */ name) =>
    clean(text).slice(0, PART_MAX).split("\n").slice(0, 400).map((line) => h("span", { class: name }, `${sign} ${line}\n`));
  return h("pre", { class: "diff", tabindex: 0, role: "group", "aria-label": "Change" },
    ...(before ? lines(before, "-", "del") : []), ...(after ? lines(after, "+", "ins") : []));
}

/** @param {unknown} value */
function pre(value) {
  const text = typeof value === "string" ? value : (JSON.stringify(value, null, 2) ?? "");
  return h("pre", { tabindex: 0, role: "group", "aria-label": "Data" }, part(clean(text)));
}

/** @param {string} text */
function part(text) {
  return text.length > PART_MAX ? `${text.slice(0, PART_MAX)}\n… ${text.length - PART_MAX} more characters` : text;
}

function cut() {
  return h("div", { class: "meta cut" }, "The server has cut this text: it was over the limit of an event.");
}
