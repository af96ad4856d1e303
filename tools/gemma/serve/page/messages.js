// The messages of a conversation, with their buttons.

import { copyButton, countOfTokens, element, iconButton } from "./dom.js";
import { MarkdownView } from "./markdown.js";
import { drawScores } from "./safety.js";
import { TokenView } from "./tokens.js";

const kEnds = {
  max_tokens: "ended at the limit of tokens", context_full: "ended because the context is full",
  deadline: "ended because its time was over", length: "ended at a limit",
  stop_string: "ended at a stop text", grammar_end: "ended as its form demands",
};

// What is known of an answer, in one line.
function detailsOf(message) {
  const { usage, times } = message;
  const parts = [];
  if (message.finish === "stopped") parts.push("stopped");
  if (message.finish === "length" || kEnds[message.detail]) parts.push(kEnds[message.detail] ?? kEnds.length);
  if (usage) parts.push(countOfTokens(usage.completion_tokens));
  if (times?.speed) parts.push(`${times.speed < 100 ? times.speed : Math.round(times.speed)} tokens/s`);
  if (times?.first) parts.push(`first token after ${(times.first / 1000).toFixed(times.first < 9950 ? 2 : 0)} s`);
  if (usage) {
    const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
    parts.push(`prompt of ${countOfTokens(usage.prompt_tokens)}${cached > 0 ? `, ${cached} of them remembered` : ""}`);
  }
  if (message.model) parts.push(message.model);
  if (message.steered) parts.push("steered");
  if (message.seed !== undefined) parts.push(`seed ${message.seed}`);
  return parts.join(" · ");
}

// Shows one message.
class MessageView {
  // `actions` are the functions of the page: see main.js.
  constructor(message, actions) {
    this.message = message;
    this.actions = actions;
    this.isUser = message.role === "user";
    this.body = element("div", { class: "body" });
    this.scores = element("div", { class: "scores" });
    this.footer = element("div", { class: "footer" });
    this.error = element("p", { class: "error" });
    this.mode = "text";
    const author = this.isUser ? "You" : "Gemma";
    this.root = element("li", { class: `message ${message.role}`, "data-id": message.id },
                        element("h2", { class: "hidden" }, author), this.body, this.error, this.scores, this.footer);
    if (this.isUser) {
      this.body.setAttribute("dir", "auto");
      this.body.textContent = message.content;
    } else {
      this.thoughts = element("details", { class: "thoughts" }, element("summary", {}, "Thoughts"));
      this.thoughtText = element("div", { dir: "auto" });
      this.thoughts.append(this.thoughtText);
      this.text = element("div", { class: "text" });
      this.body.append(this.thoughts, this.text);
      this.markdown = new MarkdownView(this.text, actions.say, (block) => this.isRead && actions.read(block));
    }
  }

  // Draws what has changed. `position` is {number, count, before, next} among the
  // branches, `isRunning` whether the answer is being made.
  update(isRunning, position) {
    const { message } = this;
    // The last part of an answer is complete when the answer is.
    this.isRead = isRunning || this.wasRunning;
    this.wasRunning = isRunning;
    if (!this.isUser && this.mode === "text") {
      const reasoning = message.reasoning ?? "";
      this.thoughts.hidden = reasoning === "";
      if (this.thoughtText.textContent !== reasoning) this.thoughtText.textContent = reasoning;
      this.markdown.update(message.content, !isRunning);
    }
    this.root.classList.toggle("running", isRunning);
    this.root.setAttribute("aria-busy", String(isRunning));
    this.error.textContent = message.error ?? "";
    this.error.hidden = !message.error;
    if (position) this.position = position;
    if (isRunning && this.footer.dataset.running) return;
    drawScores(this.scores, message.scores);
    this.drawFooter(isRunning);
  }

