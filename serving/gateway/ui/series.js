// Series: an example or a pasted history, and how it goes on.
import { chart } from "./chart.js";
import { askModel, chosenModel, element, madeBy, numbers, offer, percent, refuse, short } from "./elements.js";

export function offerSeries() {
  offer("series", ({ kind, verbs }) => kind === "series" && verbs.includes("forecast"), example);
}

function example() {
  const { card } = chosenModel("series");
  const length = Math.max(40, card.series.window);
  const start = Math.floor(Math.random() * 20);
  const level = card.inputs.level, sway = card.inputs.volatility;
  let made;
  if (card.series.step.includes("π")) {
    made = Array.from({ length }, (_, place) => Math.sin((start + place) * Math.PI / 10));
    element("example-note").textContent = "The example is a sine.";
  } else {
    let value = level ? level.mean : 100;
    const step = sway ? sway.mean : 1;
    made = Array.from({ length }, () => (value += (Math.random() - 0.5) * step));
    element("example-note").textContent = "The example is made up: a random walk at the height of the training data.";
  }
  element("history").value = made.map(short).join(", ");
  element("horizon").max = card.series.max_horizon;
  element("horizon").value = Math.min(12, card.series.max_horizon);
  forecast();
}

let asked = 0; // an answer that comes after a newer question was asked is not shown

async function forecast() {
  const place = element("forecasts");
  const mine = ++asked;
  try {
    const history = numbers(element("history").value);
    const document = { history, horizon: Number(element("horizon").value) };
    const body = await askModel(chosenModel("series").name, "forecast", document);
    const unit = body.unit === "1" ? "" : `, unit ${body.unit}`;
    const band = body.level ? `, band meant to hold ${percent(body.level)}` : "";
    if (mine === asked) place.replaceChildren(chart(history.slice(-60), body.forecasts[0]),
      madeBy(body, `; one step is ${body.step}${unit}${band}`));
  } catch (error) {
    if (mine === asked) refuse(place, error);
  }
}

element("history").addEventListener("input", () => { element("example-note").textContent = ""; });
element("example").addEventListener("click", example);
element("forecast").addEventListener("click", forecast);
