// Markdown within a line: emphasis, code, links, line breaks. Makes DOM nodes;
// what is not Markdown, HTML included, stays text. Takes time in proportion to
// the text, whatever it is.

import { element } from "./dom.js";

// Nested elements beyond this depth stay text.
const kMaxDepth = 32;

const kEntities = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const kCharacters = { code: /&#(\d{1,7}|x[\da-f]{1,6});/iy, name: /&([a-z]{2,4});/y };
const kLineBreak = /<br {0,3}\/?>/iy;
const kBracketed = /<(https?:\/\/[^\s<>]{1,2000})>/iy;
const kBare = /https?:\/\/[^\s<>"`*|\\\]]{1,2000}/iy;
const kTarget = /\(\s{0,8}<?([^\s<>()]{0,2000}(?:\([^\s<>()]{0,500}\)[^\s<>()]{0,500}){0,8})>?(?:\s{1,8}(?:"[^"]{0,300}"|'[^']{0,300}'))?\s{0,8}\)/y;
const kWord = /[\p{L}\p{N}]/u;

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

// Returns the address of a link that a reader may follow, or null.
function safeUrl(text) {
  try {
    const url = new URL(text);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

function link(url, children) {
  return element("a", { href: url, title: url, target: "_blank", rel: "noopener noreferrer" }, children);
}

// A list of nodes, with the depth of the deepest. Neighbouring texts are one.
class Nodes {
  constructor() {
    this.list = [];
    this.depth = 0;
  }
  add(node, depth = 0) {
    const last = this.list.at(-1);
    if (typeof node === "string" && typeof last === "string") {
      this.list[this.list.length - 1] = last + node;
    } else if (node !== "") {
      this.list.push(node);
    }
    this.depth = Math.max(this.depth, depth);
  }
}

// Makes nodes of parts: strings, nodes ({node, depth}) and runs of marks ({mark,
// count, opens, closes}). A run that closes looks for the nearest run of its
// mark that opens; runs between the two are text.
function emphasize(parts) {
  const out = [];
  const openers = { "*": [], "_": [], "~": [] };  // their places in out
  for (const part of parts) {
    if (part.mark === undefined) {
      out.push(part);
      continue;
    }
    const { mark } = part;
    let left = part.count;
    while (part.closes && left > 0 && openers[mark].length > 0) {
      const at = openers[mark].at(-1);
      const opener = out[at];
      const used = Math.min(left, opener.count, 2);
      if (mark === "~" && (left !== opener.count || left > 2)) break;
      const inner = flatten(out.splice(at + 1));
      for (const places of Object.values(openers)) {
        while (places.length > 0 && places.at(-1) > at) places.pop();
      }
      opener.count -= used;
      left -= used;
      if (opener.count === 0) {
        out.pop();
        openers[mark].pop();
      }
      if (inner.depth >= kMaxDepth) {
        out.push(mark.repeat(used));
        for (const node of inner.list) out.push(asPart(node, inner.depth));
        out.push(mark.repeat(used));
        continue;
      }
      const tag = mark === "~" ? "del" : used === 2 ? "strong" : "em";
      out.push({ node: element(tag, {}, inner.list), depth: inner.depth + 1 });
    }
    if (left === 0) continue;
    if (part.opens) {
      openers[mark].push(out.length);
      out.push({ mark, count: left });
    } else {
      out.push(mark.repeat(left));
    }
  }
  return flatten(out);
}

function asPart(node, depth) {
  return typeof node === "string" ? node : { node, depth };
}

// Makes nodes of parts, whose runs are text.
function flatten(parts) {
  const nodes = new Nodes();
  for (const part of parts) {
    if (typeof part === "string") {
      nodes.add(part);
    } else if (part.mark !== undefined) {
      nodes.add(part.mark.repeat(part.count));
    } else {
      nodes.add(part.node, part.depth);
    }
  }
  return nodes;
}

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.parts = [];
    this.brackets = [];         // parts that are "[" or "![", innermost last
    this.unclosed = new Set();  // lengths of runs of ` that no later run closes
  }

  add(part) {
    const last = this.parts.length - 1;
    const joins = typeof part === "string" && typeof this.parts[last] === "string" && this.brackets.at(-1) !== last;
    if (joins) {
      this.parts[last] += part;
    } else {
      this.parts.push(part);
    }
  }

  read() {
    const special = /[\\`*_~[\]!<h&\n]/gi;
    while (this.at < this.text.length) {
      special.lastIndex = this.at;
      const next = special.exec(this.text)?.index ?? this.text.length;
      if (next > this.at) this.add(this.text.slice(this.at, next));
      this.at = next;
      if (next < this.text.length) this.readSpecial(this.text[next]);
    }
    return emphasize(this.parts).list;
  }

  readSpecial(character) {
    switch (character) {
      case "\\": return this.readEscape();
      case "`": return this.readCode();
      case "*": case "_": case "~": return this.readRun(character);
      case "!":
        if (this.text[this.at + 1] === "[") return this.open("![");
        break;
      case "[": return this.open("[");
      case "]": return this.close();
      case "<": if (this.readAngle()) return; break;
      case "h": case "H": if (this.readBare()) return; break;
      case "&": if (this.readEntity()) return; break;
      case "\n":
        this.at += 1;
        return this.add({ node: element("br"), depth: 0 });
    }
    this.add(character);
    this.at += 1;
  }

  readEscape() {
    const next = this.text[this.at + 1];
    const escapes = next !== undefined && /[!-/:-@[-`{-~]/.test(next);
    this.add(escapes ? next : "\\");
    this.at += escapes ? 2 : 1;
  }

  readCode() {
    const length = this.runLength("`");
    const begin = this.at + length;
    let end = this.unclosed.has(length) ? -1 : this.text.indexOf("`".repeat(length), begin);
    while (end >= 0) {
      let after = end;
      while (this.text[after] === "`") after += 1;
      if (after - end === length) break;
      end = this.text.indexOf("`".repeat(length), after);
    }
    if (end < 0) {
      this.unclosed.add(length);
      this.add("`".repeat(length));
      this.at = begin;
      return;
    }
    let code = this.text.slice(begin, end).replaceAll("\n", " ");
    if (code.startsWith(" ") && code.endsWith(" ") && code.trim() !== "") code = code.slice(1, -1);
    this.add({ node: element("code", {}, code), depth: 0 });
    this.at = end + length;
  }

  runLength(mark) {
    let end = this.at;
    while (this.text[end] === mark) end += 1;
    return end - this.at;
  }

  // Unlike CommonMark, "*" may stand between punctuation and a letter, because
  // texts without blanks between words have no other way to emphasize.
  readRun(mark) {
    const count = this.runLength(mark);
    const before = this.text[this.at - 1] ?? " ";
    const after = this.text[this.at + count] ?? " ";
    const inWord = mark === "_" && kWord.test(before) && kWord.test(after);
    this.add({ mark, count, opens: !/\s/.test(after) && !inWord, closes: !/\s/.test(before) && !inWord });
    this.at += count;
  }

  open(mark) {
    this.brackets.push(this.parts.length);
    this.parts.push(mark);
    this.at += mark.length;
  }

  close() {
    const begin = this.brackets.pop();
    const target = begin === undefined ? null : match(kTarget, this.text, this.at + 1);
    const url = target && safeUrl(target[1]);
    if (!url) {
      this.add("]");
      this.at += 1;
      return;
    }
    const inner = emphasize(this.parts.splice(begin).slice(1));
    if (inner.list.length === 0) inner.add(url);
    this.add({ node: link(url, inner.list), depth: Math.min(inner.depth + 1, kMaxDepth) });
    this.brackets.length = 0;  // a link contains no link
    this.at += 1 + target[0].length;
  }

  readAngle() {
    const line = match(kLineBreak, this.text, this.at);
    const bracketed = line ? null : match(kBracketed, this.text, this.at);
    const url = bracketed && safeUrl(bracketed[1]);
    if (!line && !url) return false;
    this.add({ node: line ? element("br") : link(url, [bracketed[1]]), depth: 1 });
    this.at += (line ?? bracketed)[0].length;
    return true;
  }

  // An address in the text. A bracketed text may become a link, so it has none.
  readBare() {
    if (this.brackets.length > 0 || kWord.test(this.text[this.at - 1] ?? " ")) return false;
    let address = match(kBare, this.text, this.at)?.[0];
    if (!address) return false;
    address = address.replace(/[.,;:!?'_~]{1,20}$/, "");
    while (address.endsWith(")") && address.split(")").length > address.split("(").length) address = address.slice(0, -1);
    const url = safeUrl(address);
    if (!url) return false;
    this.add({ node: link(url, [address]), depth: 1 });
    this.at += address.length;
    return true;
  }

  readEntity() {
    const code = match(kCharacters.code, this.text, this.at);
    const name = code ? null : match(kCharacters.name, this.text, this.at);
    let character = name ? kEntities[name[1]] : undefined;
    if (code) {
      const point = /^x/i.test(code[1]) ? parseInt(code[1].slice(1), 16) : Number(code[1]);
      if (point > 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff)) character = String.fromCodePoint(point);
    }
    if (character === undefined) return false;
    this.add(character);
    this.at += (code ?? name)[0].length;
    return true;
  }
}

// Returns a text as nodes and strings.
export function inlineNodes(text) {
  return new Reader(text).read();
}
