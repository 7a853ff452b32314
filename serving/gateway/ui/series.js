// Series models: an example or a pasted history, and its forecast.
import { chart } from "./chart.js";
import { answeredBy, element, percent, short, showError } from "./elements.js";
import { requestModel } from "./gateway.js";
import { numbers } from "./numbers.js";

export const title = "How does a series go on?";
export const content = `
  <label class="tall">History, the newest value last
    <textarea id="history" rows="4" spellcheck="false"></textarea>
  </label>
  <p class="row">
    <label>Steps ahead <input id="horizon" type="number" min="1" value="12"></label>
    <button id="example" type="button">Another example</button>
    <button id="forecast" type="button" class="go">Forecast</button>
  </p>
  <p id="example-note" class="quiet"></p>
  <div id="forecasts" class="answer" aria-live="polite"></div>`;

export function start(section) {
  let requests = 0; // an answer is dropped if a newer request was sent

  function showExample() {
    const { card } = section.model;
    const length = Math.max(40, card.series.window);
    const { level, volatility } = card.inputs;
    let history;
    if (card.series.step.includes("π")) {
      const phase = Math.floor(Math.random() * 20);
      history = Array.from({ length }, (_, step) => Math.sin((phase + step) * Math.PI / 10));
      element("example-note").textContent = "The example is a sine.";
    } else {
      let value = level ? level.mean : 100;
      const spread = volatility ? volatility.mean : 1;
      history = Array.from({ length }, () => (value += (Math.random() - 0.5) * spread));
      element("example-note").textContent = "The example is a random walk at the level of the training data.";
    }
    element("history").value = history.map(short).join(", ");
    element("horizon").max = card.series.max_horizon;
    element("horizon").value = Math.min(12, card.series.max_horizon);
    forecast();
  }

  async function forecast() {
    const target = element("forecasts");
    const number = ++requests;
    try {
      const history = numbers(element("history").value);
      const document = { history, horizon: Number(element("horizon").value) };
      const body = await requestModel(section.model.name, "forecast", document);
      const unit = body.unit === "1" ? "" : `, unit ${body.unit}`;
      const band = body.level ? `, nominal coverage of the band ${percent(body.level)}` : "";
      if (number === requests) target.replaceChildren(chart(history.slice(-60), body.forecasts[0]),
        answeredBy(body, `; one step is ${body.step}${unit}${band}`));
    } catch (error) {
      if (number === requests) showError(target, error);
    }
  }

  element("history").addEventListener("input", () => { element("example-note").textContent = ""; });
  element("example").addEventListener("click", showExample);
  element("forecast").addEventListener("click", forecast);
  return showExample;
}
