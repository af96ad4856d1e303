// The list of conversations, and what can be done with them.

import { exportJson, asCurl } from "./conversation.js";
import { byId, copyText, element, iconButton, saveFile } from "./dom.js";

// Opens a dialog of the page. Returns the value of the button that closed it; ""
// for Escape. The first field or button with autofocus has the focus.
export function ask(dialog) {
  const form = dialog.querySelector("form");
  dialog.returnValue = "";
  dialog.showModal();
  const submit = (event) => {
    event.preventDefault();
    dialog.close(event.submitter?.value ?? "yes");
  };
  form.addEventListener("submit", submit);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      form.removeEventListener("submit", submit);
      resolve(dialog.returnValue);
    }, { once: true });
  });
}

export class Sidebar {
  // `actions`: {open(id), renamed(conversation), removed(id), say(text), needsKey()}
  constructor(actions) {
    this.actions = actions;
    this.root = byId("conversations");
  }

  show(conversations, current, isRunning) {
    const focused = document.activeElement?.closest("#conversations li")?.dataset.id;
    this.root.replaceChildren(...conversations.map((conversation) => {
      const { id, title } = conversation;
      const open = element("button", { type: "button", class: "open", "aria-current": id === current ? "true" : null,
                                       click: () => this.actions.open(id) }, title || "Untitled");
      if (isRunning(id)) open.append(element("span", { class: "dot", role: "img", "aria-label": "an answer comes" }));
      const more = iconButton("more", `More for ${title || "Untitled"}`, () => this.more(conversation), { "aria-haspopup": "dialog" });
      return element("li", { "data-id": id }, open, more);
    }));
    byId("none").hidden = conversations.length > 0;
    if (focused) this.root.querySelector(`[data-id="${focused}"] .open`)?.focus();
  }

  async more(conversation) {
    const dialog = byId("chat-dialog");
    const title = byId("chat-title");
    title.value = conversation.title;
    const choice = await ask(dialog);
    if (choice === "rename" && title.value.trim() !== "") {
      conversation.title = title.value.trim();
      this.actions.renamed(conversation);
    } else if (choice === "export") {
      const name = conversation.title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "chat";
      saveFile(`${name}.json`, exportJson(conversation), "application/json");
    } else if (choice === "curl") {
      const url = new URL("v1/chat/completions", document.baseURI).href;
      const copied = await copyText(asCurl(conversation, url, this.actions.needsKey()));
      this.actions.say(copied ? "The command is copied" : "The browser does not let this page copy");
    } else if (choice === "delete") {
      byId("delete-text").textContent = `Delete “${conversation.title}”? It cannot be brought back.`;
      if (await ask(byId("delete-dialog")) === "yes") this.actions.removed(conversation.id);
    }
  }
}
