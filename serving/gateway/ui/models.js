// All models with live figures, and all versions of one of them.
import { element, english, make, rough, showError } from "./elements.js";
import { modelPath, request, requestModels } from "./gateway.js";
import { LiveFigures } from "./models/live.js";
import { versionView } from "./models/version.js";
import { t } from "./words.js";

const REFRESH = 2000; // milliseconds

export class ModelsView {
  #live = new LiveFigures();
  #name = ""; // of the model that is shown alone
  #timer = null;
  #shown = "";

  constructor() {
    this.element = make("section", { id: "models-section", "aria-labelledby": "models-title" },
      make("h2", { id: "models-title" }), make("p", { id: "totals", class: "quiet" }), make("div", { id: "models" }));
    element("kinds").append(this.element);
  }

  // Show all models, or the versions of one, and keep them up to date until `close`.
  async open(models, name) {
    this.close();
    this.#name = models.some((model) => model.name === name) ? name : "";
    this.#shown = "";
    element("models-title").textContent = this.#name || t("All models");
    this.#show(models);
    if (this.#name) await this.refresh();
    this.#repeat();
  }

  close() { clearTimeout(this.#timer); }

  #repeat() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      if (!this.element.hidden && !document.hidden) await this.refresh().catch((error) => { element("totals").textContent = error.message; });
      if (!this.element.hidden) this.#repeat();
    }, this.#live.fresh ? 500 : REFRESH);
  }

  async refresh() {
    await this.#live.read().catch((error) => { if (error.code === "no_answer") throw error; });
    if (this.#name) return this.#showOne();
    const { models } = await requestModels();
    this.#show(models);
  }

  #show(models) {
    if (this.#name) return;
    this.#showTotals(null);
    element("models").replaceChildren(make("ul", { class: "models" }, ...models.map((model) => this.#row(model))));
  }

  #showTotals(name) {
    const { rate, median, slow } = this.#live.of(name);
    const times = median === null ? [] : [t("half within {time} ms, 95% within {slow} ms", { time: rough(median), slow: rough(slow) })];
    element("totals").textContent = rate === null ? "" : [t("{rate} requests a second", { rate: rough(rate) }), ...times].join(" · ");
  }

  #row(model) {
    const { rate, median } = this.#live.of(model.name);
    const live = [rate === null ? [] : t("{rate}/s", { rate: rough(rate) }), median === null ? [] : t("{time} ms", { time: rough(median) })].flat();
    const title = model.title === null ? make("span", {}, t("no model card: tensors in, tensors out")) : english("span", {}, model.title);
    return make("li", {}, make("a", { href: `#models/${encodeURIComponent(model.name)}` }, model.name), title,
      make("span", {}, model.default_version === null ? t("no version") : t("version {version}", { version: model.default_version })),
      make("span", { class: "live" }, live.join(" · ")),
      ...(model.problem ? [english("span", { class: "note" }, model.problem)] : []));
  }

  async #showOne() {
    const name = this.#name;
    try {
      const document = await request(modelPath(name, "/versions"));
      if (name !== this.#name) return;
      this.#showTotals(name);
      const text = JSON.stringify(document);
      if (text === this.#shown) return;
      this.#shown = text;
      const opened = new Set([...element("models").querySelectorAll("details[open]")].map((one) => one.id));
      element("models").replaceChildren(make("p", {}, make("a", { href: "#models" }, `← ${t("All models")}`)),
        ...await versionView(document, opened, () => this.refresh()));
    } catch (error) {
      this.#shown = "";
      showError(element("models"), error, { again: () => this.refresh() });
    }
  }
}
