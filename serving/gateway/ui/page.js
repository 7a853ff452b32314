// The page. It speaks the same API as everybody else: GET /v1/models, :predict, :neighbours, :forecast.
import { ask, element, known, make } from "./elements.js";
import { offerPictures } from "./pictures.js";
import { offerSeries } from "./series.js";
import { offerSignals } from "./signals.js";
import { offerTables } from "./tables.js";

async function load() {
  const { models } = await ask("/v1/models");
  element("door").hidden = true;
  element("models").replaceChildren(...models.map((model) => make("tr", {},
    make("td", {}, model.name),
    make("td", {}, model.title ?? "no card: tensors in, tensors out"),
    make("td", {}, String(model.default_version ?? "–")),
    make("td", {}, model.problem ?? (model.versions.map((one) => `${one.version} ${one.state}`).join(", ") || "–")),
    make("td", {}, model.verbs.map((verb) => `:${verb}`).join(" ") || ":predict"))));
  const usable = models.filter((model) => model.default_version !== null && model.kind !== null);
  const cards = await Promise.all(usable.map((model) => ask(`/v1/models/${encodeURIComponent(model.name)}/card`)));
  known.clear();
  usable.forEach((model, index) => known.set(model.name, { ...model, card: cards[index] }));
  element("trouble").hidden = models.length > 0 && models.every((model) => model.problem === null);
  element("trouble").textContent = models.length === 0 ? "No models are configured yet." :
    models.map((model) => model.problem).find((problem) => problem !== null) ?? "";
  for (const offer of [offerPictures, offerSeries, offerTables, offerSignals]) offer();
}

const start = () => load().catch((error) => {
  element("trouble").hidden = false;
  element("trouble").textContent = error.message;
});
element("door").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", element("key").value.trim()); // gone with this tab
  start();
});
start();
