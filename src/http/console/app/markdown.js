// Markdown to a tree of plain nodes, of which only the tags named here can come. Pure: whoever makes elements of it sets
// text and nothing else. Raw HTML is text. What it does not understand is text. Everything has a bound, for the
// text may be made to hurt.

/**
 * A text, or an element. `href` stands on links alone; `host`: where a link goes, if its text does not say so.
 * @typedef {string | {tag: string, children: Node[], href?: string, host?: string, language?: string, start?: number}} Node
 */
/** @typedef {{source: string, nodes: Node[]}} Block */

/** So much text is looked at at once; a longer paragraph becomes several. */
const PIECE = 4000;
const DEPTH_MAX = 6;

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})(?:([-*+])|(\d{1,9})[.)])( {1,4}|$)/;
const ROW_RULE = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/**
 * The blocks of a text, each with its source: a block whose source stayed the same need not be made again.
 * @param {string} text
 * @returns {Block[]}
 */
export function parse(text) {
  return split(text.split("\n")).map((lines) => ({ source: lines.join("\n"), nodes: render(lines, 0) }));
}

/** The sources of a text's blocks alone. @param {string} text */
export function sources(text) {
  return split(text.split("\n")).map((lines) => lines.join("\n"));
}

/** What one source is. @param {string} source */
export function nodes(source) {
  return render(source.split("\n"), 0);
}

/** Groups lines into blocks. @param {string[]} lines @returns {string[][]} */
function split(lines) {
  const blocks = [];
  for (let at = 0; at < lines.length; ) {
    if (lines[at].trim() === "") {
      at += 1;
      continue;
    }
    const end = blockEnd(lines, at);
    blocks.push(...pieces(lines.slice(at, end)));
    at = end;
  }
  return blocks;
}

/** A paragraph that is too long, in pieces. @param {string[]} lines */
function pieces(lines) {
  if (FENCE.test(lines[0])) return [lines];
  const text = lines.join("\n");
  if (text.length <= PIECE) return [lines];
  const found = [];
  for (let at = 0; at < text.length; ) {
    const space = text.lastIndexOf(" ", at + PIECE);
    const end = text.length - at <= PIECE ? text.length : space > at + PIECE / 2 ? space : at + PIECE;
    found.push(text.slice(at, end).split("\n"));
    at = end;
  }
  return found;
}

/** @param {string[]} lines @param {number} begin */
function blockEnd(lines, begin) {
  const first = lines[begin];
  const fence = FENCE.exec(first);
  let at = begin + 1;
  if (fence) {
    const close = new RegExp(`^ {0,3}${fence[1][0]}{${fence[1].length},}[ \\t]*$`);
    while (at < lines.length && !close.test(lines[at])) at += 1;
    return Math.min(at + 1, lines.length);
  }
  if (HEADING.test(first) || RULE.test(first)) return at;
  if (QUOTE.test(first)) {
    while (at < lines.length && QUOTE.test(lines[at])) at += 1;
    return at;
  }
  if (ITEM.test(first)) return listEnd(lines, at);
  if (isTable(lines, begin)) {
    while (at < lines.length && lines[at].includes("|")) at += 1;
    return at;
  }
  while (at < lines.length && !interrupts(lines, at)) at += 1;
  return at;
}

/** A list goes on over its items, what is indented below them, and single empty lines between. @param {string[]} lines @param {number} at */
function listEnd(lines, at) {
  for (; at < lines.length; at += 1) {
    const line = lines[at];
    if (line.trim() === "") {
      const next = lines[at + 1] ?? "";
      if (next.trim() === "" || !(ITEM.test(next) || /^ {2,}/.test(next))) return at;
    } else if (!ITEM.test(line) && !/^ {2,}/.test(line) && interrupts(lines, at)) return at;
  }
  return at;
}

/** Whether a line ends the paragraph before it. @param {string[]} lines @param {number} at */
function interrupts(lines, at) {
  const line = lines[at];
  return (
    line.trim() === "" || FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) ||
    ITEM.test(line) || isTable(lines, at)
  );
}

/** @param {string[]} lines @param {number} at */
function isTable(lines, at) {
  const rule = lines[at + 1];
  return lines[at].includes("|") && rule !== undefined && rule.includes("-") && rule.length < PIECE && ROW_RULE.test(rule);
}

