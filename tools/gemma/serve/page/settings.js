// The settings of a conversation: instructions and sampling; and those of the page.

import { byId, element } from "./dom.js";

// Fields of the request that are numbers. A field without a value is not sent.
const kNumbers = [
  { name: "temperature", label: "Temperature", min: 0, max: 100, step: "any", hint: "0: always the most probable token" },
  { name: "top_k", label: "Top k", min: 0, step: 1, hint: "Only the k most probable; 0: all" },
  { name: "top_p", label: "Top p", min: 0, max: 1, step: "any", hint: "The fewest that reach this probability" },
  { name: "min_p", label: "Min p", min: 0, max: 1, step: "any", hint: "Only those above this share of the highest" },
  { name: "typical_p", label: "Typical p", min: 0, max: 1, step: "any", hint: "The most typical that reach it; 1: all" },
  { name: "repetition_penalty", label: "Repetition penalty", min: 0, step: "any", hint: "Divides what occurred; 1: off" },
  { name: "frequency_penalty", label: "Frequency penalty", step: "any", hint: "Subtracted for each occurrence" },
  { name: "presence_penalty", label: "Presence penalty", step: "any", hint: "Subtracted for any occurrence" },
  { name: "max_completion_tokens", label: "Most tokens of an answer", min: 1, step: 1, placeholder: "until the context is full" },
  { name: "seed", label: "Seed", min: 0, max: Number.MAX_SAFE_INTEGER, step: 1, placeholder: "drawn for each answer",
    hint: "The same request with a seed has the same answer" },
];

export class Settings {
  // `changed()` is called after the user has changed a setting of the
  // conversation, `changedPage(values)` after one of the page.
  constructor(changed, changedPage) {
    this.changed = changed;
    this.inputs = new Map();
    this.system = byId("system");
    this.system.addEventListener("input", () => {
      this.conversation.system = this.system.value;
      this.changed();
    });
    for (const number of kNumbers) byId("sampling").append(this.numberField(number));
    this.think = byId("think");
    this.think.addEventListener("change", () => this.set("think", { on: true, off: false }[this.think.value]));
    this.schema = byId("schema");
    this.schema.addEventListener("input", () => this.readSchema());
    byId("defaults").addEventListener("click", () => {
      this.conversation.sampling = {};
      this.changed();
      this.show(this.conversation, this.model, /*anew=*/true);
    });
    byId("no-steering").addEventListener("click", () => {
      this.set("steer", undefined);
      this.showSteering();
    });
    this.probabilities = byId("probabilities");
    this.probabilities.addEventListener("change", () => changedPage({ probabilities: this.probabilities.checked }));
    this.safety = byId("safety");
    this.safety.addEventListener("change", () => changedPage({ safety: this.safety.checked }));
  }

  numberField({ name, label, hint, placeholder, ...limits }) {
    const input = element("input", { type: "number", id: `field-${name}`, inputmode: "decimal", autocomplete: "off", ...limits,
                                     "aria-describedby": `reason-${name}${hint ? ` hint-${name}` : ""}` });
    const reason = element("p", { class: "hint reason", id: `reason-${name}` });
    input.addEventListener("input", () => {
      this.mark(input, reason, input.validationMessage);
      if (input.validity.valid) this.set(name, input.value === "" ? undefined : Number(input.value));
    });
    this.inputs.set(name, { input, reason, placeholder });
    return element("div", { class: "field" }, element("label", { for: input.id }, label), input, reason,
                   hint ? element("p", { class: "hint", id: `hint-${name}` }, hint) : null);
  }

  // Says why a field is wrong; "" if it is right.
  mark(field, place, reason) {
    field.setAttribute("aria-invalid", String(reason !== ""));
    place.textContent = reason;
  }

  // The first field that is wrong, {field, label, reason}, or null.
  wrong() {
    const field = byId("settings").querySelector('[aria-invalid="true"]');
    if (!field) return null;
    const reason = byId(field.getAttribute("aria-describedby").split(" ")[0]).textContent;
    return { field, label: field.labels[0].textContent, reason };
  }

  set(name, value) {
    if (value === undefined) {
      delete this.conversation.sampling[name];
    } else {
      this.conversation.sampling[name] = value;
    }
    this.changed();
  }

  readSchema() {
    const text = this.schema.value.trim();
    let schema;
    try {
      schema = text === "" ? undefined : JSON.parse(text);
    } catch (error) {
      this.mark(this.schema, byId("schema-hint"), `Not JSON yet: ${error.message}`);
      return;
    }
    this.mark(this.schema, byId("schema-hint"), "");
    this.set("response_format", schema && { type: "json_schema", json_schema: { name: "answer", schema } });
  }

  // Shows the settings of a conversation. `model` is that of /v1/models, or null.
  // What the user is about to change stays, and so do wrong texts, unless `anew`.
  show(conversation, model, anew = false) {
    const isSame = conversation === this.conversation && model === this.model;
    if (isSame && !anew && byId("settings").contains(document.activeElement)) return;
    const keeps = conversation === this.conversation && !anew;
    const stays = (field) => keeps && field.getAttribute("aria-invalid") === "true";
    this.conversation = conversation;
    this.model = model;
    const { sampling } = conversation;
    this.system.value = conversation.system;
    for (const [name, { input, reason, placeholder }] of this.inputs) {
      const byDefault = model?.sampling?.[name];
      input.placeholder = placeholder ?? (byDefault === undefined ? "" : String(byDefault));
      if (stays(input)) continue;
      input.value = sampling[name] ?? "";
      this.mark(input, reason, "");
    }
    byId("think-field").hidden = !model?.thinks;
    this.think.value = sampling.think === undefined ? "" : sampling.think ? "on" : "off";
    this.showSteering();
    if (stays(this.schema)) return;
    const schema = sampling.response_format?.json_schema?.schema;
    this.schema.value = schema === undefined ? "" : JSON.stringify(schema, null, 1);
    this.mark(this.schema, byId("schema-hint"), "");
  }

  showSteering() {
    const [change] = this.conversation.sampling.steer ?? [];
    byId("steering").hidden = !change;
    if (change) byId("steering-text").textContent = `Steered: feature ${change.feature} of ${change.autoencoder}, strength ${change.strength}`;
  }

  showPage({ probabilities, safety }, hasGuard) {
    this.probabilities.checked = probabilities;
    this.safety.checked = safety;
    byId("safety-field").hidden = !hasGuard;
  }
}
