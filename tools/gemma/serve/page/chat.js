// The conversation that is open: its messages, its answers and its settings.

import { Answering } from "./answering.js";
import { addMessage, branches, chooseBranch, messagesTo, newConversation, shownMessages } from "./conversation.js";
import { byId, countOfTokens } from "./dom.js";
import { MessageList } from "./messages.js";
import { judge } from "./safety.js";

// The most others of a token that the page asks for.
const kOthers = 5;

// Settings that a new conversation does not take over from the last.
const kOwnSettings = ["steer", "seed", "response_format"];

// While an answer comes, it is stored this often.
const kStoreMilliseconds = 1500;

export class Chat {
  // `page`: {server, store, settings, say, read, notice, chooseModel, listChanged, mayAsk, unauthorized}, see main.js.
  constructor(page) {
    this.page = page;
    this.models = [];
    this.guard = null;         // the id of a ShieldGemma
    this.running = new Map();  // ids of conversations to their Answering
    this.list = new MessageList(byId("messages"), {
      say: page.say, read: page.read,
      choose: (message) => this.choose(message), edit: (message, text) => this.edit(message, text),
      regenerate: (message) => this.regenerate(message), goOn: (message) => this.answer(message),
      branch: (...choice) => this.branch(...choice),
      hasFeatures: (message) => page.features.isOffered(this.modelOf(message.model)),
      drawFeatures: (message) => page.features.draw(this.modelOf(message.model), messagesTo(this.conversation, message),
                                                    (change) => this.steer(message, change)),
    });
    this.scroller = byId("scroller");
    this.follows = true;  // the end of the messages stays in view
    this.scroller.addEventListener("scroll", () => {
      const { scrollTop, scrollHeight, clientHeight } = this.scroller;
      this.follows = scrollHeight - scrollTop - clientHeight < 40;
      byId("to-end").hidden = this.follows;
    });
    byId("to-end").addEventListener("click", () => this.scrollToEnd());
    setInterval(() => this.storeRunning(), kStoreMilliseconds);
    window.addEventListener("pagehide", () => this.storeRunning());
  }

  get answering() { return this.running.get(this.conversation.id) ?? null; }

  modelOf(id) { return this.models.find((model) => model.id === id) ?? null; }

  // Opens a conversation; without one, a new one with the settings of the last.
  open(conversation) {
    const last = this.conversation;
    this.conversation = conversation ?? newConversation(last?.model ?? "", last?.sampling);
    if (!conversation) kOwnSettings.forEach((name) => delete this.conversation.sampling[name]);
    this.page.chooseModel();
    this.show();
    this.scrollToEnd();
  }

  // Shows what another tab has changed in this conversation.
  refresh() {
    this.page.chooseModel();
    this.show();
    if (this.follows) this.scrollToEnd();
  }

  show() {
    const { conversation, answering } = this;
    const messages = shownMessages(conversation);
    byId("title").textContent = conversation.title || "New chat";
    document.title = conversation.title ? `${conversation.title} – Gemma` : "Gemma";
    byId("empty").hidden = messages.length > 0;
    this.list.show(messages, answering?.message, (message) => this.position(message));
    byId("send").hidden = answering !== null;
    byId("stop").hidden = answering === null;
    this.showProgress();
    this.page.settings.show(conversation, this.modelOf(conversation.model));
    this.page.listChanged();
  }

  position(message) {
    const all = branches(this.conversation, message);
    const at = all.indexOf(message);
    return { number: at + 1, count: all.length, before: at > 0 ? all[at - 1] : null, next: all[at + 1] ?? null };
  }

