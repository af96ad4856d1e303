// An answer token by token: colours show how probable each was, and a panel what
// else the model might have written.

import { element } from "./dom.js";

const percent = (logprob) => {
  const value = 100 * Math.exp(logprob);
  return `${value >= 99.95 ? "100" : value >= 10 ? value.toFixed(1) : value.toPrecision(2)} %`;
};

// Blanks and line ends as marks.
const shown = (text) => text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "·");

// 0: certain, to 4: a surprise.
function surprise(logprob) {
  const limits = [0.9, 0.6, 0.3, 0.1];
  return limits.findIndex((limit) => Math.exp(logprob) >= limit) + 1 || 5;
}

export class TokenView {
  // `goOn(text, i, [text, log-probability])` begins a branch whose answer begins
  // with a text, which differs from this one in token i.
  constructor(message, goOn) {
    this.message = message;
    // The text must be known from the tokens.
    this.goOn = this.textBefore(message.tokens.length) === message.content ? goOn : null;
    this.spans = message.tokens.map(([text, logprob], i) => element("span", {
      class: `token s${surprise(logprob)}`, tabindex: i === 0 ? "0" : "-1", role: "button", "aria-label": `${shown(text)}, ${percent(logprob)}`,
      mouseenter: () => this.pinned === null && this.show(i), focus: () => this.show(i), click: () => this.pin(i),
    }, text === "\n" ? "↵\n" : text));
    this.text = element("div", { class: "tokens", role: "group", "aria-label": "Tokens; arrow keys move", dir: "auto",
                                 keydown: (event) => this.onKey(event),
                                 mouseleave: () => this.pinned === null && this.hide() }, this.spans);
    this.panel = element("div", { class: "panel", role: "group", "aria-label": "What else was probable",
                                  keydown: (event) => event.key === "Escape" && this.leave(event) });
    this.panel.hidden = true;
    this.pinned = null;
    this.root = element("div", { class: "token-view" }, this.text, this.panel);
  }

  // The text of the first tokens. Control tokens are no part of it.
  textBefore(count) {
    return this.message.tokens.slice(0, count).map(([text, , , isText]) => (isText ? text : "")).join("");
  }

  show(i) {
    const [text, logprob, others] = this.message.tokens[i];
    const rows = others.map(([other, value, isText]) => this.row(i, other, value, Boolean(isText), other === text));
    const head = element("p", {}, element("code", {}, shown(text)), ` ${percent(logprob)}`);
    if (!others.some(([other]) => other === text)) head.append(", not among the most probable:");
    this.panel.replaceChildren(head, element("table", {}, element("tbody", {}, ...rows)));
    if (this.goOn && this.pinned === null) this.panel.append(element("p", { class: "hint" }, "Click for a choice of how to go on."));
    this.panel.hidden = false;
    for (const span of this.spans) span.classList.toggle("shown", span === this.spans[i]);
    this.place(this.spans[i]);
  }

  row(i, other, logprob, isText, isChosen) {
    const bar = element("meter", { min: "0", max: "1", value: String(Math.exp(logprob)), "aria-hidden": "true" });
    const cells = [element("code", {}, shown(other)), percent(logprob), bar].map((child) => element("td", {}, child));
    if (this.pinned === i && this.goOn && isText && !isChosen) {
      const goOn = () => this.goOn(this.textBefore(i) + other, i, [other, logprob]);
      cells.push(element("td", {}, element("button", { type: "button", click: goOn }, "go on with it")));
    }
    return element("tr", isChosen ? { class: "chosen" } : {}, ...cells);
  }

  // Puts the panel below a token, or above it if there is no room, within the
  // text's width.
  place(span) {
    const outer = this.root.getBoundingClientRect();
    const token = span.getClientRects()[0] ?? outer;
    const view = this.root.closest("#scroller").getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.panel;
    const above = token.bottom + height + 8 > view.bottom && token.top - height - 8 > view.top;
    this.panel.style.left = `${Math.max(0, Math.min(token.left - outer.left, outer.width - width))}px`;
    this.panel.style.top = `${(above ? token.top - height - 4 : token.bottom + 4) - outer.top}px`;
  }

  pin(i) {
    const again = this.pinned === i;
    this.pinned = again ? null : i;
    this.move(i);
    this.show(i);
    if (again) return;
    this.panel.querySelector("button")?.focus({ preventScroll: true });
    this.panel.scrollIntoView({ block: "nearest" });
  }

  hide() {
    this.pinned = null;
    this.panel.hidden = true;
    for (const span of this.spans) span.classList.remove("shown");
  }

  leave(event) {
    event.stopPropagation();
    const at = this.pinned ?? 0;
    this.hide();
    this.move(at);
    this.hide();
  }

  move(i) {
    for (const span of this.spans) span.tabIndex = span === this.spans[i] ? 0 : -1;
    this.spans[i].focus();
  }

  onKey(event) {
    const at = this.spans.indexOf(document.activeElement);
    if (at < 0) return;
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: this.spans.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") {
      this.pin(at);
    } else if (event.key === "Escape" && !this.panel.hidden) {
      event.stopPropagation();
      this.hide();
    } else if (to === undefined) {
      return;
    } else if (to >= 0 && to < this.spans.length) {
      this.pinned = null;
      this.move(to);
    }
    event.preventDefault();
  }
}
