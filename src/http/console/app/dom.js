// Elements made by hand: text is set as text, attributes are named by us. Nothing here or elsewhere reads HTML.

import { nodes, sources } from "./markdown.js";

/**
 * An element. Of `props`: `on` has listeners, `text` is the content; true is an empty attribute, null and false are none.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {(Node | string | null | undefined | false)[]} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "text") element.textContent = value;
    else if (name === "on") for (const [event, listen] of Object.entries(value)) element.addEventListener(event, listen);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => child));
  return element;
}

/** A button that says what it does. @param {string} text @param {() => void} click @param {Record<string, any>} [props] */
export function button(text, click, props = {}) {
  return h("button", { type: "button", ...props, on: { click } }, text);
}

/** @param {Element} element @param {string} text */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** What each element shows, block by block. @type {WeakMap<Element, {source: string, made: Node[]}[]>} */
const shown = new WeakMap();

/** Shows markdown; blocks that stayed the same are left alone, so that text can grow. @param {Element} element @param {string} text */
export function showMarkdown(element, text) {
  const known = shown.get(element) ?? [];
  const wanted = sources(text);
  let same = 0;
  while (same < known.length && known[same].source === wanted[same]) same += 1;
  for (const { made } of known.splice(same)) for (const node of made) /** @type {ChildNode} */ (node).remove();
  for (const source of wanted.slice(same)) {
    const made = nodes(source).map(fromTree);
    element.append(...made);
    known.push({ source, made });
  }
  shown.set(element, known);
}

/** @param {import("./markdown.js").Node} node @returns {Node} */
function fromTree(node) {
  if (typeof node === "string") return document.createTextNode(node);
  const children = node.children.map(fromTree);
  if (node.tag === "pre") {
    const code = h("pre", { tabindex: 0, role: "group", "aria-label": node.language ? `Code, ${node.language}` : "Code" });
    code.append(h("code", {}, ...children));
    return code;
  }
  if (node.tag === "table") return h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": "Table" }, h("table", {}, ...children));
  if (node.href === undefined) return h(node.tag, node.start === undefined ? {} : { start: node.start }, ...children);
  const link = h("a", { href: node.href, rel: "noopener noreferrer", target: "_blank" }, ...children);
  if (node.host === undefined) return link;
  return h("span", {}, link, h("span", { class: "host" }, ` (${node.host})`));
}
