// Dialogs: the browser's own, which keep the focus and give it back.

import { button, h } from "./dom.js";

/**
 * Shows a form; `submit` gets its fields and says what is wrong with them, or null.
 * @param {string} title @param {(Node | string)[]} content @param {string} action
 * @param {(fields: FormData) => Promise<string | null> | string | null} submit
 * @param {{danger?: boolean}} [how]
 */
export function dialog(title, content, action, submit, { danger = false } = {}) {
  const fault = h("p", { class: "fault", role: "alert" });
  const ok = h("button", { class: danger ? "danger" : "yes" }, action);
  const form = h("form", { method: "dialog" }, h("h2", { id: "dialog-title" }, title), ...content, fault,
    h("div", { class: "row" }, h("span", { class: "fill" }), button("Cancel", () => box.close()), ok));
  const box = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    ok.disabled = true;
    fault.textContent = "";
    const problem = await submit(new FormData(form));
    ok.disabled = false;
    if (problem === null) box.close();
    else fault.textContent = problem;
  });
  box.addEventListener("close", () => box.remove());
  document.body.append(box);
  box.showModal();
}

/** @param {string} label @param {Record<string, any>} props */
export function field(label, props) {
  return h("label", { class: "field" }, h("span", {}, label), h("input", { autocomplete: "off", ...props }));
}

/** What went wrong, for people. @param {unknown} error */
export function problemOf(error) {
  return /** @type {any} */ (error)?.detail ?? String(/** @type {any} */ (error)?.message ?? error);
}
