// What the browser keeps: conversations, and how the page was left. Nothing of it
// leaves the browser.

import { readConversation } from "./conversation.js";

const kChat = "gemma.chat.";
const kPage = "gemma.page";
const kKey = "gemma.key";

// The storage of a browser that refuses its own.
class Memory {
  constructor() {
    this.values = new Map();
  }
  get length() { return this.values.size; }
  key(i) { return [...this.values.keys()][i]; }
  getItem(name) { return this.values.get(name) ?? null; }
  setItem(name, value) { this.values.set(name, value); }
  removeItem(name) { this.values.delete(name); }
}

function storageOr(name) {
  try {
    window[name].getItem(kPage);
    return window[name];
  } catch {
    return new Memory();
  }
}

export class Store {
  constructor() {
    this.local = storageOr("localStorage");
    this.session = storageOr("sessionStorage");
  }

  get keeps() { return !(this.local instanceof Memory); }

  // Conversations, the newest first. Damaged ones stay where they are.
  conversations() {
    const found = [];
    for (let i = 0; i < this.local.length; i += 1) {
      const name = this.local.key(i);
      const conversation = name.startsWith(kChat) ? readConversation(this.local.getItem(name)) : null;
      if (conversation && name === kChat + conversation.id) found.push(conversation);
    }
    return found.sort((a, b) => b.updated - a.updated);
  }

  // Stores a conversation. If there is no room, probabilities of tokens are
  // dropped, those of the oldest conversations first. Returns whether it is stored.
  save(conversation) {
    const write = ({ id }, value) => {
      try {
        this.local.setItem(kChat + id, value);
        return true;
      } catch {
        return false;
      }
    };
    const withoutTokens = (key, value) => (key === "tokens" ? [] : value);
    if (write(conversation, JSON.stringify(conversation))) return true;
    for (const old of this.conversations().reverse()) {
      if (old.id === conversation.id) continue;
      write(old, JSON.stringify(old, withoutTokens));
      if (write(conversation, JSON.stringify(conversation))) return true;
    }
    return write(conversation, JSON.stringify(conversation, withoutTokens));
  }

  remove(id) {
    this.local.removeItem(kChat + id);
  }

  // Calls a function when another tab has changed a conversation.
  onChange(changed) {
    window.addEventListener("storage", (event) => {
      if (event.key === null || event.key.startsWith(kChat)) changed(event.key?.slice(kChat.length));
    });
  }

  // How the page was left: {theme, current, probabilities, safety, model}.
  page() {
    try {
      const page = JSON.parse(this.local.getItem(kPage));
      return typeof page === "object" && page !== null ? page : {};
    } catch {
      return {};
    }
  }

  setPage(values) {
    try {
      this.local.setItem(kPage, JSON.stringify({ ...this.page(), ...values }));
    } catch {
      // Only how the page looks next time is lost.
    }
  }

  // The key of the API, which is kept until the tab closes, or for good.
  key() {
    return this.session.getItem(kKey) ?? this.local.getItem(kKey) ?? "";
  }

  setKey(key, forGood) {
    this.local.removeItem(kKey);
    this.session.removeItem(kKey);
    try {
      if (key) (forGood ? this.local : this.session).setItem(kKey, key);
    } catch {
      // The page asks again when it is loaded again.
    }
  }
}
