// The features that sparse autoencoders find in a conversation, token by token:
// colours show how strong a feature is, and an answer may be steered by it.

import { element } from "./dom.js";

// The most features of a token that the page asks for.
const kStrongest = 12;

// The vocabulary writes blanks as U+2581.
const textOf = (piece) => piece.replaceAll("\u2581", " ").replaceAll("<0x0A>", "\n");
const rounded = (value) => Number(value.toPrecision(3));

export class Features {
  constructor(server) {
    this.server = server;
  }

  isOffered(model) {
    return (model?.autoencoders?.length ?? 0) > 0;
  }

  // Returns the view of an answer, with which `messages` end. `steer(change)`
  // makes a new one.
  draw(model, messages, steer) {
    const root = element("div", { class: "features" }, element("p", { class: "details" }, "Reads the conversation …"));
    this.read(model, messages)
      .then(({ tokens, begin, autoencoders }) => new FeatureView(root, tokens, begin, autoencoders, steer))
      .catch((error) => root.replaceChildren(element("p", { class: "error" }, error.message)));
    return root;
  }

  async read(model, messages) {
    const before = messages.slice(0, -1);
    const { count } = await this.server.json("tokenize", { model: model.id, messages: before });
    const { tokens, autoencoders } = await this.server.json("v1/features", { model: model.id, messages, top_k: kStrongest });
    return { tokens, autoencoders, begin: count };
  }
}

// Shows the tokens from `begin` on.
class FeatureView {
  constructor(root, tokens, begin, autoencoders, steer) {
    Object.assign(this, { tokens: tokens.slice(begin), autoencoders, steer, reader: 0, chosen: null, feature: null });
    this.spans = this.tokens.map(({ piece }, i) => element("span", {
      class: "token", tabindex: i === 0 ? "0" : "-1", role: "button", click: () => this.choose(i), focus: () => this.choose(i),
    }, textOf(piece)));
    this.text = element("div", { class: "tokens", role: "group", "aria-label": "Tokens; arrow keys move", dir: "auto",
                                 keydown: (event) => this.onKey(event) }, this.spans);
    this.list = element("table", {});
    this.caption = element("p", { class: "details", "aria-live": "polite" });
    this.steering = element("p", { class: "steer" });
    const select = element("select", { "aria-label": "Autoencoder", change: () => {
      this.reader = select.selectedIndex;
      this.feature = null;
      this.show();
    } }, ...autoencoders.map(({ name, site }) => element("option", {}, `${name} (${site})`)));
    root.replaceChildren(...(autoencoders.length > 1 ? [select] : []), this.text, this.caption, this.list, this.steering);
    this.show();
  }

  // The features of a token, or of all: those whose highest value is largest.
  strongest() {
    const highest = new Map();
    for (const { features } of this.chosen === null ? this.tokens : [this.tokens[this.chosen]]) {
      for (const { index, value } of features[this.reader]) highest.set(index, Math.max(value, highest.get(index) ?? -Infinity));
    }
    return [...highest].sort((a, b) => b[1] - a[1]).slice(0, kStrongest);
  }

  choose(i) {
    if (this.chosen === i) return;
    this.chosen = i;
    this.show();
  }

  show() {
    const values = this.tokens.map(({ features }) =>
      features[this.reader].find(({ index }) => index === this.feature)?.value ?? 0);
    const top = Math.max(...values, 0);
    this.spans.forEach((span, i) => {
      span.className = `token${top > 0 && values[i] > 0 ? ` f${Math.ceil(4 * values[i] / top)}` : ""}${this.chosen === i ? " shown" : ""}`;
    });
    const rows = this.strongest();
    const highest = rows[0]?.[1] ?? 1;
    const which = this.chosen === null ? "The strongest features of the answer" : `The strongest features of “${textOf(this.tokens[this.chosen].piece)}”`;
    this.caption.textContent = rows.length > 0 ? `${which}; choose one to colour the tokens:` : `${which}: none is active.`;
    this.list.replaceChildren(element("tbody", {}, ...rows.map(([index, value]) => element("tr", {},
      element("td", {}, element("button", { type: "button", "aria-pressed": String(index === this.feature), click: () => this.colour(index) }, `feature ${index}`)),
      element("td", {}, String(rounded(value))),
      element("td", {}, element("meter", { min: "0", max: String(highest), value: String(Math.max(value, 0)), "aria-hidden": "true" }))))));
  }

  colour(index) {
    this.feature = this.feature === index ? null : index;
    this.show();
    this.list.querySelector('[aria-pressed="true"]')?.focus();
    this.steering.replaceChildren();
    if (this.feature === null) return;
    const top = Math.max(...this.tokens.map(({ features }) => features[this.reader].find((one) => one.index === index)?.value ?? 0));
    const strength = element("input", { type: "number", step: "any", value: String(rounded(2 * top)), "aria-label": "Strength" });
    const go = () => {
      if (!strength.validity.valid || strength.value === "") return;
      this.steer({ autoencoder: this.autoencoders[this.reader].name, feature: index, strength: Number(strength.value) });
    };
    this.steering.append(`Add feature ${index} with the strength `, strength, " ",
                         element("button", { type: "button", click: go }, "Answer again, steered"));
  }

  onKey(event) {
    const at = this.spans.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1 }[event.key];
    if (at < 0 || to === undefined || to < 0 || to >= this.spans.length) return;
    event.preventDefault();
    for (const span of this.spans) span.tabIndex = span === this.spans[to] ? 0 : -1;
    this.spans[to].focus();
  }
}
