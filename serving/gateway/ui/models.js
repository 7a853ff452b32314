// All models.
import { element, make } from "./elements.js";
import { t } from "./words.js";

export class ModelsView {
  constructor() {
    this.element = make("section", { id: "models-section", "aria-labelledby": "models-title" }, make("h2", { id: "models-title" }, t("All models")),
      make("div", { id: "models" }));
    element("kinds").append(this.element);
  }

  async open(models) {
    element("models").replaceChildren(...models.map((model) => make("p", {}, `${model.name} ${model.title ?? ""} ${model.problem ?? ""}`)));
  }

  close() {}
}
