// One section of the page for each kind of model that the gateway serves. The module ui/<kind>.js exports
//   title    the section's heading,
//   content  HTML between the choice of a model and its card,
//   start    a function that gets the section once; returns a function to call when a model is chosen.
import { element, make, short } from "./elements.js";

const sections = new Map();

// Show the section of a kind with these models; hide it if there are none.
export async function showKind(kind, models) {
  if (!sections.has(kind)) {
    if (models.length === 0) return;
    const module = await import(`./${encodeURIComponent(kind)}.js`).catch((error) => console.warn(error));
    if (!module) return; // a kind without a module is only listed
    if (!sections.has(kind)) sections.set(kind, new Section(kind, module));
  }
  sections.get(kind).show(models);
}

export const shownKinds = () => [...sections.keys()];

class Section {
  #models = [];
  #select;
  #chosen;

  constructor(kind, { title, content, start }) {
    const template = make("template");
    template.innerHTML = content;
    this.#select = make("select", { id: `${kind}-model` });
    this.element = make("section", { id: kind, "aria-labelledby": `${kind}-title` },
      make("h2", { id: `${kind}-title` }, title),
      make("label", {}, "Model ", this.#select),
      template.content,
      make("div", { id: `${kind}-card`, class: "card" }));
    this.kind = kind;
    element("kinds").append(this.element);
    this.#chosen = start(this);
    this.#select.addEventListener("change", () => this.#update());
  }

  get models() { return this.#models; }

  get model() { return this.#models.find(({ name }) => name === this.#select.value); }

  choose(name) {
    this.#select.value = name;
    this.#update();
  }

  show(models) {
    this.#models = models;
    this.element.hidden = models.length === 0;
    this.#select.replaceChildren(...models.map(({ name, title }) => make("option", { value: name, title }, name)));
    if (models.length > 0) this.#update();
  }

  #update() {
    element(`${this.kind}-card`).replaceChildren(...describe(this.model.card));
    this.#chosen();
  }
}

function describe(card) {
  const measured = Object.entries(card.metrics).filter(([name]) => name.startsWith("test") || name === "naive_mae");
  const notes = [...card.notes];
  if (card.training.quick) notes.unshift("A quick training run: its answers mean little.");
  if (card.data.stand_in) notes.unshift(`Not trained on the real data: ${card.data.stand_in}`);
  const metrics = measured.map(([name, value]) => `${name.replaceAll("_", " ")} ${short(value)}`).join(", ");
  return [make("p", {}, `${card.title}. Trained on ${card.data.name}. ${metrics}`),
    ...notes.map((note) => make("p", { class: "note" }, note))];
}
