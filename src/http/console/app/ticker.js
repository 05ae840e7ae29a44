// Times on the page that go on by themselves: how long ago, how long still. One timer for all of them.

import { h, setText } from "./dom.js";
import { ago, left } from "./format.js";

/** How long ago something was. @param {string} ts */
export function since(ts) {
  const time = h("time", { datetime: ts, "data-since": String(Date.parse(ts)) });
  show(time);
  return time;
}

/** What is left until something. @param {number} at milliseconds */
export function until(at) {
  const time = h("span", { "data-until": String(at) });
  show(time);
  return time;
}

/** @param {any} time */
function show(time) {
  const { since, until } = time.dataset;
  const now = Date.now();
  if (since) setText(time, ago(now - Number(since)));
  else setText(time, left(Number(until) - now));
}

export function startTicker() {
  // The date in the reader's own words is made for whoever looks: the first one costs as much as a whole page.
  document.addEventListener("pointerover", ({ target }) => {
    const { dataset, title } = /** @type {HTMLElement} */ (target);
    if (dataset?.since && title === "") /** @type {HTMLElement} */ (target).title = new Date(Number(dataset.since)).toLocaleString();
  });
  setInterval(() => {
    if (document.visibilityState === "visible") document.querySelectorAll("[data-since],[data-until]").forEach(show);
  }, 1000);
}
