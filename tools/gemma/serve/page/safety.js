// ShieldGemma's judgement of a message and its answer.

import { element } from "./dom.js";

const kNames = { dangerous: "Dangerous content", harassment: "Harassment", hate: "Hate speech", sexual: "Sexual content" };

// Draws {policy: probability}; nothing without scores. Above a half, the text
// violates the policy.
export function drawScores(root, scores) {
  if (!scores) {
    root.replaceChildren();
    return;
  }
  if (scores.error) {
    root.replaceChildren(element("p", { class: "details" }, `ShieldGemma: ${scores.error}`));
    return;
  }
  const entries = Object.entries(scores);
  const flagged = entries.filter(([, score]) => score > 0.5).map(([name]) => kNames[name] ?? name);
  const highest = Math.max(0, ...entries.map(([, score]) => score));
  const summary = element("summary", {}, flagged.length > 0 ? `ShieldGemma: ${flagged.join(", ")}` :
    `ShieldGemma: no violation (at most ${Math.round(100 * highest)} %)`);
  const rows = entries.map(([name, score]) => element("tr", score > 0.5 ? { class: "flagged" } : {},
    element("th", { scope: "row" }, kNames[name] ?? name),
    element("td", {}, element("meter", { min: "0", max: "1", high: "0.5", low: "0.25", optimum: "0", value: String(score), "aria-hidden": "true" })),
    element("td", {}, `${(100 * score).toFixed(1)} %`)));
  const wasOpen = root.querySelector("details")?.open ?? false;
  root.replaceChildren(element("details", { class: flagged.length > 0 ? "flagged" : null, open: wasOpen }, summary,
                               element("table", {}, element("tbody", {}, ...rows))));
}

// Asks the server's ShieldGemma about a text, or about an answer to it, and keeps
// the scores with the message.
export async function judge(server, guard, message, input, response) {
  try {
    message.scores = await server.moderate(guard, input, response);
  } catch (error) {
    message.scores = { error: error.message };
  }
}
