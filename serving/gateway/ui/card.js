// What a model card says about a model, in short.
import { english, figure, make } from "./elements.js";
import { t } from "./words.js";

const EXACT = 1e-4; // of the series' deviation: smaller errors cannot be seen, and are mostly rounding
const WORSE = "No better than", QUICK = "A quick run"; // the page says the latter in the reader's language

export function describe({ name, card }) {
  const parts = [make("p", {}, make("a", { href: `#models/${encodeURIComponent(name)}` }, name), " · ",
    english("span", {}, card.title), " · ", t("trained on {data}", { data: card.data.name }), ...measured(card))];
  return [...parts, ...warnings(card)];
}

// What users should know before they trust an answer.
export function warnings(card) {
  const notes = card.notes.filter((note) => !(isExact(card) && note.startsWith(WORSE)) && !note.startsWith(QUICK));
  const shown = notes.map((note) => english("p", { class: "note" }, note));
  if (card.training.quick) shown.unshift(make("p", { class: "note" }, t("A quick training run: its answers mean little.")));
  if (card.data.stand_in) shown.unshift(make("p", { class: "note" },
    t("Not trained on the real data: {data}", { data: card.data.stand_in })));
  if (isExact(card)) shown.push(make("p", {}, t("Practically exact: its error cannot be seen in a chart.")));
  return shown;
}

// Comparing two errors that are rounding says nothing.
function isExact({ metrics, inputs }) {
  const deviation = inputs.level?.std;
  return deviation > 0 && metrics.test_mae !== undefined &&
    Math.max(metrics.test_mae, metrics.horizon_mae ?? 0) < EXACT * deviation;
}

function measured({ metrics }) {
  const names = Object.keys(metrics).filter((name) => name.startsWith("test") || name === "naive_mae");
  return names.map((name) => ` · ${name.replaceAll("_", " ")} ${figure(metrics[name])}`);
}
