// Markdown as DOM nodes: paragraphs, headings, lists, quotes, tables, code and
// rules. HTML in it stays text. While an answer grows, only its last block is
// drawn anew.

import { copyButton, element } from "./dom.js";
import { inlineNodes } from "./inline.js";

// Lists and quotes within lists and quotes beyond this depth are text.
const kMaxDepth = 12;

const kFence = /^ {0,3}(`{3,}|~{3,})[ \t]*(.*)$/;
const kHeading = /^ {0,3}(#{1,6})(?:[ \t]|$)/;
const kRule = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const kQuote = /^ {0,3}>/;
const kItem = /^( {0,3})([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const kColumn = /^:?-+:?$/;

const isBlank = (line) => line === undefined || line.trim() === "";
const indentOf = (line) => line.length - line.trimStart().length;

// The cells of a row: text between bars that are neither escaped nor in code.
function cellsOf(line) {
  const row = line.trim();
  const cells = [];
  let cell = "";
  let inCode = false;
  for (let i = row[0] === "|" ? 1 : 0; i < row.length; i += 1) {
    if (row[i] === "\\" && row[i + 1] === "|") {
      cell += "|";
      i += 1;
    } else if (row[i] === "|" && !inCode) {
      cells.push(cell.trim());
      cell = "";
    } else {
      if (row[i] === "`") inCode = !inCode;
      cell += row[i];
    }
  }
  if (cell.trim() !== "") cells.push(cell.trim());
  return cells;
}

function beginsTable(lines, at) {
  if (!lines[at].includes("|") || !/^[ \t]*[|:-][-|: \t]*$/.test(lines[at + 1] ?? "")) return false;
  const columns = cellsOf(lines[at + 1]);
  return columns.every((column) => kColumn.test(column)) && columns.length === cellsOf(lines[at]).length;
}

// Whether a line begins a block that ends the paragraph before it.
function interrupts(lines, at) {
  const line = lines[at];
  if (kFence.test(line) || kHeading.test(line) || kQuote.test(line) || kRule.test(line)) return true;
  const item = kItem.exec(line);
  if (item && line.length > item[0].length && (!/\d/.test(item[2]) || parseInt(item[2], 10) === 1)) return true;
  return beginsTable(lines, at);
}

// Each reader returns the block that begins at a line, and `end`, the line after
// it, or null.

function readFence(lines, at) {
  const fence = kFence.exec(lines[at]);
  if (!fence || (fence[1][0] === "`" && fence[2].includes("`"))) return null;
  const indent = indentOf(lines[at]);
  const code = [];
  let end = at + 1;
  for (; end < lines.length; end += 1) {
    const line = lines[end].trim();
    const closes = line.length >= fence[1].length && indentOf(lines[end]) < 4 && line === fence[1][0].repeat(line.length);
    if (closes) return { kind: "code", language: fence[2].trim().split(/\s/)[0], code: code.join("\n"), end: end + 1 };
    code.push(lines[end].slice(Math.min(indent, indentOf(lines[end]))));
  }
  return { kind: "code", language: fence[2].trim().split(/\s/)[0], code: code.join("\n"), end };
}

function readIndentedCode(lines, at) {
  if (!/^(?: {4}|\t)/.test(lines[at])) return null;
  let end = at;
  let last = at;
  for (; end < lines.length && (isBlank(lines[end]) || /^(?: {4}|\t)/.test(lines[end])); end += 1) {
    if (!isBlank(lines[end])) last = end;
  }
  const code = lines.slice(at, last + 1).map((line) => line.replace(/^(?: {1,4}|\t)/, ""));
  return { kind: "code", language: "", code: code.join("\n"), end: last + 1 };
}

function readHeading(lines, at) {
  const heading = kHeading.exec(lines[at]);
  if (!heading) return null;
  const text = lines[at].slice(heading[0].length).trim().replace(/(?:^|[ \t])#+$/, "").trim();
  return { kind: "heading", level: heading[1].length, text, end: at + 1 };
}

function readQuote(lines, at, depth) {
  if (!kQuote.test(lines[at]) || depth >= kMaxDepth) return null;
  const inner = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    if (kQuote.test(lines[end])) {
      inner.push(lines[end].replace(/^ {0,3}> ?/, ""));
    } else if (isBlank(lines[end]) || isBlank(inner.at(-1)) || interrupts(lines, end)) {
      break;
    } else {
      inner.push(lines[end]);
    }
  }
  return { kind: "quote", blocks: readBlocks(inner, depth + 1), end };
}

function readList(lines, at, depth) {
  const first = kItem.exec(lines[at]);
  if (!first || depth >= kMaxDepth) return null;
  const mark = first[2].at(-1);
  const items = [];
  let loose = false;
  let end = at;
  while (end < lines.length) {
    const item = kItem.exec(lines[end]);
    if (!item || item[2].at(-1) !== mark || kRule.test(lines[end])) break;
    const spaces = item[0].length - item[1].length - item[2].length;
    const width = item[1].length + item[2].length + (spaces >= 1 && spaces <= 4 ? spaces : 1);
    const inner = [lines[end].slice(width)];
    let blank = false;
    for (end += 1; end < lines.length; end += 1) {
      const line = lines[end];
      const indent = indentOf(line);
      if (isBlank(line)) {
        blank = true;
        inner.push("");
        continue;
      }
      // Models often indent inner lists by less than the text of the item.
      const nests = indent >= Math.min(width, item[1].length + 2) && (indent >= width || kItem.test(line.trimStart()));
      if (!nests && (blank || interrupts(lines, end))) break;
      if (!nests && kItem.test(line)) break;
      loose ||= blank && nests && indent < width + 2 && !kItem.test(line.trimStart());
      inner.push(line.slice(Math.min(width, indent)));
      blank = false;
    }
    items.push(inner);
    const next = end < lines.length ? kItem.exec(lines[end]) : null;
    loose ||= blank && next !== null && next[2].at(-1) === mark;
  }
  // Blank lines at the end belong to what follows.
  while (isBlank(lines[end - 1])) end -= 1;
  const start = /\d/.test(first[2]) ? parseInt(first[2], 10) : null;
  return { kind: "list", start, loose, items: items.map((inner) => readBlocks(inner, depth + 1)), end };
}