  drawFooter(isRunning) {
    this.footer.replaceChildren();
    this.footer.dataset.running = isRunning ? "yes" : "";
    if (isRunning) return;
    const { message, actions } = this;
    const buttons = element("div", { class: "buttons" });
    const { number, count, before, next } = this.position;
    if (count > 1) {
      const choose = (label, name, to) => iconButton(name, label, () => actions.choose(to), { disabled: !to });
      buttons.append(choose("The version before", "before", before), element("span", { class: "count" }, `${number} / ${count}`),
                     choose("The next version", "next", next));
    }
    if (message.content !== "") buttons.append(copyButton("Copy the message", () => message.content, actions.say));
    if (this.isUser) {
      buttons.append(iconButton("edit", "Edit the message", () => this.edit()));
    } else {
      buttons.append(iconButton("again", "Answer again", () => actions.regenerate(message)));
      const cut = message.finish === "stopped" || message.finish === "length" || message.finish === "error";
      if (cut && message.content !== "") buttons.append(iconButton("forward", "Go on with the answer", () => actions.goOn(message)));
      if (message.tokens?.length > 0) {
        buttons.append(this.modeButton("tokens", "chances", "Probabilities of the tokens"));
      }
      if (message.content !== "" && actions.hasFeatures(message)) buttons.append(this.modeButton("features", "features", "Features of the tokens"));
    }
    this.footer.append(buttons);
    if (!this.isUser) this.footer.append(element("p", { class: "details" }, detailsOf(message)));
  }

  // A button that shows the answer in another way, or as text again.
  modeButton(mode, iconName, label) {
    return iconButton(iconName, label, () => {
      this.mode = this.mode === mode ? "text" : mode;
      this.drawMode();
      this.drawFooter(false);
      this.footer.querySelector(`[data-mode=${mode}]`)?.focus({ preventScroll: true });
      this.root.scrollIntoView({ block: "nearest" });
    }, { "aria-pressed": String(this.mode === mode), "data-mode": mode });
  }

  drawMode() {
    const { message, actions } = this;
    this.markdown.clear();
    if (this.mode === "text") {
      this.update(false);
    } else if (this.mode === "tokens") {
      this.text.replaceChildren(new TokenView(message, (...choice) => actions.branch(message, ...choice)).root);
    } else {
      this.text.replaceChildren(actions.drawFeatures(message));
    }
  }

  edit() {
    const { message, actions } = this;
    const field = element("textarea", { "aria-label": "Edited message", rows: String(Math.min(12, message.content.split("\n").length + 1)) });
    field.value = message.content;
    const end = () => {
      form.replaceWith(this.body);
      this.footer.hidden = false;
      this.footer.querySelector("[aria-label^=Edit]")?.focus();
    };
    const send = () => {
      if (field.value.trim() === "") return;
      end();
      actions.edit(message, field.value);
    };
    const form = element("form", { class: "edit", submit: (event) => { event.preventDefault(); send(); } }, field,
      element("div", { class: "buttons" }, element("button", { type: "submit", class: "main" }, "Send"),
              element("button", { type: "button", click: end }, "Cancel")));
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        end();
      } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        send();
      }
    });
    this.body.replaceWith(form);
    this.footer.hidden = true;
    field.focus();
  }
}

// Shows the messages of a conversation, and keeps what is drawn already.
export class MessageList {
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
    this.views = new Map();
  }

  // `position(message)` returns its place among the branches.
  show(messages, running, position) {
    const before = this.views;
    this.views = new Map(messages.map((message) => [message.id, before.get(message.id) ?? new MessageView(message, this.actions)]));
    for (const [id, view] of this.views) {
      view.message = messages.find((message) => message.id === id);
      view.update(running?.id === id, position(view.message));
    }
    const roots = [...this.views.values()].map((view) => view.root);
    // Elements that stay in place keep the focus.
    if (roots.length !== this.root.children.length || roots.some((root, i) => root !== this.root.children[i])) {
      this.root.replaceChildren(...roots);
    }
  }

  // Draws the scores of a message.
  judged(message) {
    const view = this.views.get(message.id);
    if (view && !view.wasRunning) drawScores(view.scores, message.scores);
  }

  // Draws an answer that grows. `begins`: it may have been drawn to its end.
  update(message, begins = false) {
    const view = this.views.get(message.id);
    if (!view) return;
    if (begins) {
      view.mode = "text";
      view.markdown.clear();
    }
    view.update(true);
  }
}
