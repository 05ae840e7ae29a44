// A long list of which only what is near the window is on the page. It stays at the bottom only if it was there, and else
// keeps in place what is being read, whatever comes above or below. Where things are is worked out in `Heights`.

import { h } from "./dom.js";
import { Heights } from "./heights.js";

/** So far above and below the window items are on the page. */
const MARGIN = 800;
/** So near the bottom counts as being there. */
const NEAR = 48;

/**
 * @typedef {{key: string, rev: number}} Item
 */

export class Scroller {
  #heights = new Heights(60);
  /** @type {any[]} */
  #items = [];
  /** @type {Map<string, {element: HTMLElement, rev: number}>} */
  #mounted = new Map();
  #make;
  #refresh;
  #onTop;
  #onShown;
  #feed;
  #above;
  #below;
  #isScheduled = false;
  #isPinned = true;
  #lastTop = 0;
  #width = 0;
  /** What is read, and how far it is above the window's edge. @type {{key: string, delta: number} | null} */
  #anchor = null;
  #resizes;

  /**
   * @param {{label: string, make: (item: any) => HTMLElement, refresh: (element: HTMLElement, item: any) => void,
   *   onTop: () => void, onShown: (items: any[]) => void, tail: HTMLElement}} parts `onTop`: the first item is near;
   *   `tail`: what is below all items
   */
  constructor({ label, make, refresh, onTop, onShown, tail }) {
    this.#make = make;
    this.#refresh = refresh;
    this.#onTop = onTop;
    this.#onShown = onShown;
    this.#above = h("div");
    this.#below = h("div");
    this.#feed = h("div", { role: "feed", "aria-label": label, class: "feed" });
    this.element = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, this.#above, this.#feed, this.#below, tail);
    this.element.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#resizes = new ResizeObserver(() => this.schedule());
    this.#resizes.observe(this.element);
    this.#resizes.observe(tail);
  }

  get isPinned() {
    return this.#isPinned;
  }

  /** Shows these at once: whoever calls it is in a frame already. @param {any[]} items */
  set(items) {
    this.#items = items;
    this.#heights.keys(items.map(({ key }) => key));
    this.#render();
  }

  toBottom() {
    this.#isPinned = true;
    this.schedule();
  }

  schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    requestAnimationFrame(() => {
      this.#isScheduled = false;
      this.#render();
    });
  }

  close() {
    this.#resizes.disconnect();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.element;
    // What grows below does not mean that somebody has scrolled up.
    if (scrollHeight - scrollTop - clientHeight < NEAR) this.#isPinned = true;
    else if (scrollTop < this.#lastTop - 1) this.#isPinned = false;
    this.#lastTop = scrollTop;
    this.#hold(scrollTop);
    this.schedule();
  }

  /** Remembers what is being read. @param {number} top */
  #hold(top) {
    if (this.#heights.count === 0) return;
    const index = this.#heights.indexAt(top);
    this.#anchor = { key: this.#heights.key(index), delta: top - this.#heights.offset(index) };
  }

  #render() {
    const view = this.element;
    const { clientHeight: height, clientWidth: width } = view;
    if (height === 0) return;
    if (width !== this.#width) {
      this.#width = width;
      this.#heights.forget();
    }
    let window = { from: 0, to: 0 };
    // Measuring what is new may show that something else is near; it settles at once or nearly so.
    for (let turn = 0; turn < 5; turn += 1) {
      const top = this.#top(height);
      const next = this.#heights.range(top - MARGIN, top + height + MARGIN);
      this.#mount(next.from, next.to);
      const isChanged = this.#measure(next.from, next.to);
      this.#above.style.height = `${this.#heights.offset(next.from)}px`;
      this.#below.style.height = `${this.#heights.total - this.#heights.offset(next.to)}px`;
      const isSame = next.from === window.from && next.to === window.to;
      window = next;
      if (!isChanged && isSame) break;
    }
    const top = this.#isPinned ? view.scrollHeight : this.#top(height);
    if (Math.abs(view.scrollTop - top) > 0.5) view.scrollTop = top;
    this.#lastTop = view.scrollTop;
    if (this.#isPinned) this.#hold(view.scrollTop);
    this.#onShown(this.#items.slice(window.from, window.to));
    if (window.from === 0) this.#onTop();
  }

  /** Where the window begins. @param {number} height */
  #top(height) {
    if (this.#isPinned || this.#anchor === null) return Math.max(0, this.#heights.total - height);
    const index = this.#heights.indexOf(this.#anchor.key);
    // What was read is gone: a page has taken its place.
    if (index < 0) return this.element.scrollTop;
    return this.#heights.offset(index) + this.#anchor.delta;
  }

  /** @param {number} from @param {number} to */
  #mount(from, to) {
    const wanted = this.#items.slice(from, to);
    const keys = new Set(wanted.map(({ key }) => key));
    for (const [key, { element }] of this.#mounted) {
      if (keys.has(key)) continue;
      this.#resizes.unobserve(element);
      element.remove();
      this.#mounted.delete(key);
    }
    let before = this.#feed.firstElementChild;
    for (const [offset, item] of wanted.entries()) {
      let known = this.#mounted.get(item.key);
      if (!known) {
        known = { element: this.#make(item), rev: item.rev };
        this.#mounted.set(item.key, known);
        this.#resizes.observe(known.element);
      } else if (known.rev !== item.rev) {
        known.rev = item.rev;
        this.#refresh(known.element, item);
      }
      known.element.setAttribute("aria-posinset", String(from + offset + 1));
      known.element.setAttribute("aria-setsize", String(this.#items.length));
      if (known.element === before) before = before.nextElementSibling;
      else this.#feed.insertBefore(known.element, before);
    }
  }

  /** @param {number} from @param {number} to */
  #measure(from, to) {
    let isChanged = false;
    for (let index = from; index < to; index += 1) {
      const known = this.#mounted.get(this.#items[index].key);
      if (known && this.#heights.measure(index, known.element.getBoundingClientRect().height)) isChanged = true;
    }
    return isChanged;
  }
}
