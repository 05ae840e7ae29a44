// Where messages are written. It sends at once, always: whether there is a connection is the outbox's matter.

import { freshId } from "../seawall.js";
import { button, h } from "./dom.js";

/**
 * @typedef {object} Parts
 * @property {string} session
 * @property {(message: any) => void} push takes a message or throws why not
 * @property {(id: string, message: any) => void} replace
 * @property {() => void} interrupt
 * @property {() => void} stop
 * @property {(text: string) => void} fault
 */

export class Composer {
  #parts;
  #text;
  #stop;
  #interrupt;
  #editing;
  /** The message that is put in the place of. @type {string | null} */
  #replaces = null;
  #draftKey;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
    this.#draftKey = `seawall.draft.${parts.session}`;
    this.#text = /** @type {HTMLTextAreaElement} */ (h("textarea", {
      id: "message", rows: 1, "aria-label": "Message", placeholder: "Message", autocomplete: "off", enterkeyhint: "send",
      on: { keydown: (/** @type {KeyboardEvent} */ event) => this.#key(event), input: () => this.#changed() },
    }));
    this.#interrupt = button("Interrupt", () => parts.interrupt(), { title: "End the running turn (Escape)" });
    this.#stop = button("Stop", () => parts.stop(), { title: "End the agent; a message brings it back" });
    this.#editing = h("div", { class: "editing", hidden: true }, "Editing a message that failed ", button("Cancel", () => this.#leave()));
    const send = h("button", { class: "send" }, "Send");
    this.element = h("form", { class: "composer", on: { submit: (/** @type {Event} */ event) => this.#submit(event) } },
      this.#editing, this.#text, h("div", { class: "row" }, this.#interrupt, this.#stop, h("span", { class: "fill" }), send));
    try {
      this.#text.value = sessionStorage.getItem(this.#draftKey) ?? "";
    } catch {
      // Storage is switched off.
    }
  }

  /** @param {{isRunning: boolean, isEnded: boolean}} session */
  show({ isRunning, isEnded }) {
    this.#interrupt.hidden = !isRunning;
    this.#stop.hidden = isEnded;
  }

  focus() {
    this.#text.focus();
    this.#fit();
  }

  /** Takes a text to be changed. @param {string} text @param {string | null} [replaces] */
  edit(text, replaces = null) {
    this.#text.value = text;
    this.#replaces = replaces;
    this.#editing.hidden = replaces === null;
    this.#changed();
    this.focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape") {
      if (this.#replaces !== null) this.#leave();
      else if (!this.#interrupt.hidden) this.#parts.interrupt();
      return;
    }
    if (event.key !== "Enter" || event.isComposing || event.shiftKey) return;
    // On a phone's keyboard Enter is a new line: there is a button.
    if (matchMedia("(pointer: coarse)").matches && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.#send(event.ctrlKey || event.metaKey);
  }

  /** @param {Event} event */
  #submit(event) {
    event.preventDefault();
    this.#send(false);
  }

  /** @param {boolean} interrupts it goes before all that waits */
  #send(interrupts) {
    const text = this.#text.value;
    if (text.trim() === "") return;
    const message = interrupts ? { message_id: freshId(), text, interrupt: true } : { message_id: freshId(), text };
    try {
      if (this.#replaces === null) this.#parts.push(message);
      else this.#parts.replace(this.#replaces, message);
    } catch (error) {
      // It stays where it was written.
      this.#parts.fault(error instanceof Error ? error.message : String(error));
      return;
    }
    this.#leave();
  }

  #leave() {
    this.#replaces = null;
    this.#editing.hidden = true;
    this.#text.value = "";
    this.#changed();
  }

  #changed() {
    this.#fit();
    try {
      if (this.#text.value === "") sessionStorage.removeItem(this.#draftKey);
      else sessionStorage.setItem(this.#draftKey, this.#text.value);
    } catch {
      // Storage is switched off.
    }
  }

  #fit() {
    this.#text.style.height = "auto";
    this.#text.style.height = `${Math.min(this.#text.scrollHeight + 2, innerHeight * 0.4)}px`;
  }
}