function readTable(lines, at) {
  if (!beginsTable(lines, at)) return null;
  const aligns = cellsOf(lines[at + 1]).map((column) =>
    column.endsWith(":") ? (column.startsWith(":") ? "center" : "end") : "start");
  const rows = [cellsOf(lines[at])];
  let end = at + 2;
  for (; end < lines.length && lines[end].includes("|"); end += 1) {
    rows.push(cellsOf(lines[end]).slice(0, aligns.length));
  }
  return { kind: "table", aligns, rows, end };
}

function readParagraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && !isBlank(lines[end]) && !interrupts(lines, end)) end += 1;
  return { kind: "paragraph", text: lines.slice(at, end).map((line) => line.trim()).join("\n"), end };
}

function readBlocks(lines, depth) {
  const blocks = [];
  for (let at = 0; at < lines.length;) {
    if (isBlank(lines[at])) {
      at += 1;
      continue;
    }
    const block = readFence(lines, at) ?? readIndentedCode(lines, at) ?? readHeading(lines, at) ??
      (kRule.test(lines[at]) ? { kind: "rule", end: at + 1 } : null) ??
      readQuote(lines, at, depth) ?? readList(lines, at, depth) ?? readTable(lines, at) ?? readParagraph(lines, at);
    blocks.push({ ...block, begin: at });
    at = block.end;
  }
  return blocks;
}

function drawCode(block, say) {
  return element("div", { class: "code" },
    element("div", { class: "bar" }, element("span", {}, block.language || "text"),
            copyButton("Copy the code", () => block.code, say)),
    element("pre", { tabindex: "0" }, element("code", {}, block.code)));
}

function drawTable(block) {
  const row = (cells, tag) => element("tr", {}, cells.map((cell, i) =>
    element(tag, { class: block.aligns[i], dir: "auto", scope: tag === "th" ? "col" : null }, inlineNodes(cell))));
  const [head, ...body] = block.rows;
  return element("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" },
    element("table", {}, element("thead", {}, row(head, "th")), element("tbody", {}, body.map((cells) => row(cells, "td")))));
}

function drawItem(blocks, loose, say) {
  const children = blocks.map((block) => (block.kind === "paragraph" && !loose ? inlineNodes(block.text) : [draw(block, say)]));
  return element("li", { dir: "auto" }, children.flat());
}

function draw(block, say) {
  switch (block.kind) {
    case "code": return drawCode(block, say);
    case "heading": return element(`h${Math.min(block.level + 2, 6)}`, { dir: "auto" }, inlineNodes(block.text));
    case "rule": return element("hr");
    case "quote": return element("blockquote", { dir: "auto" }, block.blocks.map((inner) => draw(inner, say)));
    case "table": return drawTable(block);
    case "list": {
      const attributes = block.start === null ? {} : { start: block.start };
      return element(block.start === null ? "ul" : "ol", attributes,
                     block.items.map((item) => drawItem(item, block.loose, say)));
    }
    default: return element("p", { dir: "auto" }, inlineNodes(block.text));
  }
}

// Draws a text that grows.
export class MarkdownView {
  // `say` announces what a button did. `onBlock` gets the element of each block
  // that will not change any more.
  constructor(root, say, onBlock = () => {}) {
    this.root = root;
    this.say = say;
    this.onBlock = onBlock;
    this.clear();
  }

  clear() {
    this.root.replaceChildren();
    this.text = "";
    this.done = 0;   // the length of the blocks that will not change
    this.open = [];  // the elements of those that may
    this.isWhole = false;
  }

  // Draws a text. Most of it is drawn already, if it begins with the last one.
  update(text, complete = false) {
    text = text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").replaceAll("\0", "\ufffd");
    // The last block of a whole text would have gone on.
    const goesOn = this.isWhole && text !== this.text;
    if (goesOn || !text.startsWith(this.text.slice(0, this.done))) this.clear();
    this.isWhole = complete;
    this.text = text;
    const lines = text.slice(this.done).split("\n");
    const blocks = readBlocks(lines, 0);
    // A block ends when the first line of the next is complete: before that, the
    // line might still become a part of it.
    let final = complete ? blocks.length : blocks.length - 1;
    while (!complete && final > 0 && blocks[final].begin >= lines.length - 1) final -= 1;
    for (const element of this.open) element.remove();
    this.open = blocks.map((block) => draw(block, this.say));
    for (const element of this.open) this.root.append(element);
    if (final <= 0) return;
    for (const element of this.open.splice(0, final)) this.onBlock(element);
    const begin = blocks[final]?.begin ?? lines.length;
    this.done += lines.slice(0, begin).reduce((size, line) => size + line.length + 1, 0);
    this.done = Math.min(this.done, text.length);
  }
}
