// The arithmetic of a long list of which only a window is on the page: where each item is, and which ones are to be seen.
// Pure: heights that were measured come in, positions go out; what was not measured yet is estimated.

export class Heights {
  /** @type {Map<string, number>} */
  #measured = new Map();
  /** @type {string[]} */
  #keys = [];
  /** Where each item begins; the last one is the end of all. */
  #offsets = new Float64Array(1);
  /** Offsets up to here are right. */
  #valid = 0;
  #estimate;
  #sum = 0;

  /** @param {number} estimate of an item that was never measured */
  constructor(estimate) {
    this.#estimate = estimate;
  }

  /** The items, in order. What is known of those that stay is kept. @param {string[]} keys */
  keys(keys) {
    let same = 0;
    while (same < keys.length && this.#keys[same] === keys[same]) same += 1;
    this.#keys = keys;
    this.#valid = Math.min(this.#valid, same);
    if (this.#offsets.length < keys.length + 1) {
      const larger = new Float64Array(Math.max(keys.length + 1, this.#offsets.length * 2));
      larger.set(this.#offsets);
      this.#offsets = larger;
    }
  }

  get count() {
    return this.#keys.length;
  }

  /** Whether that changed anything. @param {number} index @param {number} height */
  measure(index, height) {
    const key = this.#keys[index];
    const before = this.#measured.get(key);
    if (before === height) return false;
    this.#sum += height - (before ?? 0);
    this.#measured.set(key, height);
    this.#valid = Math.min(this.#valid, index);
    return true;
  }

  /** Other widths make other heights. */
  forget() {
    this.#measured.clear();
    this.#sum = 0;
    this.#valid = 0;
  }

  /** Where an item begins; of the count: the end of all. @param {number} index */
  offset(index) {
    const { size } = this.#measured;
    // What was seen is the best guess of what was not.
    const usual = size < 20 ? this.#estimate : this.#sum / size;
    if (this.#usual !== usual && Math.abs(this.#usual - usual) > usual * 0.2) {
      this.#usual = usual;
      this.#valid = 0;
    }
    for (; this.#valid < index; this.#valid += 1) {
      const height = this.#measured.get(this.#keys[this.#valid]) ?? this.#usual;
      this.#offsets[this.#valid + 1] = this.#offsets[this.#valid] + height;
    }
    return this.#offsets[index];
  }

  #usual = 0;

  get total() {
    return this.offset(this.#keys.length);
  }

  /** The item at this height; the last one below all. @param {number} y */
  indexAt(y) {
    this.offset(this.#keys.length);
    let [low, high] = [0, Math.max(0, this.#keys.length - 1)];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#offsets[middle] <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The items that touch what is between two heights: from one up to but without the other. @param {number} top @param {number} bottom */
  range(top, bottom) {
    if (this.#keys.length === 0) return { from: 0, to: 0 };
    return { from: this.indexAt(top), to: this.indexAt(Math.max(top, bottom)) + 1 };
  }

  /** @param {string} key */
  indexOf(key) {
    return this.#keys.indexOf(key);
  }

  /** @param {number} index */
  key(index) {
    return this.#keys[index];
  }
}
