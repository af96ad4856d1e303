// Elements, icons and the clipboard. Texts become text nodes, so nothing that a
// model, a server or a user writes can become markup.

// Makes an element. A function among the attributes listens to the event of its
// name; true is an attribute without a value; false and null leave it out.
// Children are nodes, texts, lists of them, or null for none.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const child of children.flat()) {
    if (child !== null) made.append(child);
  }
  // After the children, because of dir="auto": with each further child, the
  // browser would read all of them again to find the direction.
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      made.addEventListener(name, value);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value);
    }
  }
  return made;
}

export const byId = (id) => document.getElementById(id);

// Strokes on a grid of 24 x 24.
const kIcons = {
  menu: "M4 7h16M4 12h16M4 17h16",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  send: "M12 20V5M5 12l7-7 7 7",
  stop: "M7 7h10v10H7z",
  copy: "M9 9h10v11H9zM5 15V4h10",
  done: "M5 13l4 4L19 7",
  edit: "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
  again: "M20 5v5h-5M19.5 10A8 8 0 1 0 20 14",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  before: "M15 6l-6 6 6 6",
  next: "M9 6l6 6-6 6",
  down: "M12 5v14M5 12l7 7 7-7",
  settings: "M4 8h8M18 8h2M15 5v6M4 16h2M12 16h8M9 13v6",
  chances: "M5 20V10M10 20V4M15 20v-8M20 20v-5",
  features: "M12 4l8 4-8 4-8-4zM4 12l8 4 8-4M4 16l8 4 8-4",
  forward: "M5 12h13M12 6l6 6-6 6",
};

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", kIcons[name]);
  svg.append(path);
  return svg;
}

// A button that shows an icon. The label is for screen readers and as a tip.
export function iconButton(name, label, onClick, attributes = {}) {
  return element("button", { type: "button", class: "icon", "aria-label": label, title: label, click: onClick, ...attributes },
                 icon(name));
}

// Copies a text. Browsers offer their clipboard only on HTTPS and localhost;
// elsewhere, the text is selected and copied as by hand.
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea", { class: "hidden", "aria-hidden": "true" });
    const focused = document.activeElement;
    field.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    focused?.focus();
    return copied;
  }
}

// "1 token", "2 tokens".
export function countOfTokens(count) {
  return `${count.toLocaleString("en")} token${count === 1 ? "" : "s"}`;
}

// A button that copies what textOf() returns, and says so for a moment.
export function copyButton(label, textOf, say) {
  const button = iconButton("copy", label, async () => {
    const copied = await copyText(textOf());
    say(copied ? "Copied" : "The browser does not let this page copy");
    if (!copied) return;
    button.replaceChildren(icon("done"));
    setTimeout(() => button.replaceChildren(icon("copy")), 1500);
  });
  return button;
}

// Lets the browser save a text as a file.
export function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
