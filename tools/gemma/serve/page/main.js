// The page as a whole: connects to the server, and wires fields and buttons.

import { Chat } from "./chat.js";
import { byId, icon } from "./dom.js";
import { Features } from "./features.js";
import { Server } from "./server.js";
import { Settings } from "./settings.js";
import { ask, Sidebar } from "./sidebar.js";
import { Store } from "./store.js";

const kRetryMilliseconds = 1500;

const store = new Store();
const server = new Server(store.key());
let conversations = store.readAll();
let needsKey = server.key !== "";

function say(text) {
  byId("said").textContent = text;
}

// Lets screen readers read a part of an answer that is complete.
function read(block) {
  const reader = byId("reader");
  while (reader.childElementCount >= 20) reader.firstElementChild.remove();
  const line = document.createElement("p");
  line.textContent = block.innerText;
  reader.append(line);
}

function notice(text, label = "", action = () => {}) {
  byId("notice").hidden = text === "";
  byId("notice-text").textContent = text;
  const button = byId("notice-button");
  button.hidden = label === "";
  button.textContent = label;
  button.onclick = action;
}

const settings = new Settings(
  () => {
    if (chat.conversation.title !== "") chat.store(chat.conversation);
  },
  (values) => store.setPage(values));
const features = new Features(server);
const chat = new Chat({ server, store, settings, features, say, read, notice, chooseModel, listChanged, mayAsk,
                        unauthorized: () => connect() });
const sidebar = new Sidebar({
  open: (id) => {
    chat.open(conversations.find((conversation) => conversation.id === id));
    store.setPage({ current: id });
    showPanel("sidebar", false);
    chat.focusInput();
  },
  renamed: (conversation) => {
    chat.store(conversation);
    chat.show();
  },
  removed: (id) => {
    store.remove(id);
    forget(id);
    say("Deleted");
  },
  say, needsKey: () => needsKey,
});

// Drops a conversation that was removed.
function forget(id) {
  chat.running.get(id)?.stop();
  conversations = conversations.filter((conversation) => conversation.id !== id);
  if (chat.conversation.id === id) chat.open(null);
  listChanged();
}

// Follows a change of another tab.
function changedElsewhere(id) {
  const changed = id === null ? conversations.map((one) => one.id) : [id];
  const removed = changed.filter((one) => store.isRemoved(one));
  if (removed.includes(chat.conversation.id)) say("Another tab has deleted this conversation");
  removed.forEach(forget);
  if (id === null || removed.length > 0) return;
  const known = conversations.find((conversation) => conversation.id === id);
  if (!known) {
    const added = store.read(id);
    if (added) conversations.push(added);
    listChanged();
    return;
  }
  const { title, updated } = known;
  const hasMore = store.refresh(known);
  if (hasMore && !chat.running.has(id)) chat.store(known);
  if (known === chat.conversation) {
    chat.refresh();
  } else if (known.title !== title || known.updated !== updated) {
    listChanged();
  }
}

function listChanged() {
  const { conversation } = chat;
  const isNew = conversation.title !== "" && !conversations.includes(conversation) && !store.isRemoved(conversation.id);
  if (isNew) {
    conversations.push(conversation);
    store.setPage({ current: conversation.id });
  }
  conversations.sort((a, b) => b.updated - a.updated);
  sidebar.show(conversations, conversation.id, (id) => chat.running.has(id));
}

// Panels at the sides. On a narrow page, an open one covers the conversation.
function showPanel(name, open) {
  const button = byId(`open-${name}`);
  const isNarrow = matchMedia("(max-width: 800px)").matches;
  if (name === "settings") {
    byId(name).hidden = !open;
  } else {
    document.body.classList.toggle("sidebar-open", open);
  }
  button.setAttribute("aria-expanded", String(open));
  byId("main").inert = open && isNarrow;
  if (open) byId(`close-${name}`).focus();
  if (!open && document.activeElement?.closest(`#${name}`)) button.focus();
}

function isOpen(name) {
  return byId(`open-${name}`).getAttribute("aria-expanded") === "true";
}

function setTheme(theme) {
  if (theme) {
    document.documentElement.dataset.theme = theme;
  } else {
    delete document.documentElement.dataset.theme;
  }
  byId("theme").value = theme;
}

// Shows the models that chat. A conversation keeps its model if it is there.
function showModels(models) {
  const chatting = models.filter((model) => model.chats && !model.moderates && !model.embeds);
  chat.models = chatting;
  chat.guard = models.find((model) => model.moderates)?.id ?? null;
  const select = byId("model");
  select.replaceChildren(...chatting.map(({ id }) => new Option(id, id)));
  if (chatting.length === 0) notice("No model of this server chats.");
  select.disabled = chatting.length < 2;
  chooseModel();
  const page = store.page();
  settings.showPage({ probabilities: page.probabilities !== false, safety: page.safety !== false }, chat.guard !== null);
  byId("key-field").hidden = server.key === "";
}

