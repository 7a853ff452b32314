// The page: the list of models, and a section for each kind of model. It uses the same API as every client.
import { element, make } from "./elements.js";
import { request } from "./gateway.js";
import { showKind, shownKinds } from "./section.js";

async function load() {
  const { models } = await request("/v1/models");
  element("key-form").hidden = true;
  element("models").replaceChildren(...models.map((model) => make("tr", {},
    make("td", {}, model.name),
    make("td", {}, model.title ?? "no model card: tensors in, tensors out"),
    make("td", {}, String(model.default_version ?? "–")),
    make("td", {}, model.problem ?? (model.versions.map((one) => `${one.version} ${one.state}`).join(", ") || "–")),
    make("td", {}, model.verbs.map((verb) => `:${verb}`).join(" ") || ":predict"))));
  const problems = models.map((model) => model.problem).filter((problem) => problem !== null);
  showProblem(models.length === 0 ? "No models are configured yet." : problems[0] ?? "");
  const usable = models.filter((model) => model.default_version !== null && model.kind !== null && model.verbs.length > 0);
  const cards = await Promise.all(usable.map((model) => request(`/v1/models/${encodeURIComponent(model.name)}/card`)));
  const withCards = usable.map((model, index) => ({ ...model, card: cards[index] }));
  const kinds = new Set([...shownKinds(), ...usable.map((model) => model.kind)]);
  for (const kind of [...kinds].sort()) {
    await showKind(kind, withCards.filter((model) => model.kind === kind));
  }
}

function showProblem(text) {
  element("problem").hidden = text === "";
  element("problem").textContent = text;
}

const start = () => load().catch((error) => showProblem(error.message));

element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", element("key").value.trim()); // kept until the tab closes
  start();
});
start();