/** @param {string[]} lines @param {number} depth @returns {Node[]} */
function render(lines, depth) {
  const [first] = lines;
  const fence = FENCE.exec(first);
  if (fence) return [code(lines, fence[2].trim())];
  if (depth > DEPTH_MAX) return [element("p", inline(lines.join("\n")))];
  const heading = HEADING.exec(first);
  // The page has its own heading above these.
  if (heading) return [element(`h${Math.min(heading[1].length + 1, 6)}`, inline(heading[2]))];
  if (RULE.test(first)) return [element("hr", [])];
  if (QUOTE.test(first)) return [element("blockquote", inner(lines.map((line) => line.replace(QUOTE, "")), depth))];
  if (ITEM.test(first)) return [list(lines, depth)];
  if (isTable(lines, 0)) return [table(lines)];
  return [element("p", inline(lines.join("\n").trim()))];
}

/** @param {string[]} lines @param {number} depth */
function inner(lines, depth) {
  return split(lines).flatMap((block) => render(block, depth + 1));
}

/** @param {string[]} lines @param {string} language */
function code(lines, language) {
  const isClosed = lines.length > 1 && /^ {0,3}(`{3,}|~{3,})[ \t]*$/.test(lines[lines.length - 1]);
  const text = lines.slice(1, isClosed ? -1 : undefined).join("\n");
  return { tag: "pre", children: [text], language: language.split(/\s/, 1)[0].slice(0, 30) };
}

/** @param {string[]} lines @param {number} depth @returns {Node} */
function list(lines, depth) {
  const first = /** @type {RegExpExecArray} */ (ITEM.exec(lines[0]));
  const isOrdered = first[3] !== undefined;
  /** @type {string[][]} */
  const items = [];
  let width = 0;
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item && (items.length === 0 || item[1].length < Math.max(width, 2))) {
      width = item[0].length;
      items.push([line.slice(item[0].length)]);
    } else {
      const indent = /^ */.exec(line)?.[0].length ?? 0;
      items[items.length - 1].push(line.slice(Math.min(indent, Math.max(width, 2))));
    }
  }
  const children = items.map((item) => element("li", unwrapped(inner(item, depth))));
  return isOrdered ? { ...element("ol", children), start: Number(first[3]) } : element("ul", children);
}

/** An item of one paragraph needs none. @param {Node[]} nodes */
function unwrapped(nodes) {
  const [first, ...rest] = nodes;
  return typeof first === "object" && first.tag === "p" ? [...first.children, ...rest] : nodes;
}

/** @param {string[]} lines @returns {Node} */
function table([head, , ...body]) {
  const cells = (/** @type {string} */ line) => line.trim().replace(/^\||\|$/g, "").split("|").slice(0, 50);
  const row = (/** @type {string} */ line, /** @type {string} */ tag) =>
    element("tr", cells(line).map((cell) => element(tag, inline(cell.trim()))));
  return element("table", [
    element("thead", [row(head, "th")]),
    element("tbody", body.map((line) => row(line, "td"))),
  ]);
}

/** @param {string} tag @param {Node[]} children @returns {Exclude<Node, string>} */
function element(tag, children) {
  return { tag, children };
}

/** @param {string} text @returns {Node[]} */
export function inline(text) {
  const found = [];
  for (let at = 0; at < text.length; at += PIECE) found.push(...spans(text.slice(at, at + PIECE), 0));
  return joined(found);
}

const TOKEN =
  /\\([!-/:-@[-`{-~])|(`+)|(\*\*|__|~~)|([*_])|!?\[([^[\]\n]{0,500})\]\(\s*<?([^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+"[^"\n]*")?\s*\)|<((?:https?:\/\/|mailto:)[^\s<>]+)>|\bhttps?:\/\/[^\s<>"`]+/g;

/** @param {string} text @param {number} depth @param {boolean} [isLink] within one there are no others @returns {Node[]} */
function spans(text, depth, isLink = false) {
  if (depth > DEPTH_MAX) return [text];
  /** @type {Node[]} */
  const found = [];
  const token = new RegExp(TOKEN);
  let begin = 0;
  const put = (/** @type {number} */ upto, /** @type {Node} */ node, /** @type {number} */ next) => {
    found.push(text.slice(begin, upto), node);
    begin = next;
    token.lastIndex = next;
  };
  for (let hit = token.exec(text); hit; hit = token.exec(text)) {
    const [whole, escaped, ticks, double, single, label, target, angled] = hit;
    const { index } = hit;
    const after = index + whole.length;
    if (escaped !== undefined) put(index, escaped, after);
    else if (ticks !== undefined) {
      const close = closing(text, ticks, after);
      if (close >= 0) put(index, element("code", [text.slice(after, close).trim()]), close + ticks.length);
    } else if (double !== undefined || single !== undefined) {
      const mark = double ?? single;
      const close = emphasisEnd(text, mark, index);
      if (close > 0) {
        const tag = mark === "~~" ? "del" : mark.length === 2 ? "strong" : "em";
        put(index, element(tag, spans(text.slice(after, close), depth + 1, isLink)), close + mark.length);
      }
    } else if (isLink) {
      continue;
    } else if (label !== undefined) {
      const href = safeHref(target);
      if (href !== null) put(index, link(href, spans(label || target, depth + 1, true), label || target), after);
    } else {
      const bare = angled ?? whole.replace(/[.,;:!?'"*_~]+$|\)+[.,;:!?]*$/, (end) => (whole.includes("(") ? end.replace(/[.,;:!?]+$/, "") : ""));
      const href = safeHref(bare);
      if (href !== null) put(index, link(href, [bare], bare), angled === undefined ? index + bare.length : after);
    }
  }
  found.push(text.slice(begin));
  return joined(found);
}

/** The next run of exactly these backticks. @param {string} text @param {string} ticks @param {number} from */
function closing(text, ticks, from) {
  for (let at = text.indexOf(ticks, from); at >= 0; ) {
    let end = at + ticks.length;
    while (text[end] === "`") end += 1;
    if (end === at + ticks.length) return at;
    at = text.indexOf(ticks, end);
  }
  return -1;
}

/** Where an emphasis that begins at `begin` ends; -1: it is none. @param {string} text @param {string} mark @param {number} begin */
function emphasisEnd(text, mark, begin) {
  const isWord = (/** @type {number} */ at) => /[\p{L}\p{N}]/u.test(text[at] ?? "");
  const isSpace = (/** @type {number} */ at) => /^\s?$/.test(text[at] ?? "");
  const isUnderscore = mark[0] === "_";
  if (isSpace(begin + mark.length) || (isUnderscore && isWord(begin - 1))) return -1;
  let at = text.indexOf(mark, begin + mark.length);
  // Whoever opens so many and closes none writes no emphasis.
  for (let tries = 0; at >= 0 && tries < 50; tries += 1, at = text.indexOf(mark, at + mark.length)) {
    if (isSpace(at - 1) || (isUnderscore && isWord(at + mark.length))) continue;
    if (mark.length === 1 && (text[at + 1] === mark || text[at - 1] === mark)) {
      at += 1;
      continue;
    }
    return at;
  }
  return -1;
}

/** @param {string} href @param {Node[]} children @param {string} shown @returns {Node} */
function link(href, children, shown) {
  const { host, protocol, pathname } = new URL(href);
  const target = protocol === "mailto:" ? pathname : host;
  // A text that is an address itself says where it goes, if it goes there.
  const named = shown === target ? href : safeHref(shown);
  const isBare = named !== null && new URL(named).host === host && new URL(named).protocol === protocol;
  return isBare ? { tag: "a", children, href } : { tag: "a", children, href, host: target };
}

/** The address, if a page may link to it: nothing that runs, nothing of ours. @param {string} text */
export function safeHref(text) {
  try {
    const url = new URL(text);
    return ["http:", "https:", "mailto:"].includes(url.protocol) && url.href.length <= 2000 ? url.href : null;
  } catch {
    return null;
  }
}

/** Texts that stand side by side are one. @param {Node[]} nodes */
function joined(nodes) {
  /** @type {Node[]} */
  const found = [];
  for (const node of nodes) {
    const last = found.length - 1;
    if (node === "") continue;
    if (typeof node === "string" && typeof found[last] === "string") found[last] += node;
    else found.push(node);
  }
  return found;
}
