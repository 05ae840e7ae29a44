// The messages that the server does not have yet, below the transcript: what they wait for, what became of them.

import { button, h } from "./dom.js";
import { clean } from "./text.js";
import { contentText } from "./transcript.js";
import { until } from "./ticker.js";

/**
 * @typedef {{retry: (id: string) => void, edit: (id: string, text: string) => void, discard: (id: string) => void}} PendingActs
 */

/**
 * @param {import("../seawall.js").Outbox} outbox
 * @param {{hasMessage: (id: string) => boolean, head: number}} transcript
 * @param {PendingActs} acts
 */
export function pendingMessages(outbox, transcript, acts) {
  const { state } = outbox;
  // What is in the log is shown there, also where that part of it is not loaded.
  const isThere = (/** @type {any} */ { state, seq, message }) =>
    transcript.hasMessage(message.message_id) || (state === "accepted" && seq !== undefined && seq <= transcript.head);
  const waiting = state.entries.filter((entry) => !isThere(entry));
  return waiting.map((entry) => one(entry, state, acts));
}

/** @param {any} entry @param {import("../client/outbox.js").OutboxState} state @param {PendingActs} acts */
function one({ message, state, detail }, { inFlight, signedOut, retryAt }, acts) {
  const id = message.message_id;
  const text = message.text ?? contentText(message.content);
  const buttons = [];
  if (state === "failed" || state === "uncertain") buttons.push(button("Retry", () => acts.retry(id)), button("Edit", () => acts.edit(id, text)));
  if (state !== "accepted" && inFlight !== id) buttons.push(button("Discard", () => acts.discard(id)));
  return h("div", { class: `block user unsent ${state}`, "data-message": id },
    h("div", { class: "meta" }, h("span", { class: `status ${state}` }, ...word())),
    h("div", { class: "words" }, clean(text)),
    buttons.length > 0 && h("div", { class: "acts" }, ...buttons));

  function word() {
    if (state === "accepted") return ["accepted"];
    if (state === "uncertain") return ["uncertain: it may have run"];
    if (state === "failed") return [`failed: ${clean(detail)}`];
    if (signedOut) return ["pending: sign in to send it"];
    if (inFlight === id) return ["pending: being sent"];
    return retryAt === null ? ["pending"] : ["pending: next try in ", until(retryAt)];
  }
}
