// A conversation: a tree of messages, of which one path is shown. To edit or to
// regenerate a message begins another branch.
//
//   {id, title, updated, model, system, sampling, messages, chosen}
//
// `messages` has them by id: {id, parent, role, content, ...}; the parent of the
// first ones is "root". `chosen` has, for each parent, the id of the message that
// is shown. An answer also has what the server said of it:
//
//   reasoning   what the model thought, or ""
//   tokens      [text, log-probability, [[text, log-probability], ...]] of each
//   finish      "stop", "length", "stopped" (by the user) or "error"; null: none yet
//   error, detail, usage, seed, model, steered, times, scores

let lastNumber = 0;

function newId() {
  lastNumber += 1;
  return `${Date.now().toString(36)}-${lastNumber}-${Math.floor(Math.random() * 1e9).toString(36)}`;
}

export function newConversation(model, sampling = {}) {
  return { id: newId(), title: "", updated: Date.now(), model, system: "", sampling: { ...sampling }, messages: {}, chosen: {} };
}

const isText = (value) => typeof value === "string";
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

// Returns a conversation as it was stored, or null if it is damaged.
export function readConversation(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const whole = isObject(value) && isText(value.id) && isText(value.title) && isText(value.system) && isText(value.model) &&
    Number.isFinite(value.updated) && isObject(value.sampling) && isObject(value.messages) && isObject(value.chosen);
  if (!whole) return null;
  for (const [id, message] of Object.entries(value.messages)) {
    const good = isObject(message) && message.id === id && isText(message.content) && isText(message.parent) &&
      (message.role === "user" || message.role === "assistant");
    if (!good) return null;
    if (message.tokens && !Array.isArray(message.tokens)) delete message.tokens;
    // The page was closed while the answer came.
    if (message.role === "assistant" && !message.finish) message.finish = "stopped";
  }
  return value;
}

// What is there of a message; it only grows.
function sizeOf({ content, reasoning, times }) {
  return content.length + (reasoning?.length ?? 0) + (times ? 1 : 0);
}

// Takes over what another tab has stored of a conversation: its messages, and
// what it has changed since `base`, which may be null. Keeps the objects of
// messages. Returns whether our own conversation has more than the other.
export function mergeConversation(own, stored, base) {
  for (const [id, message] of Object.entries(stored.messages)) {
    const known = own.messages[id];
    if (!known) {
      own.messages[id] = { ...message };
    } else if ((known.role === "user" || known.finish) && sizeOf(message) > sizeOf(known)) {
      // This tab does not write it.
      delete known.error;
      delete known.detail;
      Object.assign(known, message);
    } else if (message.scores && !known.scores) {
      known.scores = message.scores;
    }
  }
  own.chosen = { ...stored.chosen, ...own.chosen };
  own.updated = Math.max(own.updated, stored.updated);
  for (const name of ["title", "system", "model", "sampling"]) {
    if (base && JSON.stringify(own[name]) === JSON.stringify(base[name])) own[name] = stored[name];
  }
  return Object.entries(own.messages).some(([id, message]) =>
    !stored.messages[id] || sizeOf(message) > sizeOf(stored.messages[id]));
}

// Adds a message and shows it.
export function addMessage(conversation, parent, role, content) {
  const message = { id: newId(), parent, role, content };
  if (role === "assistant") Object.assign(message, { reasoning: "", tokens: [], finish: null });
  conversation.messages[message.id] = message;
  conversation.chosen[parent] = message.id;
  conversation.updated = Date.now();
  if (role === "user" && conversation.title === "") {
    conversation.title = content.trim().replace(/\s+/g, " ").slice(0, 60);
  }
  return message;
}

// The messages that are shown.
export function shownMessages(conversation) {
  const path = [];
  const seen = new Set();
  let at = conversation.chosen.root;
  while (conversation.messages[at] && !seen.has(at)) {
    seen.add(at);
    path.push(conversation.messages[at]);
    at = conversation.chosen[at];
  }
  return path;
}

// The messages in the place of a message, the oldest first.
export function branches(conversation, message) {
  return Object.values(conversation.messages).filter(({ parent }) => parent === message.parent);
}

export function chooseBranch(conversation, message) {
  conversation.chosen[message.parent] = message.id;
}

// The messages from the first to this one.
function pathTo(conversation, message) {
  const path = [];
  for (let at = message; at && path.length <= Object.keys(conversation.messages).length; at = conversation.messages[at.parent]) {
    path.unshift(at);
  }
  return path;
}

// The messages as in OpenAI's API. An answer without text says nothing.
function apiMessages(conversation, path) {
  const messages = path.filter(({ role, content }) => role === "user" || content !== "")
    .map(({ role, content }) => ({ role, content }));
  if (conversation.system.trim() !== "") messages.unshift({ role: "system", content: conversation.system });
  return messages;
}

// The messages from the first to this one, as in OpenAI's API.
export function messagesTo(conversation, message) {
  return apiMessages(conversation, pathTo(conversation, message));
}

// The request that an answer completes. If it has a text, the model continues it.
export function requestFor(conversation, answer, { logprobs = 0 } = {}) {
  const body = {
    model: conversation.model, messages: messagesTo(conversation, answer),
    ...conversation.sampling, stream: true, stream_options: { include_usage: true }, return_progress: true,
  };
  if (logprobs > 0) Object.assign(body, { logprobs: true, top_logprobs: logprobs });
  return body;
}

export function exportJson(conversation) {
  return `${JSON.stringify({ ...conversation, shown: apiMessages(conversation, shownMessages(conversation)) }, null, 1)}\n`;
}

// A command that sends the messages that are shown, up to the last of the user.
export function asCurl(conversation, url, needsKey) {
  const path = shownMessages(conversation);
  while (path.length > 0 && path.at(-1).role !== "user") path.pop();
  const body = { model: conversation.model, messages: apiMessages(conversation, path), ...conversation.sampling };
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl ${quoted(url)}`, `-H ${quoted("Content-Type: application/json")}`];
  if (needsKey) lines.push('-H "Authorization: Bearer $GEMMA_API_KEY"');
  lines.push(`-d ${quoted(JSON.stringify(body))}`);
  return lines.join(" \\\n  ");
}
