// What the browser keeps: conversations, and how the page was left. Nothing of it
// leaves the browser.

import { mergeConversation, readConversation } from "./conversation.js";

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
    this.texts = new Map();  // by ids: conversations as this tab knows that they are stored
  }

  get keeps() { return !(this.local instanceof Memory); }

  text(id) { return this.local.getItem(kChat + id); }

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

  // Reads a conversation for this tab, or all. Null if it is not there or damaged.
  read(id) {
    const text = this.text(id);
    const conversation = text === null ? null : readConversation(text);
    if (conversation) this.texts.set(id, text);
    return conversation;
  }

  readAll() { return this.conversations().map(({ id }) => this.read(id)).filter(Boolean); }

  // Whether it was deleted, in this tab or another.
  isRemoved(id) { return this.texts.has(id) && this.text(id) === null; }

  // Takes over what another tab has stored of a conversation. Returns whether our
  // own has more than what is stored.
  refresh(conversation) {
    const { id } = conversation;
    const text = this.text(id);
    const known = this.texts.get(id);
    if (text === null || text === known) return false;
    const stored = readConversation(text);
    if (!stored) return true;
    this.texts.set(id, text);
    return mergeConversation(conversation, stored, readConversation(known ?? ""));
  }

  // Stores a conversation, with what another tab has added to it, unless it was
  // removed. If the room does not suffice, probabilities of tokens are dropped, those
  // of the oldest conversations first. Returns false if it still does not.
  save(conversation) {
    if (this.isRemoved(conversation.id)) return true;
    this.refresh(conversation);
    const write = ({ id }, value) => {
      try {
        this.local.setItem(kChat + id, value);
        if (id === conversation.id) this.texts.set(id, value);
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
    this.texts.set(id, "");
    this.local.removeItem(kChat + id);
  }

  // Calls a function with the id of a conversation that another tab has changed or
  // removed; with null if all are gone.
  onChange(changed) {
    window.addEventListener("storage", ({ key, newValue }) => {
      if (key === null) changed(null);
      if (!key?.startsWith(kChat)) return;
      const id = key.slice(kChat.length);
      // This tab may have stored it again before it heard of that.
      if (newValue === null) this.remove(id);
      changed(id);
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
