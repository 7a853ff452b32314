// The section of one kind of model. The module ui/<kind>.js exports
//   title    the section's heading,
//   content  HTML between the choice of a model and its card,
//   start    a function that gets the section once; returns a function to call when a model is chosen,
// and may export
//   choices  a function from the models to a list of {key, name, models}; without it each model is a choice,
//   early    true if it can answer before the model card has come,
//   accepts  a function that says whether a dropped or pasted file is for it; `start` then sets `section.receive`.
import { element, make, showError } from "./elements.js";
import { cardOf } from "./gateway.js";
import { t } from "./words.js";

export class Section {
  #module;
  #choices = [];
  #picker = make("fieldset", { class: "choices" }, make("legend", {}, t("Model")));
  #card;
  #chosen;

  constructor(kind, module) {
    this.kind = kind;
    this.#module = module;
    const template = make("template");
    template.innerHTML = module.content;
    this.#card = make("div", { class: "card" });
    this.element = make("section", { id: `${kind}-section`, "aria-labelledby": `${kind}-title` },
      make("div", { class: "top" }, make("h2", { id: `${kind}-title` }, module.title), this.#picker),
      template.content, this.#card);
    this.#picker.addEventListener("change", () => this.#update());
    element("kinds").append(this.element);
    this.#chosen = module.start(this);
  }

  accepts(file) { return this.#module.accepts?.(file) ?? false; }

  get choices() { return this.#choices; }

  get choice() {
    const key = this.#picker.querySelector("input:checked")?.value;
    return this.#choices.find((one) => one.key === key);
  }

  get model() { return this.choice.models[0]; }

  choose(key) {
    for (const input of this.#picker.querySelectorAll("input")) input.checked = input.value === key;
    return this.#update();
  }

  async show(models) {
    const before = this.choice?.key;
    this.#choices = this.#module.choices?.(models) ?? models.map((model) => ({ key: model.name, name: model.name, models: [model] }));
    const first = this.#choices.find(({ key }) => key === before) ?? this.#choices[0];
    this.#picker.replaceChildren(this.#picker.firstChild, ...this.#choices.map(({ key, name }) => make("label", {},
      make("input", { type: "radio", name: `${this.kind}-choice`, value: key, ...(key === first.key ? { checked: "" } : {}) }),
      make("span", {}, name))));
    await this.#update();
  }

  async #update() {
    const { choice } = this;
    const described = this.#describe(choice);
    if (!this.#module.early) await described;
    if (this.choice === choice && this.model.card !== undefined | this.#module.early) this.#chosen();
  }

  async #describe(choice) {
    try {
      const { describe } = await import("./card.js");
      for (const model of choice.models) model.card = await cardOf(model);
      if (this.choice === choice) this.#card.replaceChildren(...choice.models.flatMap(describe));
    } catch (error) {
      showError(this.#card, error, { again: () => this.#update() });
    }
  }
}