let modelNotice = "";

// Shows the model of the conversation. If the server has it no longer, another
// takes its place, and a notice says so. Another notice warns of a model that
// was not tuned to chat.
function chooseModel() {
  const { conversation } = chat;
  if (modelNotice !== "" && byId("notice-text").textContent === modelNotice) notice("");
  modelNotice = "";
  if (!chat.modelOf(conversation.model) && chat.models.length > 0) {
    const lost = conversation.model;
    const before = store.page().model;
    conversation.model = chat.modelOf(before) ? before : chat.models[0].id;
    if (conversation.title !== "") {
      modelNotice = `The server does not have the model ${lost}: ${conversation.model} answers in its place.`;
      notice(modelNotice);
    }
  }
  byId("model").value = conversation.model;
  const model = chat.modelOf(conversation.model);
  if (model && !model.instruction_tuned && byId("notice").hidden) {
    modelNotice = `${model.id} was not tuned to chat: it continues texts, and its answers may not fit the questions.`;
    notice(modelNotice);
  }
}

// Whether the server and the settings are ready for a request. If not, the page
// says why.
function mayAsk() {
  chooseModel();
  if (chat.models.length === 0) {
    say("The server is not ready");
    // Another notice says more.
    if (byId("notice").hidden) notice("The server is not ready.");
    return false;
  }
  const wrong = settings.wrong();
  if (!wrong) return true;
  showPanel("settings", true);
  wrong.field.focus();
  say(`Not sent. ${wrong.label}: ${wrong.reason}`);
  return false;
}

async function askForKey(wasWrong) {
  needsKey = true;
  byId("key-text").textContent = wasWrong ? "The server does not know this key." :
    "It is one of the lines of the file that the server was started with.";
  byId("key").value = "";
  if (await ask(byId("key-dialog")) !== "yes") return false;
  server.key = byId("key").value.trim();
  byId("key").value = "";
  store.setKey(server.key, byId("keep-key").checked);
  return true;
}

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

let connecting = false;

// Waits until the server is ready, and asks for a key if it needs one.
async function connect() {
  if (connecting) return;
  connecting = true;
  for (;;) {
    try {
      if (await server.isReady()) {
        const models = await server.models();
        notice("");
        showModels(models);
        chat.show();
        break;
      }
      notice("The server is loading its models.");
    } catch (error) {
      if (error.status === 401) {
        if (await askForKey(server.key !== "")) continue;
        notice("The server needs a key.", "Enter it", () => connect());
        break;
      }
      notice(`${error.message}. The page tries again.`);
    }
    await pause(kRetryMilliseconds);
  }
  connecting = false;
}

function wireInput() {
  const input = byId("input");
  const fit = () => {
    input.style.height = "auto";
    input.style.height = `${Math.min(input.scrollHeight + 2, 240)}px`;
  };
  const send = () => {
    if (!chat.send(input.value)) return;
    input.value = "";
    fit();
  };
  input.addEventListener("input", fit);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  });
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  byId("stop").addEventListener("click", () => chat.stop());
}

function wire() {
  for (const [id, name] of [["open-sidebar", "menu"], ["close-sidebar", "close"], ["open-settings", "settings"],
                            ["close-settings", "close"], ["to-end", "down"], ["send", "send"], ["stop", "stop"]]) {
    byId(id).append(icon(name));
  }
  byId("new").prepend(icon("plus"));
  wireInput();
  byId("new").addEventListener("click", () => {
    chat.open(null);
    store.setPage({ current: null });
    listChanged();
    showPanel("sidebar", false);
    chat.focusInput();
  });
  for (const name of ["sidebar", "settings"]) {
    byId(`open-${name}`).addEventListener("click", () => showPanel(name, !isOpen(name)));
    byId(`close-${name}`).addEventListener("click", () => showPanel(name, false));
  }
  byId("theme").addEventListener("change", (event) => {
    setTheme(event.target.value);
    store.setPage({ theme: event.target.value });
  });
  byId("model").addEventListener("change", (event) => {
    chat.conversation.model = event.target.value;
    store.setPage({ model: event.target.value });
    chooseModel();
    if (chat.conversation.title !== "") chat.store(chat.conversation);
    chat.show();
  });
  byId("forget-key").addEventListener("click", () => {
    server.key = "";
    store.setKey("", false);
    connect();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
    const panel = ["settings", "sidebar"].find((name) => isOpen(name) && byId(name).contains(document.activeElement));
    if (panel) {
      showPanel(panel, false);
    } else {
      chat.stop();
    }
  });
  store.onChange(changedElsewhere);
}

setTheme(store.page().theme ?? "");
wire();
chat.open(conversations.find(({ id }) => id === store.page().current) ?? null);
if (!store.keeps) notice("The browser keeps nothing of this page: conversations are gone when it closes.");
connect();
chat.focusInput();
