// Permissions and questions, answered where they stand. Whoever answers first has answered: the others are told.

import { button, h } from "./dom.js";
import { words } from "./format.js";
import { clean, oneLine } from "./text.js";
import { until } from "./ticker.js";

/** @param {HTMLElement} element @param {any} block @param {import("./blocks.js").Acts} acts */
export function showAsk(element, block, acts) {
  element.classList.toggle("waits", block.outcome === null);
  if (block.outcome !== null) {
    element.replaceChildren(h("div", { class: "note" }, settled(block)));
    return;
  }
  // What is being filled in is not made anew: an ask does not change while it is open.
  if (element.querySelector(".options, form")) return;
  const fault = h("p", { class: "fault", role: "alert" });
  const answer = async (/** @type {any} */ given) => {
    const controls = element.querySelectorAll("button, input");
    controls.forEach((control) => /** @type {any} */ (control).toggleAttribute("disabled", true));
    const problem = await acts.answer(block, given);
    controls.forEach((control) => /** @type {any} */ (control).toggleAttribute("disabled", false));
    fault.textContent = problem ?? "";
  };
  const deadline = h("span", { class: "deadline" }, "expires in ", until(Date.parse(block.ask.expires_at)));
  const form = block.what === "permission" ? permission(block.ask, answer) : question(block.ask, answer);
  element.replaceChildren(...form.slice(0, 1), deadline, ...form.slice(1), fault);
}

/** @param {any} ask @param {(answer: any) => void} answer */
function permission({ tool_call: call, options }, answer) {
  const title = oneLine(call?.title) || "The agent asks for a permission";
  const paths = (call?.locations ?? []).map((/** @type {any} */ { path }) => oneLine(path, 300)).slice(0, 10);
  const input = call?.raw_input === undefined || call.raw_input === null ? "" : clean(JSON.stringify(call.raw_input, null, 2)).slice(0, 4000);
  return [
    h("h2", {}, title),
    h("div", { class: "paths" }, ...paths.map((/** @type {string} */ path) => h("code", {}, path))),
    input && h("details", {}, h("summary", {}, "What it wants to do"), h("pre", { tabindex: 0, role: "group", "aria-label": "Input" }, input)),
    h("div", { class: "options" }, ...options.slice(0, 20).map((/** @type {any} */ { option_id, name, kind }) =>
      button(oneLine(name, 80), () => answer({ outcome: "selected", option_id }), { class: kind === "allow_once" ? "yes" : "" })),
      button("Cancel", () => answer({ outcome: "cancelled" }))),
  ].filter((node) => node !== "");
}

/** @param {any} ask @param {(answer: any) => void} answer */
function question({ questions }, answer) {
  const all = (Array.isArray(questions) ? questions : [questions]).slice(0, 20);
  const name = (/** @type {any} */ item, /** @type {number} */ index) => String(item?.id ?? item?.question ?? index);
  const form = h("form", {}, ...all.map(fields), h("div", { class: "options" }, h("button", { class: "yes" }, "Answer"), button("Cancel", () => answer({ outcome: "cancelled" }))));
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const given = new FormData(form);
    const answers = all.map((item, index) => {
      const chosen = [...given.getAll(`q${index}`), given.get(`t${index}`)].filter((text) => text !== null && text !== "");
      return [name(item, index), item?.multi_select || item?.multiSelect ? chosen : (chosen[chosen.length - 1] ?? "")];
    });
    answer({ outcome: "answered", answers: Object.fromEntries(answers) });
  });
  return [h("h2", {}, "The agent has a question"), form];
}

/** @param {any} item @param {number} index */
function fields(item, index) {
  const type = item?.multi_select || item?.multiSelect ? "checkbox" : "radio";
  const options = Array.isArray(item?.options) ? item.options.slice(0, 30) : [];
  return h("fieldset", {}, h("legend", {}, clean(item?.question ?? item?.text ?? "").slice(0, 2000) || `Question ${index + 1}`),
    ...options.map((/** @type {any} */ option) => {
      const label = String(option?.label ?? option?.name ?? option);
      const more = option?.description ? ` — ${oneLine(option.description, 300)}` : "";
      return h("label", {}, h("input", { type, name: `q${index}`, value: label }), ` ${oneLine(label)}${more}`);
    }),
    h("label", {}, options.length > 0 ? "Other " : "Answer ", h("input", { type: "text", name: `t${index}` })));
}

/** @param {any} block */
function settled({ what, ask, outcome, option, answers, by }) {
  const title = oneLine(ask.tool_call?.title) || (what === "question" ? "Question" : "Permission");
  const chosen = (ask.options ?? []).find((/** @type {any} */ { option_id: id }) => id === option);
  const how = outcome === "selected" ? oneLine(chosen?.name ?? option, 80) : outcome === "answered" ? oneLine(Object.values(answers ?? {}).join(", ")) : words(outcome);
  return `${title}: ${how}${by ? `, by ${oneLine(by, 40)}` : ""}`;
}
