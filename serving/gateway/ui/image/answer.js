// The answers of one image model: classes, the picture that it read, and the items most similar to it.
import { answeredBy, bars, busy, button, english, make, percent, showError, warning } from "../elements.js";
import { cardOf, modelPath, request } from "../gateway.js";
import { t } from "../words.js";

const LISTED = 5;
const SHORT = 4; // letters of a label in large type

export class Answer {
  #body = make("div", { class: "body" });

  constructor(model) {
    this.model = model;
    this.element = make("article", { class: "answer" }, make("h3", {}, model.name), this.#body);
  }

  get verbs() { return ["predict", "neighbours"].filter((verb) => this.model.verbs.includes(verb)); }

  clear() { this.#body.replaceChildren(make("p", { class: "quiet" }, t("Nothing to see yet."))); }

  // Ask the model; return its name, the class and the probability as a text, or null if there is none.
  // A server that does not answer is the caller's to show, once for all models.
  async ask(picture, polarity, signal, again) {
    const send = (verb, options) => {
      const query = new URLSearchParams({ ...options, ...(polarity === "auto" ? {} : { polarity }) });
      const headers = { "content-type": picture.type || "application/octet-stream" };
      return request(`${modelPath(this.model.name, `:${verb}`)}?${query}`, { method: "POST", body: picture, headers, signal });
    };
    try {
      return await busy(this.element, this.#show(send));
    } catch (error) {
      if (error.name === "AbortError" || error.code === "no_answer") throw error;
      showError(this.#body, error, { again });
      return null;
    }
  }

  async #show(send) {
    const began = performance.now();
    const bodies = await Promise.all(this.verbs.map(async (verb) => send(verb, verb === "predict"
      ? { input: true } : { k: Math.min(LISTED, (await cardOf(this.model)).neighbours.max_k) })));
    const time = t("{time} ms", { time: Math.round(performance.now() - began) });
    const shown = [];
    let best = null;
    for (const [index, verb] of this.verbs.entries()) {
      if (verb === "predict") {
        [best] = bodies[index].predictions;
        const [input] = bodies[index].inputs;
        shown.push(make("div", { class: "found" }, verdict(best), saw(input)),
          ...warning(best, t("This picture is unlike the training data: do not rely on the answer.")), bars(best, LISTED),
          ...(this.model.verbs.includes("explain") ? [this.#explained(send, input)] : []));
      } else {
        const { similar } = await import("/page/image/similar.js");
        shown.push(await similar(this.model, bodies[index]));
      }
      shown.push(...(bodies[index].notes ?? []).map((note) => english("p", { class: "note" }, note)));
    }
    this.#body.replaceChildren(...shown, answeredBy(bodies[0], time));
    return best && `${this.model.name}: ${best.label}, ${percent(best.probability)}`;
  }

  // A button that puts the heat map in its place.
  #explained(send, input) {
    const place = make("div", { class: "explained" });
    const ask = () => busy(this.element, (async () => {
      const [{ heatOver }, body] = await Promise.all([import("/page/image/heat.js"), send("explain", {})]);
      const map = await heatOver(input, body);
      const focused = place.contains(document.activeElement);
      place.replaceChildren(map);
      if (focused) map.focus(); // the button is gone
    })()).catch((error) => { if (error.name !== "AbortError") showError(place, error, { again: ask }); });
    place.append(button(t("Show what it depends on"), ask));
    return place;
  }
}

const verdict = ({ label, probability }) => make("p", { class: label.length > SHORT ? "verdict long" : "verdict" }, make("b", {}, label), make("span", {}, percent(probability)));

const saw = (input) => make("figure", {}, make("img", { src: `data:image/png;base64,${input}`, alt: t("the picture as the model read it") }),
  make("figcaption", {}, t("what it saw")));