  scrollToEnd() {
    this.follows = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  // On a touch screen, the keyboard would cover the conversation.
  focusInput() {
    if (matchMedia("(hover: hover)").matches) byId("input").focus({ preventScroll: true });
  }

  store(conversation) {
    if (this.page.store.save(conversation)) return;
    this.page.notice("The browser has no room for this conversation: delete others to keep it.");
  }

  storeRunning() {
    for (const { conversation } of this.running.values()) this.store(conversation);
  }

  send(text) {
    if (text.trim() === "" || !this.mayAnswer()) return false;
    const last = shownMessages(this.conversation).at(-1);
    const message = addMessage(this.conversation, last?.id ?? "root", "user", text);
    this.answer(this.addAnswer(message.id));
    return true;
  }

  // Whether an answer may begin: one at a time, not before the models are there,
  // and not with settings that are wrong.
  mayAnswer() {
    return this.answering === null && this.page.mayAsk();
  }

  edit(message, text) {
    if (!this.mayAnswer()) return;
    const edited = addMessage(this.conversation, message.parent, "user", text);
    this.answer(this.addAnswer(edited.id));
  }

  choose(message) {
    if (this.answering) return;
    chooseBranch(this.conversation, message);
    this.store(this.conversation);
    this.show();
    // The button that was used is gone with its message.
    byId("messages").querySelector(`[data-id="${message.id}"] button`)?.focus();
  }

  regenerate(message) {
    if (this.mayAnswer()) this.answer(this.addAnswer(message.parent));
  }

  // A new answer that begins with the text, and differs in token i.
  branch(message, text, i, [token, logprob]) {
    if (!this.mayAnswer()) return;
    const answer = this.addAnswer(message.parent);
    answer.content = text;
    answer.tokens = [...message.tokens.slice(0, i), [token, logprob, message.tokens[i][2], 1]];
    this.answer(answer);
  }

  // A new answer with a change of the model's features, which settings show.
  steer(message, change) {
    if (!this.mayAnswer()) return;
    this.conversation.sampling.steer = [change];
    this.answer(this.addAnswer(message.parent));
  }

  addAnswer(parent) {
    return addMessage(this.conversation, parent, "assistant", "");
  }

  // Lets the model answer, or go on with an answer that has a text.
  async answer(message) {
    const { conversation, page } = this;
    if (!this.mayAnswer()) return;
    const options = { logprobs: page.settings.probabilities.checked ? kOthers : 0 };
    const goesOn = message.content !== "";
    // Tokens that are not known leave a gap in the list.
    if (goesOn && options.logprobs === 0) message.tokens = [];
    const answering = new Answering(page.server, conversation, message, options, () => this.schedule(answering));
    this.running.set(conversation.id, answering);
    this.store(conversation);
    this.show();
    if (goesOn) this.list.update(message, /*begins=*/true);
    this.scrollToEnd();
    page.say("The model answers");
    const question = conversation.messages[message.parent];
    const judged = this.judges && question && !question.scores ? this.judge(conversation, question, question.content) : null;
    await answering.run();
    this.running.delete(conversation.id);
    if (page.store.isRemoved(conversation.id)) return;
    this.store(conversation);
    if (this.conversation === conversation) {
      this.show();
      if (this.follows) this.scrollToEnd();
      // The button that stopped it is gone.
      if (document.activeElement === document.body) this.focusInput();
    }
    page.listChanged();
    this.report(answering);
    await judged;
    if (this.judges && message.content !== "" && message.finish !== "error") {
      await this.judge(conversation, message, question.content, message.content);
    }
  }

  get judges() { return this.guard !== null && this.page.settings.safety.checked; }

  async judge(conversation, message, input, response) {
    await judge(this.page.server, this.guard, message, input, response);
    if (!this.running.has(conversation.id)) this.store(conversation);
    this.list.judged(message);
  }

  report({ message, failure }) {
    if (message.finish === "error") {
      const wait = failure?.retryAfter > 0 ? ` It asks to wait ${failure.retryAfter} s.` : "";
      if (wait) message.error += wait;
      if (failure?.status === 401) this.page.unauthorized();
      this.page.say(`The answer failed: ${message.error}`);
      this.show();
    } else {
      this.page.say(message.finish === "stopped" ? "Stopped" : "The answer is complete");
    }
  }

  // Draws what came of an answer at the next frame; a hidden page has none.
  schedule(answering) {
    if (answering.scheduled) return;
    answering.scheduled = true;
    const draw = () => {
      answering.scheduled = false;
      if (this.answering !== answering) return;
      this.list.update(answering.message);
      this.showProgress();
      if (this.follows) this.scrollToEnd();
    };
    if (document.hidden) {
      setTimeout(draw, 200);
    } else {
      requestAnimationFrame(draw);
    }
  }

  showProgress() {
    const { answering } = this;
    byId("progress").hidden = answering === null || answering.first !== null;
    const state = byId("state");
    if (!answering) {
      state.textContent = "Enter sends, Shift+Enter begins a line, Escape stops.";
      return;
    }
    const { processed = 0, total = 0 } = answering.progress ?? {};
    const bar = byId("progress-bar");
    if (total > 0) {
      bar.max = total;
      bar.value = processed;
    } else {
      bar.removeAttribute("value");
    }
    byId("progress-text").textContent = total > 0 ?
      `Reads the prompt: ${processed.toLocaleString("en")} of ${countOfTokens(total)}` : "Waits for the model";
    const speed = answering.speed;
    state.textContent = answering.first === null ? "Escape stops." :
      `${countOfTokens(answering.count)}${speed ? `, ${speed.toFixed(1)} tokens/s` : ""}. Escape stops.`;
  }

  stop() {
    this.answering?.stop();
  }
}
