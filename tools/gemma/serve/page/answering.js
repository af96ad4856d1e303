// One request for an answer, from the first event to the last.

import { requestFor } from "./conversation.js";
import { ServerError } from "./server.js";

// What is stored of a log-probability: three digits after the point.
const rounded = (logprob) => Math.round(logprob * 1000) / 1000;

// A token as it is stored: its text, its log-probability, the others, and 1 if it
// is text: control tokens and parts of characters only have names.
function storedToken(token) {
  const others = (token.top_logprobs ?? []).map((other) => [other.token, rounded(other.logprob), isText(other)]);
  return [token.token, rounded(token.logprob), others, isText(token)];
}

function isText({ token, bytes }) {
  return bytes && new TextDecoder().decode(new Uint8Array(bytes)) === token ? 1 : 0;
}

export class Answering {
  // `changed()` is called after each event.
  constructor(server, conversation, message, options, changed) {
    Object.assign(this, { server, conversation, message, options, changed });
    this.abort = new AbortController();
    this.progress = null;  // {processed, total} of the prompt
    this.began = performance.now();
    this.first = null;  // when the first text came
    this.count = 0;     // of the tokens that came
  }

  stop() {
    this.abort.abort();
  }

  // Tokens per second after the first, or null.
  get speed() {
    const seconds = (this.last - this.first) / 1000;
    return this.count > 1 && seconds > 0 ? (this.count - 1) / seconds : null;
  }

  // Returns when the answer has ended, in whatever way.
  async run() {
    const { message } = this;
    message.finish = null;
    message.model = this.conversation.model;
    if (this.conversation.sampling.steer?.length > 0) message.steered = true;
    delete message.error;
    delete message.detail;
    try {
      const body = requestFor(this.conversation, message, this.options);
      message.tokens ??= [];
      for await (const event of this.server.stream("v1/chat/completions", body, this.abort.signal)) this.take(event);
      message.finish ??= "stop";
    } catch (error) {
      if (error.name === "AbortError") {
        message.finish = "stopped";
      } else {
        message.finish = "error";
        message.error = error.message;
        this.failure = error instanceof ServerError ? error : null;
        if (!this.failure) console.error(error);
      }
    }
    message.times = { first: this.first && Math.round(this.first - this.began), speed: this.speed && Math.round(this.speed * 10) / 10 };
    this.conversation.updated = Date.now();
  }

  take(event) {
    const { message } = this;
    if (event.seed !== undefined) message.seed = event.seed;
    if (event.prompt_progress) this.progress = event.prompt_progress;
    if (event.usage) message.usage = event.usage;
    for (const choice of event.choices ?? []) {
      const { content = "", reasoning_content: reasoning = "" } = choice.delta ?? {};
      const tokens = choice.logprobs?.content ?? [];
      if (content || reasoning || tokens.length > 0) {
        this.last = performance.now();
        this.first ??= this.last;
        this.count += Math.max(tokens.length, 1);
      }
      message.content += content ?? "";
      message.reasoning = (message.reasoning ?? "") + (reasoning ?? "");
      if (!reasoning) message.tokens.push(...tokens.map(storedToken));
      if (choice.finish_reason) message.finish = choice.finish_reason;
      if (choice.stop_reason) message.detail = choice.stop_reason;
    }
    this.changed();
  }
}
